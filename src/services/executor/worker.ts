/**
 * What a worker thread does: computes the stages that it is sent, one after the other. It imports a stage by the
 * URL of its module, so services know no stage here either.
 */
import { parentPort, workerData } from "node:worker_threads"
// The package as a whole takes longer to load than everything else here.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Cause, Effect, Exit, Layer, Predicate, Queue, Schema } from "effect"
import { ArtifactStore } from "../ArtifactStore.ts"
import { bucketFiles } from "../bucket/bucketFiles.ts"
import { CodeFingerprint } from "../CodeFingerprint.ts"
import { engineLayer } from "../engine/engines.ts"
import { Progress } from "../Progress.ts"
import type { Stage, StageServices } from "../Stage.ts"
import { stageCode } from "../stageCode.ts"
import { digestOf } from "../store/canonical.ts"
import { computeStage } from "./computeStage.ts"
import { countNativeCode } from "./nativeCode.ts"
import { Job, type Message, type Reply, WorkerData } from "./protocol.ts"

/** The code on disk is not what the run started with: what it computes would be stored under a wrong key. */
class CodeChanged extends Schema.TaggedError<CodeChanged>()("CodeChanged", { stage: Schema.String }) {
  override get message() {
    return `the code of ${this.stage} was changed while the run was going on; run the same command again`
  }
}

class NoSuchStage extends Schema.TaggedError<NoSuchStage>()("NoSuchStage", {
  stage: Schema.String,
  module: Schema.String,
  because: Schema.String,
}) {
  override get message() {
    return `cannot load stage ${this.stage} from ${this.module}: ${this.because}`
  }
}

const isStage = (value: unknown): value is Stage<unknown, unknown, unknown, StageServices> =>
  Predicate.isObject(value) && "name" in value && "module" in value && Predicate.isFunction(value.run)

const loadStage = Effect.fn("loadStage")(function* (module: string, name: string) {
  const fail = (because: string) => new NoSuchStage({ stage: name, module, because })
  const exported = yield* Effect.tryPromise({
    try: (): Promise<Record<string, unknown>> => import(module),
    catch: (cause) => fail(String(cause)),
  })
  const stage = Object.values(exported).find((value) => isStage(value) && value.name === name)
  return isStage(stage) ? stage : yield* fail("it exports no such stage")
})

const compute = Effect.fn("compute")(function* (request: unknown) {
  const job = yield* Schema.decodeUnknownEffect(Job)(request)
  const stage = yield* loadStage(job.module, job.stage)
  if (digestOf(yield* stageCode(stage)) !== job.code) return yield* new CodeChanged({ stage: job.stage })
  const input = yield* Schema.decodeUnknownEffect(stage.input)(job.input)
  const { output, seconds } = yield* computeStage(stage, input, job.cursorKey)
  const done: Reply = { _tag: "Done", output: yield* Schema.encodeEffect(stage.output)(output), seconds }
  return done
})

const replyOf = (exit: Exit.Exit<Reply, unknown>): Reply => {
  if (Exit.isSuccess(exit)) return exit.value
  const error = Cause.squash(exit.cause)
  const message = error instanceof Error ? error.message : String(error)
  if (!Cause.hasFails(exit.cause)) return { _tag: "Died", message, stack: Cause.pretty(exit.cause) }
  const tag = Predicate.hasProperty(error, "_tag") ? String(error._tag) : "Error"
  return { _tag: "Failed", tag, message }
}

const serve = Effect.gen(function* () {
  const port = yield* Effect.fromNullishOr(parentPort)
  const { settings, nativeCode } = yield* Schema.decodeUnknownEffect(WorkerData)(workerData)
  const { store, engine, engineThreads } = settings
  const say = (message: Message) => Effect.sync(() => port.postMessage(message))
  const progress = Progress.of({
    running: (_, effect) => effect,
    step: (step) => say({ _tag: "Stepped", step }),
    cached: () => Effect.void,
    plan: () => Effect.void,
    say: () => Effect.void,
  })
  const services = Layer.mergeAll(
    ArtifactStore.layer(store),
    Layer.succeed(Progress, progress),
    countNativeCode(nativeCode).pipe(
      Layer.provide(engineLayer(engine, { threads: engineThreads })),
      Layer.provideMerge(CodeFingerprint.layer),
    ),
  ).pipe(Layer.provide([Layer.provide(bucketFiles, NodeFileSystem.layer), NodePath.layer]))

  const jobs = yield* Queue.unbounded<unknown>()
  port.on("message", (job) => Queue.offerUnsafe(jobs, job))
  return yield* Queue.take(jobs).pipe(
    Effect.flatMap((job) => Effect.exit(compute(job))),
    Effect.flatMap((exit) => say(replyOf(exit))),
    Effect.forever,
    Effect.provide(services),
  )
})

Effect.runCallback(serve, {
  onExit: (exit) => {
    // Becomes the worker's `error` event on the main thread.
    if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  },
})
