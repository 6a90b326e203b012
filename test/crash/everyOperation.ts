/**
 * SQLite's way, for a whole pipeline: it fails at its N-th file-system operation, then it is run again on a healthy file
 * system. Real stages, runner, store, journal and leases on a real directory; what is compiled is kept from run to run.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Scope } from "effect"
import { closure, evaluator } from "../../src/pipelines/Node.ts"
import { type SingleConfig, single, targets } from "../../src/pipelines/single.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../src/services/engine/onnx/OnnxEngine.ts"
import { Executor } from "../../src/services/executor/Executor.ts"
import { Progress } from "../../src/services/Progress.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { verify } from "../../src/services/verify.ts"
import { tiny } from "../pipelines/tiny.ts"
import { type Faults, faultyFileSystem, noFaults } from "../services/store/faults.ts"
import { temporaryDirectory, temporaryFilesBelow } from "../services/store/temporary.ts"

/** Every stage, as small as the Schemas allow where more would only repeat. */
export const smallest: SingleConfig = {
  ...tiny,
  data: { ...tiny.data, modulus: 5 },
  model: { width: 2, heads: 1, feedForward: 1, layers: 1 },
  train: { ...tiny.train, batchSize: 2, maxSteps: 2, evaluateEvery: 1 },
  capture: { ...tiny.capture, batchSize: 2 },
  svd: { ...tiny.svd, window: 2, rank: 1, points: 1 },
  probe: { ...tiny.probe, probes: 1, draws: 1 },
}

/** The engine; what was compiled once is not compiled again. For one configuration: a program is known by its signature. */
const keepingEngine = Layer.effect(
  TensorEngine,
  Effect.gen(function* () {
    const engine = yield* TensorEngine
    const scope = yield* Effect.scope
    const kept = new Map<string, unknown>()
    const keeping = <A, E>(signature: unknown, compile: Effect.Effect<A, E, Scope.Scope>) =>
      Effect.gen(function* () {
        const name = JSON.stringify(signature)
        // What is kept under a signature is what was compiled for it.
        const known = kept.get(name) as A | undefined
        if (known !== undefined) return known
        const compiled = yield* Scope.provide(compile, scope)
        kept.set(name, compiled)
        return compiled
      })
    return TensorEngine.of({
      ...engine,
      compile: (program) => keeping(program, engine.compile(program)),
      compileScan: (scan) => keeping(scan, engine.compileScan(scan)),
    })
  }),
).pipe(Layer.provideMerge(OnnxEngine.layer({ threads: 1 })), Layer.provideMerge(CodeFingerprint.layer))

/** What is compiled, and what is not in the way. */
export const laboratory = Layer.mergeAll(keepingEngine, Progress.silent, NodeServices.layer)

/** Runs every node, one after the other, so that the N-th operation is the same one each time; outputs by label. */
export const runAll = Effect.gen(function* () {
  const resolve = evaluator()
  const outputs: Record<string, unknown> = {}
  for (const node of closure(targets(single(smallest)))) outputs[node.label] = yield* resolve(node)
  return outputs
}).pipe(Effect.provide(Layer.fresh(StageRunner.layer().pipe(Layer.provide(Executor.inProcess())))))

export const storeIn = (root: string) => Layer.fresh(ArtifactStore.layer(root))

/** A run as one process does it, with `faults`. */
const faultyRun = (root: string, faults: Faults) =>
  runAll.pipe(Effect.provide(storeIn(root)), Effect.provide(Layer.fresh(faultyFileSystem(faults))))

/** Runs on a store, and dies after the first operation of that name. */
export const dieAfter = (root: string, name: string) => {
  const operations: Array<string> = []
  let end: number | undefined
  return Effect.exit(
    faultyRun(root, {
      operations,
      forGood: true,
      get failing() {
        end ??= operations.at(-2) === name ? operations.length : undefined
        return end
      },
    }),
  )
}

/** What a store holds, without when and where it was computed. Fails the test where something in it is bad. */
const contentsOf = Effect.fn("contentsOf")(function* (root: string) {
  const store = yield* ArtifactStore
  assert.deepStrictEqual((yield* verify).damages, [])
  assert.isFalse(existsSync(join(root, "quarantine")), "nothing was quarantined")
  const records = (yield* store.records).map(({ provenance: _, ...record }) => record)
  return { records, blobs: (yield* store.find("")).map(({ digest }) => digest) }
})

/** What an undisturbed run ends with, and the operations that it takes. */
export const undisturbed = Effect.gen(function* () {
  const root = yield* temporaryDirectory
  const faults = noFaults()
  const outputs = yield* faultyRun(root, faults)
  const contents = yield* Effect.provide(contentsOf(root), storeIn(root))
  return { outputs, contents, operations: faults.operations }
})
export type Undisturbed = Effect.Success<typeof undisturbed>

export interface Trial {
  /** Whether the run came to its end in spite of the failure. */
  readonly wentOn: boolean
  /** Blobs that nothing refers to. */
  readonly superfluous: number
  /** Files of writers that died. */
  readonly temporary: number
}

/**
 * Fails at operation `failing`, and at every later one if `forGood`; then runs again. Whatever is not as it should be
 * fails the test.
 */
export const failAt = Effect.fn("failAt")(function* (
  { outputs, contents, operations }: Undisturbed,
  failing: number,
  forGood: boolean,
) {
  const where = `${operations[failing - 1]}, operation ${failing}${forGood ? " and all after it" : ""}`
  const root = yield* temporaryDirectory
  const exit = yield* Effect.exit(faultyRun(root, { ...noFaults(), failing, forGood }))
  if (Exit.isFailure(exit)) {
    assert.isFalse(Cause.hasDies(exit.cause), `${where}: ${Cause.pretty(exit.cause)}`)
    assert.notInclude(String(Cause.squash(exit.cause)), "\n", where)
  }
  const temporary = temporaryFilesBelow(root).length
  if (!forGood) assert.strictEqual(temporary, 0, where)
  return yield* Effect.gen(function* () {
    yield* contentsOf(root)
    assert.deepStrictEqual(yield* runAll, outputs, where)
    const { records, blobs } = yield* contentsOf(root)
    assert.deepStrictEqual(records, contents.records, where)
    assert.includeMembers(blobs, contents.blobs, where)
    const trial: Trial = {
      wentOn: Exit.isSuccess(exit),
      superfluous: blobs.length - contents.blobs.length,
      temporary,
    }
    return trial
  }).pipe(Effect.provide(storeIn(root)))
}, Effect.scoped)
