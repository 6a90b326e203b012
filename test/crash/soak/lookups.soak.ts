import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { table } from "arquero"
import { Clock, Console, Effect, Layer, Schema } from "effect"
import { median } from "../../../src/numerics/statistics.ts"
import { ArtifactStore, type StoreError } from "../../../src/services/ArtifactStore.ts"
import { putTable } from "../../../src/services/artifacts.ts"
import { CodeFingerprint } from "../../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../../src/services/engine/onnx/OnnxEngine.ts"
import { Executor } from "../../../src/services/executor/Executor.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { StageRunner } from "../../../src/services/StageRunner.ts"
import { sha256 } from "../../../src/services/store/canonical.ts"
import { quickFiles } from "../../../src/services/store/quickFiles.ts"
import { type Coupling, measureCoupling } from "../../../src/stages/measureCoupling.ts"
import { temporaryDirectory } from "../../services/store/temporary.ts"
import { LookedUp } from "../lookUpAll.ts"
import { runPart } from "./figures.ts"
import { shareOf } from "./settings.ts"

const KEYS = 10_000
/** Milliseconds that all of them should take. */
const TARGET = 1000
/** Processes that look all of them up, one after another. */
const LOOKS = 5

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
    block: "attention",
  },
  directions: {
    block: "attention",
    rank: 3,
    spectrum: ref("spectrum", "parquet"),
    vectors: ref("vectors", "safetensors"),
  },
  null: {
    block: "attention",
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
  shareAboveOne: null,
}

/** The stage itself, but that all it does is to store an artifact of its own for each input. */
const madeUp = {
  ...measureCoupling,
  name: "made-up",
  run: ({ seed: i }: Input): Effect.Effect<Measured, StoreError, ArtifactStore> =>
    Effect.map(putTable(table({ i: [i] })), (series) => ({
      ...nothing,
      first: nothing,
      denominatorSpread: 0,
      series,
    })),
}

/** A runner as a process has it that is started anew. */
const runner = Layer.fresh(
  StageRunner.layer({ command: "lookups" }).pipe(
    Layer.provide(Executor.inProcess()),
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

/** As any process would: the test's own has every module's exports behind accessors, and a heap full of other things. */
const lookUp = (store: string) =>
  Effect.sync(() =>
    execFileSync(process.execPath, [join(import.meta.dirname, "../lookUpAll.ts"), store], {
      encoding: "utf8",
    }),
  ).pipe(Effect.flatMap(Schema.decodeUnknownEffect(Schema.fromJsonString(LookedUp))))

const services = quickFiles.pipe(Layer.provideMerge(NodeServices.layer))

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
      const looks = yield* Effect.replicateEffect(lookUp(store), LOOKS)
      const [{ keys }] = looks
      const took = looks.map(({ milliseconds }) => milliseconds)
      yield* Console.log(`lookups: ${keys} keys looked up in ${took.join(", ")} ms`)
      const fromInputs = yield* asking(true)
      yield* Console.log(`lookups: formed from inputs, and looked up, in ${fromInputs} ms`)

      return {
        summary: `${keys} keys were looked up in ${median(took)} ms, at most ${Math.max(...took)} (target ${TARGET}), and formed from their inputs and looked up in ${fromInputs} ms`,
        figures: {
          keys,
          milliseconds: Object.fromEntries(took.map((ms, i) => [`run ${i + 1}`, ms])),
          fromInputs,
        },
      }
    }),
  ).pipe(Effect.provide(services)),
)
