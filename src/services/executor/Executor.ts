/**
 * Where single stages are computed: in this thread, on worker threads side by side, or by the workers of a cluster
 * (`remote/ClusterExecutor.ts`). Knows no records (`StageRunner` does) and no particular stage.
 */
import { Context, Effect, Layer, Option, Schema } from "effect"
import { ArtifactStore, type StoreError } from "../ArtifactStore.ts"
import type { CodeFingerprint, FingerprintError } from "../CodeFingerprint.ts"
import type { EngineName } from "../engine/engines.ts"
import { Progress } from "../Progress.ts"
import type { Stage } from "../Stage.ts"
import { stageCode } from "../stageCode.ts"
import { digestOf } from "../store/canonical.ts"
import type { TensorEngine } from "../TensorEngine.ts"
import { type Computed, computeStage } from "./computeStage.ts"
import { makePool } from "./pool.ts"
import type { Reply } from "./protocol.ts"
import { type Thread, ThreadEnded } from "./thread.ts"
import { makeTurns } from "./turns.ts"

/** A stage failed on a worker thread; `tag` and `message` are those of its own error. */
export class StageFailure extends Schema.TaggedError<StageFailure>()("StageFailure", {
  stage: Schema.String,
  label: Schema.String,
  tag: Schema.String,
  message: Schema.String,
}) {}

/** What belongs to a computation beside stage and input. */
export interface Task<E = never> {
  readonly key: string
  /** Names the stage's cursor. */
  readonly cursorKey: string
  /** What progress calls it. */
  readonly label: string
  /** Comes first when it is its turn; a failure calls the computation off. */
  readonly begin: Effect.Effect<void, E>
  /** Comes first instead where other processes are asked to compute it. */
  readonly ask: Effect.Effect<void, E>
}

/** The encoded output that a worker replies, or its failure. A defect there is a defect here. */
const interpret = (
  reply: Reply,
  stage: string,
  label: string,
): Effect.Effect<Computed<unknown>, StageFailure> => {
  switch (reply._tag) {
    case "Done":
      return Effect.succeed(reply)
    case "Failed":
      return Effect.fail(new StageFailure({ stage, label, tag: reply.tag, message: reply.message }))
    case "Died":
      return Effect.die(Object.assign(new Error(reply.message), { stack: reply.stack }))
  }
}

export class Executor extends Context.Service<
  Executor,
  {
    /** Stages that are computed side by side. */
    readonly workers: number
    /**
     * Computes a stage once it is its turn, and shows it as running from then on. Turns go in the order of asking. None
     * where another process has computed it and stored it under its key.
     */
    readonly compute: <Input, Output, E, R, CalledOff>(
      stage: Stage<Input, Output, E, R>,
      input: Input,
      task: Task<CalledOff>,
    ) => Effect.Effect<
      Option.Option<Computed<Output>>,
      E | CalledOff | StoreError | StageFailure | FingerprintError | Schema.SchemaError,
      R
    >
  }
>()("grokscope/services/Executor") {
  /**
   * Up to `count` stages at a time, in this thread and with the services of the caller. What they ask of the engine at the same time it
   * may compute as one (`engine/Ensembles.ts`).
   */
  static readonly inProcess = (count = 1) =>
    Layer.effect(
      Executor,
      Effect.gen(function* () {
        const store = yield* ArtifactStore
        const progress = yield* Progress
        const { withPermit } = makeTurns(count)
        return Executor.of({
          workers: count,
          compute: (stage, input, { cursorKey, label, begin }) =>
            computeStage(stage, input, cursorKey).pipe(
              Effect.provideService(ArtifactStore, store),
              Effect.map(Option.some),
              (computation) => withPermit(Effect.andThen(begin, progress.running(label, computation))),
            ),
        })
      }),
    )

  /**
   * Up to `count` stages side by side, each on a worker thread with a tensor engine of its own, of `engineThreads` threads.
   * The threads start when they are first needed. Interrupting a computation terminates its thread.
   */
  static readonly workers = ({
    count,
    engine,
    engineThreads,
  }: {
    readonly count: number
    readonly engine: EngineName
    readonly engineThreads: number
  }) =>
    Layer.effect(
      Executor,
      Effect.gen(function* () {
        const services = yield* Effect.context<CodeFingerprint | TensorEngine | Progress>()
        const progress = yield* Progress
        const { root } = yield* ArtifactStore
        const { withThread } = yield* makePool(count, { store: root, engine, engineThreads })
        return Executor.of({
          workers: count,
          compute: Effect.fn("Executor.compute")(function* (stage, input, { cursorKey, label, begin }) {
            const { name, module } = stage
            const request = Effect.fnUntraced(function* (thread: Thread) {
              const code = digestOf(yield* stageCode(stage))
              const encoded = yield* Schema.encodeEffect(stage.input)(input)
              const reply = yield* thread.request({ module, stage: name, code, input: encoded, cursorKey })
              return yield* interpret(reply, name, label)
            })
            const { output, seconds } = yield* withThread((thread) =>
              Effect.andThen(begin, progress.running(label, request(thread))),
            ).pipe(
              Effect.provideContext(services),
              Effect.catchIf(Schema.is(ThreadEnded), ({ _tag: tag, message }) =>
                Effect.fail(
                  new StageFailure({
                    stage: name,
                    label,
                    tag,
                    message: `${label}: ${message}; run the same command again to go on`,
                  }),
                ),
              ),
            )
            return Option.some({ output: yield* Schema.decodeUnknownEffect(stage.output)(output), seconds })
          }),
        })
      }),
    )
}
