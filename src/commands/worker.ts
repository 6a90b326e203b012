/** `worker`: computes stages that runs with `--executor cluster` ask for, until it is stopped. */
import { Effect, Layer, Option } from "effect"
import { Command } from "effect/cli"
import { stages } from "../pipelines/registry.ts"
import { addressText } from "../services/cluster/database.ts"
import { queuesLayer } from "../services/cluster/jobs.ts"
import { serve } from "../services/cluster/serve.ts"
import { Leases } from "../services/Leases.ts"
import { Progress } from "../services/Progress.ts"
import { descriptions } from "./descriptions.ts"
import {
  cluster,
  clusterAddress,
  engine,
  ensemble,
  requireWritable,
  runnerLayer,
  store,
  threads,
  workers,
  workersFor,
} from "./options.ts"
import { otlp, watched } from "./telemetry.ts"

const COMMAND = "worker"

export const worker = Command.make(
  COMMAND,
  { cluster, store, workers, engine, threads, ensemble, otlp },
  Effect.fn(function* (options) {
    const address = yield* clusterAddress(options.cluster)
    const count = yield* workersFor(COMMAND, options)
    const atATime = Math.max(count, options.ensemble)
    const serving = Effect.gen(function* () {
      yield* requireWritable
      yield* Effect.flatMap(Leases, ({ introduce }) => introduce)
      const progress = yield* Progress
      yield* progress.say(
        `at work for ${addressText(address)} on ${options.store}, up to ${atATime} ${atATime === 1 ? "stage" : "stages"} at a time; Ctrl-C ends it, and what it has begun goes on elsewhere`,
      )
      yield* serve(stages, atATime)
    })
    const leases = Leases.layer(COMMAND)
    const services = Layer.merge(queuesLayer(address), leases).pipe(
      Layer.provideMerge(
        runnerLayer({
          ...options,
          command: COMMAND,
          workers: count,
          scale: "paper",
          leases,
          cluster: Option.none(),
        }),
      ),
    )
    return yield* Effect.provide(serving, services).pipe(watched(COMMAND, options.otlp))
  }),
).pipe(
  Command.withDescription(descriptions.worker),
  Command.withExamples([
    {
      command: "pnpm pipeline worker --cluster postgres://lab@db/grokscope --store /shared/store",
      description: "As many stages at a time as this machine has cores",
    },
  ]),
)
