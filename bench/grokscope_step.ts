/**
 * Times our full training step, as `bench/peers/pytorch_step.py` times PyTorch's.
 *
 *     node bench/grokscope_step.ts --threads 2 --steps 100
 *
 * Prints one JSON line: {"peer", "version", "threads", "msPerStep": [...], "peakMegabytes"}. Steps run in blocks
 * of 25 as in training, so a step's time is its block's divided by 25. One untimed block warms up.
 */
import { parseArgs } from "node:util"
import { Clock, Console, Effect, Layer } from "effect"
import { initialParameters } from "../src/model/initialise.ts"
import { makeLayout } from "../src/model/layout.ts"
import { stepScalars } from "../src/model/optimizer.ts"
import { trainSteps } from "../src/model/programs.ts"
import { integers, stream } from "../src/numerics/random.ts"
import { paper } from "../src/pipelines/single.ts"
import { CodeFingerprint } from "../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../src/services/engine/onnx/OnnxEngine.ts"
import { TensorEngine } from "../src/services/TensorEngine.ts"

const BLOCK = 25

const { values } = parseArgs({
  options: { threads: { type: "string", default: "1" }, steps: { type: "string", default: "100" } },
})
const threads = Number(values.threads)
const blocks = Math.ceil(Number(values.steps) / BLOCK)

const layout = makeLayout({ modulus: paper.data.modulus, tasks: 1, ...paper.model })
const { batchSize } = paper.train

const inputs = (block: number) => {
  const draw = (column: number) =>
    integers(stream(42, "batch", 2 * block + column), BLOCK * batchSize, layout.shape.modulus)
  const a = draw(0)
  const b = draw(1)
  const scalars = Array.from({ length: BLOCK }, (_, i) => stepScalars(paper.train, block * BLOCK + i + 1))
  return {
    a,
    b,
    label: a.map((x, i) => (x + b[i]) % layout.shape.modulus),
    stepSize: Float32Array.from(scalars, (s) => s.stepSize),
    decay: Float32Array.from(scalars, (s) => s.decay),
    denominatorScale: Float32Array.from(scalars, (s) => s.denominatorScale),
  }
}

const bench = Effect.gen(function* () {
  const engine = yield* TensorEngine
  const program = yield* engine.compileScan(trainSteps(layout, paper.train, batchSize))
  const zeros: Float32Array = new Float32Array(layout.size)
  let carry = { theta: initialParameters(layout, 42), first: zeros, second: zeros }
  const msPerStep: Array<number> = []
  for (let block = 0; block <= blocks; block++) {
    const xs = inputs(block)
    const start = yield* Clock.currentTimeNanos
    const result = yield* program.run({ carry, xs, constants: {} })
    const milliseconds = Number((yield* Clock.currentTimeNanos) - start) / 1e6
    if (block > 0) msPerStep.push(...Array.from({ length: BLOCK }, () => milliseconds / BLOCK))
    carry = result.carry
  }
  const version = yield* engine.version
  const peakMegabytes = Math.round(process.resourceUsage().maxRSS / 1024)
  yield* Console.log(JSON.stringify({ peer: "grokscope", version, threads, msPerStep, peakMegabytes }))
})

await Effect.runPromise(
  bench.pipe(
    Effect.scoped,
    Effect.provide(OnnxEngine.layer({ threads }).pipe(Layer.provide(CodeFingerprint.layer))),
  ),
)
