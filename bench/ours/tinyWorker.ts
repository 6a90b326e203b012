/** A worker of a cluster for `pnpm bench dispatch`: arguments are the store, the database, and how many stages at a time. */
import { Effect, Layer } from "effect"
import { Executor } from "../../src/services/executor/Executor.ts"
import { recomputable } from "../../src/services/recomputable.ts"
import { parseAddress } from "../../src/services/remote/database.ts"
import { queuesLayer } from "../../src/services/remote/queues.ts"
import { serve } from "../../src/services/remote/serve.ts"
import { servicesOn, tiny } from "./tiny.ts"

const [store, database, atATime] = process.argv.slice(2)

await Effect.runPromise(
  Effect.gen(function* () {
    const address = yield* parseAddress(database)
    return yield* serve([recomputable(tiny)], { atATime: Number(atATime), gpu: false }).pipe(
      Effect.provide(
        queuesLayer(address, "computes").pipe(
          Layer.provideMerge(servicesOn(store, "worker", Executor.inProcess(Number(atATime)))),
        ),
      ),
    )
  }),
)
