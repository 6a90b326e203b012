/**
 * `pnpm bench intervened`: a training step of each arm of experiment.md §6 beside a natural one, at the paper's size and
 * on one thread, in alternation.
 *
 * What is timed are the stages themselves, `train` and `intervene`, on a store of their own: a block of 25 steps with
 * everything that it costs, storing its state included, but for the evaluation, which is the same for all.
 */
import { Clock, Console, Effect, FileSystem, Layer } from "effect"
import { Command } from "effect/cli"
import { median } from "../src/numerics/statistics.ts"
import { settings } from "../src/pipelines/interventions.ts"
import { paperScale } from "../src/pipelines/paper.ts"
import { paper } from "../src/pipelines/sizes.ts"
import { ArtifactStore } from "../src/services/ArtifactStore.ts"
import { CodeFingerprint } from "../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../src/services/engine/onnx/OnnxEngine.ts"
import { Progress } from "../src/services/Progress.ts"
import type { Cursor, StageServices } from "../src/services/Stage.ts"
import { TensorEngine } from "../src/services/TensorEngine.ts"
import { generateData } from "../src/stages/generateData.ts"
import { intervene } from "../src/stages/intervene.ts"
import { train } from "../src/stages/train.ts"
import { append, count, recording, spread } from "./measured.ts"

const NAME = "intervened"
const THREADS = 1
const BLOCK = paper.train.evaluateEvery
const NATURAL = "natural"

const now = Effect.map(Clock.currentTimeNanos, (nanoseconds) => Number(nanoseconds) / 1e6)

/** Milliseconds per step of each block but the first, which warms up and has natural steps in every arm. */
const timed = Effect.fn("timed")(function* <A, E>(
  run: (cursor: Cursor) => Effect.Effect<A, E, StageServices>,
) {
  const engine = yield* TensorEngine
  let evaluating = 0
  const commits: Array<{ readonly at: number; readonly evaluating: number }> = []
  const watched = TensorEngine.of({
    ...engine,
    compileScan: (scan) =>
      Effect.map(engine.compileScan(scan), ({ run }) => ({
        run: Effect.fnUntraced(function* (inputs) {
          const start = yield* now
          const result = yield* run(inputs)
          if (scan.name === "evaluate") evaluating += (yield* now) - start
          return result
        }),
      })),
  })
  const advance = () => Effect.map(now, (at) => void commits.push({ at, evaluating }))
  yield* Effect.provideService(run({ entries: [], advance }), TensorEngine, watched)
  const blocks = commits.slice(1).map((commit, i) => {
    const before = commits[i]
    return (commit.at - before.at - (commit.evaluating - before.evaluating)) / BLOCK
  })
  return blocks.slice(1)
})

/** The median step of the natural run and of each arm, by name: one round. */
const round = Effect.fn("round")(function* (steps: number) {
  const { operation, ...splitting } = paper.data
  const config = { ...paper.train, maxSteps: (1 + Math.ceil(steps / BLOCK)) * BLOCK }
  const { window, rank, warmup } = paperScale.interventions
  const onStore = <A, E>(effect: Effect.Effect<A, E, StageServices>) =>
    Effect.provide(effect, Layer.fresh(temporaryStore))
  /** The input of `train`; its data set is made anew in each store. */
  const natural = Effect.gen(function* () {
    const cursor: Cursor = { entries: [], advance: () => Effect.void }
    const split = { operations: [operation] as const, ...splitting, seed: paper.seed }
    const data = yield* generateData.run(split, cursor)
    return { data, model: paper.model, train: config, block: paper.block, seed: paper.seed, natural: null }
  })
  const milliseconds = new Map<string, number>()
  const ofTrain = yield* onStore(
    Effect.flatMap(natural, (input) => timed((cursor) => train.run(input, cursor))),
  )
  milliseconds.set(NATURAL, median(ofTrain))
  for (const { id, ...setting } of settings) {
    const intervention = { ...setting, window, rank, warmup }
    const ofArm = yield* onStore(
      Effect.flatMap(natural, (input) =>
        timed((cursor) => intervene.run({ ...input, intervention }, cursor)),
      ),
    )
    milliseconds.set(`${id} ${setting.version}`, median(ofArm))
  }
  return milliseconds
})

const temporaryStore = Layer.unwrap(
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return ArtifactStore.layer(yield* fs.makeTempDirectoryScoped({ prefix: "grokscope-bench-" }))
  }),
)

const engine = OnnxEngine.layer({ threads: THREADS }).pipe(Layer.provide(CodeFingerprint.layer))

export const intervened = Command.make(
  "intervened",
  {
    rounds: count("rounds", 7, "Alternations"),
    steps: count("steps", 50, `Timed steps of each arm, in blocks of ${BLOCK}`),
    record: recording(NAME),
  },
  Effect.fn(
    function* ({ rounds, steps, record }) {
      const measured = yield* Effect.forEach(Array.from({ length: rounds }), () => round(steps))
      const version = yield* Effect.flatMap(TensorEngine, ({ version }) => version)
      const names = [...measured[0].keys()]
      const of = (name: string) => measured.flatMap((times) => times.get(name) ?? [])
      yield* Console.log(`\n${THREADS} thread, ${rounds} rounds of ${steps} steps`)
      for (const name of names) {
        const ratios = of(name).map((time, i) => time / of(NATURAL)[i])
        const ratio = name === NATURAL ? "" : `   / natural ${spread(ratios, "")}`
        yield* Console.log(`  ${name.padEnd(36)} ${spread(of(name), " ms")}${ratio}`)
      }
      if (!record) return
      const medianMsPerRound = Object.fromEntries(
        names.map((name) => [name, of(name).map((time) => Number(time.toFixed(3)))]),
      )
      yield* append(NAME, {
        versions: { grokscope: version },
        threads: THREADS,
        rounds,
        steps,
        medianMsPerRound,
      })
    },
    Effect.provide(Layer.merge(engine, Progress.silent)),
  ),
).pipe(Command.withDescription("One step of each arm of the interventions beside a natural one"))
