/** Stages computed by the workers of a cluster (`serve.ts`), whichever is free. What this process computes by itself is nothing. */
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { EngineName } from "../engine/engines.ts"
import { Executor } from "../executor/Executor.ts"
import { Leases } from "../Leases.ts"
import { Progress } from "../Progress.ts"
import { makeAsking } from "./asking.ts"
import { type Address, addressText } from "./database.ts"
import type { Answer } from "./job.ts"
import { answersTo, openAnswers, openJobs, queuesLayer, TABLE, untilAnswered } from "./queues.ts"

/** Nobody has taken any job after so long: there may be no workers. */
const SUSPICION = "10 seconds"

export const ClusterExecutor = {
  /** @param command what this process was started as, for others to see */
  layer: ({
    address,
    command,
    engine,
  }: {
    readonly address: Address
    readonly command: string
    readonly engine: EngineName
  }) =>
    Layer.effect(
      Executor,
      Effect.gen(function* () {
        const { introduce } = yield* Leases
        const progress = yield* Progress
        const sql = yield* SqlClient
        const run = yield* introduce
        const jobs = { cpu: yield* openJobs(false), gpu: yield* openJobs(true) }
        const answers = yield* openAnswers(run)
        const insistently = untilAnswered(progress.say)
        const idOf = (key: string) => `${run}.${key}`
        const table = sql(TABLE)
        yield* Effect.addFinalizer(() =>
          Effect.ignore(
            sql`DELETE FROM ${table}
              WHERE queue_name = ${answersTo(run)} OR (id LIKE ${`${run}.%`} AND acquired_by IS NULL)`,
          ),
        )

        let someoneCame = false
        const suspect = yield* Effect.cached(
          Effect.gen(function* () {
            yield* Effect.sleep(SUSPICION)
            if (someoneCame) return
            yield* progress.say(
              `no worker has come yet; on any machine that has this store: pnpm pipeline worker --cluster ${addressText(address)} --store DIR`,
            )
          }),
        )
        const { executor, hear } = yield* makeAsking({
          run,
          engine,
          submit: Effect.fnUntraced(function* (job) {
            yield* insistently((job.gpu ? jobs.gpu : jobs.cpu).offer(job, { id: idOf(job.key) }))
            yield* Effect.forkChild(suspect)
          }),
          callOff: (key) =>
            Effect.ignore(sql`DELETE FROM ${table} WHERE id = ${idOf(key)} AND acquired_by IS NULL`),
        })
        const take = answers.take((answer: Answer) => {
          someoneCame = true
          return hear(answer)
        })
        yield* insistently(Effect.forever(take)).pipe(Effect.forkScoped)
        return executor
      }),
    ).pipe(Layer.provide([queuesLayer(address), Leases.layer(command)])),
}
