/**
 * What the processes of a cluster say to each other, by way of durable queues in a database (Effect's `PersistedQueue`):
 *
 *     jobs            stages to compute, taken by whichever worker is free
 *     jobs-gpu        those that need a GPU
 *     answers-<run>   to the process that asked for them
 *
 * A job names a stage, its key and its input, whose data are digests of artifacts; tensors never pass through. What a stage comes to goes
 * through the artifact store, which all of them share. A job that a worker has taken and does not stand by for {@link EXPIRATION} is
 * given to another, so stages may be computed twice, and keys name content: that does no harm.
 */
import { Effect, Layer, Schedule } from "effect"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import { type Address, databaseLayer } from "./database.ts"
import { Answer, Job } from "./job.ts"

/** The table of the queues. */
export const TABLE = "grokscope_queue"
const EXPIRATION = "12 seconds"
const REFRESH = "3 seconds"
const POLL = "100 millis"

/** How often a job is given to a worker: whoever takes it last says that those before it died of it. */
export const MOST_ATTEMPTS = 5

/** Those that need a GPU are taken by workers that have one, and these take no others. */
export const jobsFor = (gpu: boolean): string => (gpu ? "jobs-gpu" : "jobs")

export const openJobs = (gpu: boolean) =>
  PersistedQueue.make({
    name: jobsFor(gpu),
    schema: Job,
    maxAttempts: MOST_ATTEMPTS,
    retrySchedule: Schedule.spaced("1 second"),
  })

/** The name of the queue of answers to a run. */
export const answersTo = (run: string): string => `answers-${run}`

export const openAnswers = (run: string) =>
  PersistedQueue.make({ name: answersTo(run), schema: Answer, maxAttempts: 100 })

/** Forgets jobs and answers that nobody wants any more: those of runs that were killed. */
const tidying = PersistedQueue.layerCleanup({
  interval: "1 hour",
  timeToLive: "1 day",
  failedTimeToLive: "1 day",
})

/** The database's queues. */
export const queuesLayer = (address: Address) =>
  Layer.merge(PersistedQueue.layer, tidying).pipe(
    Layer.provide(
      PersistedQueue.layerStoreSql({
        tableName: TABLE,
        pollInterval: POLL,
        lockRefreshInterval: REFRESH,
        lockExpiration: EXPIRATION,
      }),
    ),
    Layer.provideMerge(databaseLayer(address)),
  )

/** Tries again until the database answers. `tell` is told once. */
export const untilAnswered =
  (tell: (line: string) => Effect.Effect<void>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, never, R> => {
    let told = false
    return effect.pipe(
      // Of a queue that cannot settle a job, Effect makes a defect; the job is given to another.
      Effect.sandbox,
      Effect.tapError(() => {
        if (told) return Effect.void
        told = true
        return tell("the database does not answer; trying again every second")
      }),
      Effect.retry(Schedule.spaced("1 second")),
      Effect.orDie,
    )
  }
