/** Stages computed by the workers of a cluster (`serve.ts`), whichever is free. What this process computes by itself is nothing. */
import { Deferred, Effect, Latch, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { Executor, StageFailure } from "../executor/Executor.ts"
import { Leases } from "../Leases.ts"
import { Progress } from "../Progress.ts"
import { spanName } from "../telemetry.ts"
import { type Address, addressText } from "./database.ts"
import { type Answer, answersTo, openAnswers, openJobs, queuesLayer, TABLE, untilAnswered } from "./jobs.ts"

/** For the order of stages alone: nobody knows how many workers there will be. */
const WORKERS = 64
/** Nobody has taken any job after so long: there may be no workers. */
const SUSPICION = "10 seconds"

type End = Exclude<Answer, { readonly _tag: "Began" }>

/** A stage that was asked for. */
interface Asked {
  readonly began: Latch.Latch
  readonly end: Deferred.Deferred<End>
}

export const ClusterExecutor = {
  /** @param command what this process was started as, for others to see */
  layer: ({ address, command }: { readonly address: Address; readonly command: string }) =>
    Layer.effect(
      Executor,
      Effect.gen(function* () {
        const { introduce } = yield* Leases
        const progress = yield* Progress
        const sql = yield* SqlClient
        const run = yield* introduce
        const jobs = yield* openJobs
        const answers = yield* openAnswers(run)
        const asked = new Map<string, Asked>()
        const insistently = untilAnswered(progress.say)
        let someoneCame = false

        const idOf = (key: string) => `${run}.${key}`
        const table = sql(TABLE)
        /** A job that nobody has taken goes; what a worker has begun, it ends. */
        const callOff = (key: string) =>
          Effect.ignore(
            sql`DELETE FROM ${table} WHERE queue_name = 'jobs' AND id = ${idOf(key)} AND acquired_by IS NULL`,
          )
        yield* Effect.addFinalizer(() =>
          Effect.ignore(
            sql`DELETE FROM ${table}
              WHERE queue_name = ${answersTo(run)} OR (id LIKE ${`${run}.%`} AND acquired_by IS NULL)`,
          ),
        )

        const hear = Effect.fnUntraced(function* (answer: Answer) {
          someoneCame = true
          const waiting = asked.get(answer.key)
          if (waiting === undefined) return
          yield* waiting.began.open
          if (answer._tag !== "Began") yield* Deferred.succeed(waiting.end, answer)
        })
        yield* insistently(Effect.forever(answers.take(hear))).pipe(Effect.forkScoped)

        const suspect = yield* Effect.cached(
          Effect.gen(function* () {
            yield* Effect.sleep(SUSPICION)
            if (someoneCame) return
            yield* progress.say(
              `no worker has come yet; on any machine that has this store: pnpm pipeline worker --cluster ${addressText(address)} --store DIR`,
            )
          }),
        )

        return Executor.of({
          workers: WORKERS,
          compute: Effect.fn("ClusterExecutor.compute")(function* (stage, input, { key, label }) {
            const { name } = stage
            const encoded = yield* Schema.encodeEffect(stage.input)(input)
            const own: Asked = { began: Latch.makeUnsafe(), end: yield* Deferred.make<End>() }
            asked.set(key, own)
            const job = { run, stage: name, key, label, input: encoded, span: yield* spanName }
            return yield* Effect.gen(function* () {
              yield* insistently(jobs.offer(job, { id: idOf(key) }))
              yield* Effect.forkChild(suspect)
              yield* own.began.await
              const end = yield* progress.running(label, Deferred.await(own.end))
              if (end._tag === "Failed") {
                return yield* new StageFailure({ stage: name, label, tag: end.tag, message: end.message })
              }
              return Option.none()
            }).pipe(
              Effect.onInterrupt(() => callOff(key)),
              Effect.ensuring(Effect.sync(() => asked.delete(key))),
            )
          }),
        })
      }),
    ).pipe(Layer.provide([queuesLayer(address), Leases.layer(command)])),
}
