/**
 * `pnpm bench ensembles`: the training step of 1 … 64 members as one program, and how far each member is from the same run by itself.
 * `docs/engines.md` shows what was recorded.
 */
import { availableParallelism } from "node:os"
import { Console, Effect, Layer } from "effect"
import { Command, Flag } from "effect/cli"
import { apart, interleave, scanOf } from "../src/model/ensemble.ts"
import { initialParameters } from "../src/model/initialise.ts"
import { makeLayout } from "../src/model/layout.ts"
import { stepScalars } from "../src/model/optimizer.ts"
import { trainSteps } from "../src/model/programs.ts"
import { integers, stream } from "../src/numerics/random.ts"
import { median } from "../src/numerics/statistics.ts"
import { paper } from "../src/pipelines/sizes.ts"
import { CodeFingerprint } from "../src/services/CodeFingerprint.ts"
import { engineLayer, engineNames } from "../src/services/engine/engines.ts"
import { TensorEngine } from "../src/services/TensorEngine.ts"
import { append, count, recording, timed } from "./measured.ts"

const NAME = "ensembles"
const layout = makeLayout({ ...paper.model, modulus: paper.data.modulus, tasks: 1 })
const { batchSize } = paper.train
const program = trainSteps(layout, paper.train, batchSize)

/** A training of the paper's from its start, with a seed of its own. */
const inputsOf = (seed: number, steps: number) => {
  const draw = (column: number) =>
    integers(stream(seed, "batch", column), steps * batchSize, layout.shape.modulus)
  const scalars = Array.from({ length: steps }, (_, i) => stepScalars(paper.train, i + 1))
  const zeros: Float32Array = new Float32Array(layout.size)
  return {
    carry: { theta: initialParameters(layout, seed), first: zeros, second: zeros },
    xs: {
      a: draw(0),
      b: draw(1),
      label: draw(2),
      stepSize: Float32Array.from(scalars, (s) => s.stepSize),
      decay: Float32Array.from(scalars, (s) => s.decay),
      denominatorScale: Float32Array.from(scalars, (s) => s.denominatorScale),
    },
  }
}

/** Parameters of each member after its steps, trained together, and the milliseconds of each time. */
const together = Effect.fn("together")(function* (members: number, steps: number, rounds: number) {
  const { compileScan } = yield* TensorEngine
  const { run } = yield* compileScan(scanOf(program, members))
  const inputs = Array.from({ length: members }, (_, i) => inputsOf(i + 1, steps))
  const stacked = {
    carry: interleave(
      program.carry,
      inputs.map(({ carry }) => carry),
    ),
    xs: interleave(
      program.xs,
      inputs.map(({ xs }) => xs),
      steps,
    ),
    constants: {},
  }
  const took: Array<number> = []
  while (true) {
    const { result, milliseconds } = yield* timed(run(stacked))
    took.push(milliseconds / steps)
    if (took.length > rounds) return { all: apart(program.carry, result.carry, members), took: took.slice(1) }
  }
}, Effect.scoped)

/** Parameters of a member that was trained by itself. */
const alone = Effect.fn("alone")(function* (seed: number, steps: number) {
  const { compileScan } = yield* TensorEngine
  const { run } = yield* compileScan(program)
  const { carry } = yield* run({ ...inputsOf(seed, steps), constants: {} })
  return carry.theta
}, Effect.scoped)

const largest = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

export const ensembles = Command.make(
  NAME,
  {
    engine: Flag.Literals("engine", engineNames).pipe(Flag.withDefault("onnx" as const)),
    threads: count("threads", availableParallelism(), "Threads of the engine, on the CPU"),
    most: count("most", 64, "Members of the largest ensemble"),
    steps: count("steps", 10, "Steps of each round"),
    rounds: count("rounds", 3, "Timed rounds, one more warms up"),
    record: recording(NAME),
  },
  Effect.fn(function* ({ engine, threads, most, steps, rounds, record }) {
    const measure = Effect.gen(function* () {
      yield* Console.log(" members   ms per step   ms per member   largest difference from the run by itself")
      const rows: Array<{ members: number; ms: number; difference: number }> = []
      for (let members = 1; members <= most; members *= 2) {
        const { all, took } = yield* together(members, steps, rounds)
        // The first and the last: each is a training of its own.
        const seeds = [...new Set([1, members])]
        const differences = yield* Effect.forEach(seeds, (seed) =>
          Effect.map(alone(seed, steps), (theta) => {
            const own = all[seed - 1].theta
            return largest(own.map((value, i) => value - theta[i])) / largest(theta)
          }),
        )
        const ms = median(took)
        rows.push({ members, ms, difference: Math.max(...differences) })
        const cells = [
          String(members).padStart(8),
          ms.toFixed(1).padStart(13),
          (ms / members).toFixed(1).padStart(15),
          Math.max(...differences)
            .toExponential(1)
            .padStart(12),
        ]
        yield* Console.log(cells.join(" "))
      }
      const version = yield* Effect.flatMap(TensorEngine, ({ version }) => version)
      if (record) yield* append(NAME, { engine, version, threads, steps, rounds, rows })
    })
    yield* measure.pipe(
      Effect.provide(engineLayer(engine, { threads }).pipe(Layer.provideMerge(CodeFingerprint.layer))),
    )
  }),
).pipe(Command.withDescription("Many training runs as one program"))
