/**
 * Our side of `pnpm bench step`, `multitask` and `scale`: the full training step, as `peers/pytorch_step.py` times PyTorch's. Steps run
 * in blocks of 25 as in training, so a step's time is its block's divided by 25. One untimed block warms up.
 */
import { Effect } from "effect"
import { initialParameters } from "../../src/model/initialise.ts"
import { makeLayout } from "../../src/model/layout.ts"
import { stepScalars } from "../../src/model/optimizer.ts"
import { trainSteps } from "../../src/model/programs.ts"
import { integers, stream } from "../../src/numerics/random.ts"
import { paper } from "../../src/pipelines/sizes.ts"
import { scanModel } from "../../src/services/engine/onnx/compile.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { timed } from "../measured.ts"
import { options, print } from "./contestant.ts"
import { productsAlone } from "./floor.ts"

const BLOCK = 25
const { tasks, width, modulus, threads } = options
const blocks = Math.ceil(options.steps / BLOCK)
const layout = makeLayout({ ...paper.model, modulus, tasks, width, feedForward: 2 * width })
const { batchSize } = paper.train
const program = trainSteps(layout, paper.train, batchSize)

const inputs = (block: number) => {
  const draw = (column: number, size: number) =>
    integers(stream(42, "batch", 3 * block + column), BLOCK * size, layout.shape.modulus)
  const scalars = Array.from({ length: BLOCK }, (_, i) => stepScalars(paper.train, block * BLOCK + i + 1))
  return {
    a: draw(0, batchSize),
    b: draw(1, batchSize),
    label: draw(2, batchSize * tasks),
    stepSize: Float32Array.from(scalars, (s) => s.stepSize),
    decay: Float32Array.from(scalars, (s) => s.decay),
    denominatorScale: Float32Array.from(scalars, (s) => s.denominatorScale),
  }
}

await print(
  Effect.gen(function* () {
    const { run } = yield* Effect.flatMap(TensorEngine, (engine) => engine.compileScan(program))
    const zeros: Float32Array = new Float32Array(layout.size)
    let carry = { theta: initialParameters(layout, 42), first: zeros, second: zeros }
    const msPerStep: Array<number> = []
    for (let block = 0; block <= blocks; block++) {
      const { result, milliseconds } = yield* timed(run({ carry, xs: inputs(block), constants: {} }))
      if (block > 0) msPerStep.push(...Array.from({ length: BLOCK }, () => milliseconds / BLOCK))
      carry = result.carry
    }
    return { msPerStep, floorMs: yield* productsAlone(scanModel(program), threads) }
  }),
)
