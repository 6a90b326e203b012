/** The side that asks: an executor whose stages other processes compute, however they are told. */
import { Deferred, Effect, Latch, Option, Schema } from "effect"
import { type EngineName, isOnGpu } from "../engine/engines.ts"
import { Executor, StageFailure } from "../executor/Executor.ts"
import { Progress } from "../Progress.ts"
import { spanName } from "../telemetry.ts"
import type { Answer, Job } from "./job.ts"

/** For the order of stages alone: nobody knows how many others there will be. */
const WORKERS = 64
/** After a worker took this process for dead: its next heartbeat shows that it lives. */
const AGAIN = "4 seconds"

type End = Exclude<Answer, { readonly _tag: "Began" }>

interface Asked {
  readonly job: Job
  readonly began: Latch.Latch
  readonly end: Deferred.Deferred<End>
}

class Dropped extends Schema.TaggedError<Dropped>()("Dropped", {}) {}

/**
 * @param run names this process to those who answer
 * @param engine that stages are computed with
 * @param submit gives a job to others
 */
export const makeAsking = Effect.fnUntraced(function* (way: {
  readonly run: string
  readonly engine: EngineName
  readonly submit: (job: Job) => Effect.Effect<void, Schema.SchemaError>
}) {
  const progress = yield* Progress
  const asked = new Map<string, Asked>()
  let count = 0

  /** Takes an answer and returns the job that it is to. One to a job that is not waited for is nobody's. */
  const hear = Effect.fnUntraced(function* (answer: Answer) {
    const waiting = asked.get(answer.id)
    if (waiting === undefined) return undefined
    yield* waiting.began.open
    if (answer._tag !== "Began") yield* Deferred.succeed(waiting.end, answer)
    return waiting.job
  })

  let isTold = false
  const tellOfDropping = Effect.suspend(() => {
    if (isTold) return Effect.void
    isTold = true
    return progress.say(
      "workers took this process for dead, as its heartbeat in the store stood still for more than 12 s; asking again",
    )
  })

  const executor = Executor.of({
    workers: WORKERS,
    compute: Effect.fn("Executor.compute")(function* (stage, input, { key, label, ask }) {
      const { name, usesEngine } = stage
      const gpu = usesEngine && isOnGpu(way.engine)
      const encoded = yield* Schema.encodeEffect(stage.input)(input)
      const span = yield* spanName
      const interpret = Effect.fnUntraced(function* (end: End) {
        if (end._tag === "Dropped") return yield* new Dropped()
        if (end._tag === "Done") return Option.none()
        return yield* new StageFailure({ stage: name, label, tag: end.tag, message: end.message })
      })
      const once = Effect.suspend(() => {
        const id = `${way.run}.${count++}`
        const job = { run: way.run, id, stage: name, key, label, gpu, input: encoded, span }
        const own: Asked = { job, began: Latch.makeUnsafe(), end: Deferred.makeUnsafe() }
        asked.set(id, own)
        return way
          .submit(job)
          .pipe(
            Effect.andThen(own.began.await),
            Effect.andThen(progress.running(label, Effect.flatMap(Deferred.await(own.end), interpret))),
            Effect.ensuring(Effect.sync(() => asked.delete(id))),
          )
      })
      const answered: Effect.Effect<Option.Option<never>, StageFailure | Schema.SchemaError> = once.pipe(
        Effect.catchTag("Dropped", () =>
          tellOfDropping.pipe(Effect.andThen(Effect.sleep(AGAIN)), Effect.andThen(answered)),
        ),
      )
      yield* ask
      return yield* answered
    }),
  })
  return { executor, hear, isWaitedFor: (id: string) => asked.has(id), isIdle: () => asked.size === 0 }
})
