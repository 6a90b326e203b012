/**
 * Our side of `pnpm bench coupling`: the energies of 23 directions (three of a window and twenty random ones) on 1,024 probes at
 * one point, by central differences, in calls of ten directions as the stages make them.
 */
import { Effect } from "effect"
import { blockOf, rangesOf, sizeOfRanges } from "../../src/model/blocks.ts"
import { initialParameters } from "../../src/model/initialise.ts"
import { makeLayout } from "../../src/model/layout.ts"
import { perturbationEnergies } from "../../src/model/programs.ts"
import { norm } from "../../src/numerics/gram.ts"
import { integers, stream } from "../../src/numerics/random.ts"
import { paper } from "../../src/pipelines/sizes.ts"
import { scanModel } from "../../src/services/engine/onnx/compile.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { randomDirection } from "../../src/stages/directions.ts"
import { timed } from "../measured.ts"
import { options, print } from "./contestant.ts"
import { productsAlone } from "./floor.ts"

const DIRECTIONS = 23
const CHUNK = 10

const { modulus } = paper.data
const { probes: n } = paper.probe
const layout = makeLayout({ modulus, tasks: 1, ...paper.model })
const ranges = rangesOf(layout, "attention")
const size = sizeOfRanges(ranges)
const theta = initialParameters(layout, 42)
const epsilon = Float32Array.of(paper.probe.epsilon * norm(blockOf(ranges, theta)))
const [a, b] = [0, 1].map((column) => integers(stream(42, "probe", column), n, modulus))
const probes = { a, b, label: a.map((value, i) => (value + b[i]) % modulus) }
const program = perturbationEnergies(layout, n)

const chunks = Array.from({ length: Math.ceil(DIRECTIONS / CHUNK) }, (_, chunk) => {
  const count = Math.min(CHUNK, DIRECTIONS - chunk * CHUNK)
  const direction = new Float32Array(count * size)
  for (let i = 0; i < count; i++) direction.set(randomDirection(42, 0, chunk * CHUNK + i, size), i * size)
  return direction
})

await print(
  Effect.gen(function* () {
    const { run } = yield* Effect.flatMap(TensorEngine, (engine) => engine.compileScan(program))
    const point = Effect.forEach(
      chunks,
      (direction) => run({ carry: {}, xs: { direction }, constants: { theta, epsilon, ...probes } }),
      { discard: true },
    )
    yield* point
    const msPerStep: Array<number> = []
    for (let i = 0; i < options.steps; i++) msPerStep.push((yield* timed(point)).milliseconds)
    return { msPerStep, floorMs: DIRECTIONS * (yield* productsAlone(scanModel(program), options.threads)) }
  }),
)
