/** The side that asks: an executor whose stages other processes compute, however they are told. */
import { Deferred, Effect, Latch, Option, Schema } from "effect"
import { type EngineName, isOnGpu } from "../engine/engines.ts"
import { Executor, StageFailure } from "../executor/Executor.ts"
import { Progress } from "../Progress.ts"
import { spanName } from "../telemetry.ts"
import type { Answer, Job } from "./job.ts"

/** For the order of stages alone: nobody knows how many others there will be. */
const WORKERS = 64

type End = Exclude<Answer, { readonly _tag: "Began" }>

interface Asked {
  readonly began: Latch.Latch
  readonly end: Deferred.Deferred<End>
}

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

  /** Takes an answer. One to a job that is not waited for is nobody's. */
  const hear = Effect.fnUntraced(function* (answer: Answer) {
    const waiting = asked.get(answer.id)
    if (waiting === undefined) return
    yield* waiting.began.open
    if (answer._tag !== "Began") yield* Deferred.succeed(waiting.end, answer)
  })

  const executor = Executor.of({
    workers: WORKERS,
    compute: Effect.fn("Executor.compute")(function* (stage, input, { key, label }) {
      const { name, usesEngine } = stage
      const gpu = usesEngine && isOnGpu(way.engine)
      const encoded = yield* Schema.encodeEffect(stage.input)(input)
      const own: Asked = { began: Latch.makeUnsafe(), end: yield* Deferred.make<End>() }
      const id = `${way.run}.${count++}`
      asked.set(id, own)
      const job = { run: way.run, id, stage: name, key, label, gpu, input: encoded, span: yield* spanName }
      return yield* Effect.gen(function* () {
        yield* way.submit(job)
        yield* own.began.await
        const end = yield* progress.running(label, Deferred.await(own.end))
        if (end._tag === "Failed") {
          return yield* new StageFailure({ stage: name, label, tag: end.tag, message: end.message })
        }
        return Option.none()
      }).pipe(Effect.ensuring(Effect.sync(() => asked.delete(id))))
    }),
  })
  return { executor, hear, isWaitedFor: (id: string) => asked.has(id) }
})
