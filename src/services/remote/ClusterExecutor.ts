/** Stages computed by the workers of a cluster (`serve.ts`), whichever is free. What this process computes by itself is nothing. */
import { Effect, Layer } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { EngineName } from "../engine/engines.ts"
import { Executor } from "../executor/Executor.ts"
import { Leases } from "../Leases.ts"
import { Progress } from "../Progress.ts"
import { makeAsking } from "./asking.ts"
import { type Address, addressText } from "./database.ts"
import { forget, hearNews, makeInsistence, openJobs, queuesLayer } from "./queues.ts"

/** Nobody has taken any job after so long: there may be no workers. */
const SUSPICION = "10 seconds"
/** Between two looks at what has become of jobs. */
const LOOK = "100 millis"

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
        const database = yield* Effect.context<SqlClient>()
        const scope = yield* Effect.scope
        const run = yield* introduce
        const jobs = { cpu: yield* openJobs(false), gpu: yield* openJobs(true) }
        const { promptly } = makeInsistence(progress.say)
        yield* Effect.addFinalizer(() => Effect.ignore(Effect.provideContext(forget(run), database)))

        /** Whether jobs for a GPU, and others, were asked for; and whether any was answered. */
        const wanted = new Set<boolean>()
        const answered = new Set<boolean>()
        const suspect = Effect.fnUntraced(function* (gpu: boolean) {
          yield* Effect.sleep(SUSPICION)
          if (answered.has(gpu)) return
          const what = `pnpm pipeline worker --cluster ${addressText(address)}${gpu ? ` --engine ${engine}` : ""} --store DIR`
          yield* progress.say(
            `no worker ${gpu ? "with a GPU " : ""}has come yet; on any machine that has this store: ${what}`,
          )
        })
        const { executor, hear, isIdle } = yield* makeAsking({
          run,
          engine,
          submit: Effect.fnUntraced(function* (job) {
            const { id, gpu } = job
            yield* promptly((gpu ? jobs.gpu : jobs.cpu).offer(job, { id }))
            if (wanted.has(gpu)) return
            wanted.add(gpu)
            yield* Effect.forkIn(suspect(gpu), scope)
          }),
        })
        const look = hearNews(run, (answer) =>
          Effect.map(hear(answer), (job) => {
            if (job !== undefined) answered.add(job.gpu)
          }),
        ).pipe(Effect.provideContext(database))
        yield* Effect.suspend(() => (isIdle() ? Effect.void : promptly(look))).pipe(
          Effect.delay(LOOK),
          Effect.forever,
          Effect.forkScoped,
        )
        return executor
      }),
    ).pipe(Layer.provide([queuesLayer(address, "asks"), Leases.layer(command)])),
}
