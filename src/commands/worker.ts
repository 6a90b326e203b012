/** `worker`: computes stages that runs with `--executor cluster` ask for, until it is stopped. */
import { Effect, FileSystem, Layer, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { stages } from "../pipelines/registry.ts"
import { type EngineName, isOnGpu } from "../services/engine/engines.ts"
import { WORKER } from "../services/Journal.ts"
import { Leases } from "../services/Leases.ts"
import { Progress } from "../services/Progress.ts"
import { answerOf, compute } from "../services/remote/answer.ts"
import { addressText } from "../services/remote/database.ts"
import { Answer, Job } from "../services/remote/job.ts"
import { queuesLayer } from "../services/remote/queues.ts"
import { answerFile } from "../services/remote/SlurmExecutor.ts"
import { serve } from "../services/remote/serve.ts"
import { commitFile } from "../services/store/files.ts"
import { BadInput } from "./BadInput.ts"
import { descriptions } from "./descriptions.ts"
import { cluster, engine, ensemble, store, threads, workers, workersFor } from "./options.ts"
import { clusterAddress, requireWritable, runnerLayer } from "./services.ts"
import { otlp, watched } from "./telemetry.ts"

const task = Flag.String("task").pipe(
  Flag.withMetavar("FILE"),
  Flag.withDescription("Compute the one stage that is asked for in this file, and end, as Slurm's tasks do"),
  Flag.optional,
)

interface Options {
  readonly cluster: Option.Option<string>
  readonly store: string
  readonly workers: Option.Option<number>
  readonly engine: EngineName
  readonly threads: Option.Option<number>
  readonly ensemble: number
}

/** What stages of others are computed with, up to `count` at a time. */
const runnerOf = (options: Options, count: number, leases = Leases.layer(WORKER)) =>
  runnerLayer({
    ...options,
    command: WORKER,
    workers: count,
    scale: "paper",
    leases,
    cluster: Option.none(),
  })

/** Takes stages from the queue until it is stopped. */
const serving = Effect.fn("serving")(function* (options: Options) {
  const address = yield* clusterAddress(options.cluster)
  const count = yield* workersFor(WORKER, options)
  const atATime = Math.max(count, options.ensemble)
  const leases = Leases.layer(WORKER)
  return yield* Effect.gen(function* () {
    yield* requireWritable
    yield* Effect.flatMap(Leases, ({ introduce }) => introduce)
    const progress = yield* Progress
    yield* progress.say(
      `at work for ${addressText(address)} on ${options.store}, up to ${atATime} ${atATime === 1 ? "stage" : "stages"} at a time; Ctrl-C ends it, and what it has begun goes on elsewhere`,
    )
    yield* serve(stages, { atATime, gpu: isOnGpu(options.engine) })
  }).pipe(
    Effect.provide(
      Layer.merge(queuesLayer(address, "computes"), leases).pipe(
        Layer.provideMerge(runnerOf(options, count, leases)),
      ),
    ),
  )
})

/** Computes the job in a file and writes its answer beside. */
const computing = Effect.fn("computing")(function* (file: string, options: Options) {
  const fs = yield* FileSystem.FileSystem
  const job = yield* fs.readFileString(file).pipe(
    Effect.flatMap(Schema.decodeEffect(Schema.fromJsonString(Job))),
    Effect.mapError(({ message }) => new BadInput({ message: `--task ${file}: ${message}` })),
  )
  const exit = yield* Effect.exit(compute(stages, job).pipe(Effect.provide(runnerOf(options, 1))))
  const answer = yield* Schema.encodeEffect(Schema.fromJsonString(Answer))(answerOf(job, exit))
  yield* commitFile(answerFile(file), new TextEncoder().encode(answer))
  yield* exit
})

export const worker = Command.make(
  WORKER,
  { cluster, task, store, workers, engine, threads, ensemble, otlp },
  (options) =>
    Option.match(options.task, {
      onNone: () => serving(options),
      onSome: (file) => computing(file, options),
    }).pipe(watched(WORKER, options.otlp)),
).pipe(
  Command.withDescription(descriptions.worker),
  Command.withExamples([
    {
      command: "pnpm pipeline worker --cluster postgres://lab@db/grokscope --store /shared/store",
      description: "As many stages at a time as this machine has cores",
    },
  ]),
)
