import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { table } from "arquero"
import { Clock, Console, Effect, Layer, Option } from "effect"
import { ArtifactStore, type StoreError } from "../../../src/services/ArtifactStore.ts"
import { putTable } from "../../../src/services/artifacts.ts"
import { CodeFingerprint } from "../../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../../src/services/engine/onnx/OnnxEngine.ts"
import { Executor } from "../../../src/services/executor/Executor.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { isWhole } from "../../../src/services/references.ts"
import { StageRunner } from "../../../src/services/StageRunner.ts"
import { sha256 } from "../../../src/services/store/canonical.ts"
import { quickLookups } from "../../../src/services/store/quickLookups.ts"
import { type Coupling, measureCoupling } from "../../../src/stages/measureCoupling.ts"
import { cli } from "../../commands/process.ts"
import { temporaryDirectory } from "../../services/store/temporary.ts"
import { type Findings, runPart } from "./figures.ts"
import { fullStore, shareOf } from "./settings.ts"

const KEYS = 10_000
/** Milliseconds that all of them should take, and a whole `reproduce-all` of which everything is stored. */
const TARGET = 1000
const WARM_TARGET = 3000
const WARM_RUNS = 5

type Input = (typeof measureCoupling)["input"]["Type"]
type Measured = typeof Coupling.Type

const ref = (name: string, format: "json" | "parquet" | "safetensors") => ({
  digest: sha256(name),
  format,
  bytes: name.length,
})

/** An input of the size that one of a full run has. */
const inputOf = (i: number): Input => ({
  data: {
    operations: ["add"],
    labels: "true",
    pairs: ref("pairs", "parquet"),
    modulus: 97,
    pairCount: 9409,
    trainCount: 4704,
  },
  rows: {
    kind: "update",
    run: {
      model: { modulus: 97, tasks: 1, width: 128, heads: 4, feedForward: 256, layers: 2 },
      trajectory: ref("trajectory", "json"),
      checkpoints: 133,
      curve: ref("curve", "parquet"),
      losses: ref("losses", "parquet"),
      firstHalf: 2650,
      firstThreshold: 2825,
      stopStep: 3300,
      finalTestAccuracy: 0.98,
      finalTrainAccuracy: 1,
    },
    stride: 8,
  },
  directions: { rank: 3, spectrum: ref("spectrum", "parquet"), vectors: ref("vectors", "safetensors") },
  null: {
    probe: { probes: 1024, epsilon: 0.005, centroid: "correct-logit", from: "table", task: 0 },
    energies: ref("energies", "parquet"),
  },
  seed: i,
})

const nothing = {
  points: 0,
  peak: null,
  peakStep: null,
  mean: null,
  final: null,
  meanBefore: null,
  meanAfter: null,
}
const nothings = { all: nothing, fullWindows: nothing }

/** The stage itself, but that all it does is to store an artifact of its own for each input. */
const madeUp = {
  ...measureCoupling,
  name: "made-up",
  run: ({ seed: i }: Input): Effect.Effect<Measured, StoreError, ArtifactStore> =>
    Effect.map(putTable(table({ i: [i] })), (series) => ({
      ...nothings,
      first: nothings,
      denominatorSpread: 0,
      series,
    })),
}

/** A runner as a process has it that is started anew. */
const runner = Layer.fresh(
  StageRunner.layer({ command: "lookups" }).pipe(
    Layer.provide(Executor.inProcess),
    Layer.provide([
      OnnxEngine.layer({ threads: 1 }).pipe(Layer.provideMerge(CodeFingerprint.layer)),
      Progress.silent,
    ]),
  ),
)

/** Asks for that many keys, one after another; returns the milliseconds that it took. */
const ask = Effect.fn("ask")(function* (keys: number, cached: boolean) {
  const { run } = yield* StageRunner
  // What is the same for all keys of a run, such as the code's fingerprint.
  yield* run(madeUp, inputOf(0))
  const started = yield* Clock.currentTimeMillis
  for (let i = 1; i <= keys; i++) {
    const result = yield* run(madeUp, inputOf(i))
    assert.strictEqual(result.cached, cached)
  }
  return (yield* Clock.currentTimeMillis) - started
})

/** Looks up every key of the store, and whether all that its record leads to is there; returns the milliseconds. */
const lookUp = Effect.gen(function* () {
  const { record, recordNames } = yield* ArtifactStore
  const names = yield* recordNames
  const started = yield* Clock.currentTimeMillis
  for (const { stage, key } of names) {
    const { output } = Option.getOrThrow(yield* record(stage, key))
    assert.isTrue(yield* isWhole(output))
  }
  return { keys: names.length, milliseconds: (yield* Clock.currentTimeMillis) - started }
})

/** Runs of `reproduce-all` at full scale on a store that has everything: the first one writes the report. */
const warmRuns = Effect.fn("warmRuns")(function* (store: string) {
  const out = join(yield* temporaryDirectory, "paper")
  const milliseconds: Array<number> = []
  let stages = 0
  for (let i = 0; i <= WARM_RUNS; i++) {
    const started = yield* Clock.currentTimeMillis
    const { code, stderr } = yield* cli(["reproduce-all", "--store", store, "--out", out])
    if (i > 0) milliseconds.push((yield* Clock.currentTimeMillis) - started)
    assert.strictEqual(code, 0, stderr)
    stages = Number(/cached (\d+)/.exec(stderr)?.[1] ?? 0)
    assert.notMatch(stderr, /done in/)
    yield* Console.log(
      `lookups: warm run of ${stages} stages ${milliseconds.at(-1) ?? "to write the report"} ms`,
    )
  }
  return { stages, milliseconds }
})

const NO_STORE: Findings["skipped"] = [
  {
    what: "a warm reproduce-all at full scale",
    because: "it needs the store of a full run: STORE=artifacts/store pnpm test:crash lookups",
  },
]

const services = quickLookups.pipe(Layer.provideMerge(NodeServices.layer))

it.live("what is stored is found in no time", () =>
  runPart(
    "lookups",
    Effect.gen(function* () {
      const store = join(yield* temporaryDirectory, "store")
      const opened = ArtifactStore.layer(store)
      const asking = (cached: boolean) =>
        ask(shareOf(KEYS), cached).pipe(Effect.provide(runner), Effect.provide(opened))
      const computing = yield* asking(false)
      yield* Console.log(`lookups: keys computed in ${Math.round(computing / 1000)} s`)
      const { keys, milliseconds } = yield* Effect.provide(lookUp, Layer.fresh(opened))
      yield* Console.log(`lookups: ${keys} keys looked up in ${milliseconds} ms`)
      const fromInputs = yield* asking(true)
      yield* Console.log(`lookups: formed from inputs, and looked up, in ${fromInputs} ms`)

      const warm = fullStore === undefined ? undefined : yield* warmRuns(fullStore)
      return {
        summary: [
          `${keys} keys were looked up in ${milliseconds} ms (target ${TARGET}), and formed from their inputs and looked up in ${fromInputs} ms`,
          ...(warm === undefined
            ? []
            : [
                `reproduce-all of whose ${warm.stages} stages all are stored took ${Math.max(...warm.milliseconds)} ms at most (target ${WARM_TARGET})`,
              ]),
        ].join("; "),
        figures: {
          keys,
          milliseconds,
          fromInputs,
          ...(warm === undefined
            ? {}
            : {
                warmStages: warm.stages,
                warmMilliseconds: Object.fromEntries(warm.milliseconds.map((ms, i) => [`run ${i + 1}`, ms])),
              }),
        },
        skipped: warm === undefined ? NO_STORE : [],
      }
    }),
  ).pipe(Effect.provide(services)),
)
