/**
 * What the processes of a cluster say to each other, by way of durable queues in a database (Effect's `PersistedQueue`):
 *
 *     jobs            stages to compute, taken by whichever worker is free
 *     jobs-gpu        those that need a GPU
 *     answers-<run>   to the process that asked for them, of jobs that have begun, failed or were dropped
 *
 * A job names a stage, its key and its input, whose data are digests of artifacts; tensors never pass through. What a stage comes to goes
 * through the artifact store, which all of them share; that it is there, the queue of jobs says itself. A job that a worker has taken and does not
 * stand by for {@link EXPIRATION} is given to another, so stages may be computed twice, and keys name content: that does no harm.
 */
import { Cause, Effect, Layer, Predicate, References, Schedule, Schema } from "effect"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import { SqlClient } from "effect/sql/SqlClient"
import { type Address, databaseLayer, reasonOf, unreachable } from "./database.ts"
import { Answer, Job } from "./job.ts"

/** Raised with the form of jobs or answers: processes of different forms do not see each other's. */
const FORM = 3

const TABLE = "grokscope_queue"
const EXPIRATION = "12 seconds"
const REFRESH = "3 seconds"
const POLL = "100 millis"
/** What takes longer is asked again on another connection: a host that is gone does not say so. */
const PATIENCE = "30 seconds"

/** How often a job is given to a worker: whoever takes it last says that those before it gave it up. */
export const MOST_ATTEMPTS = 12

/** Those that need a GPU are taken by workers that have one, and these take no others. */
export const jobsFor = (gpu: boolean): string => `jobs${gpu ? "-gpu" : ""}.${FORM}`

export const openJobs = (gpu: boolean) =>
  PersistedQueue.make({
    name: jobsFor(gpu),
    schema: Job,
    maxAttempts: MOST_ATTEMPTS,
    retrySchedule: Schedule.spaced("1 second"),
  })

const answersTo = (run: string): string => `answers-${run}.${FORM}`

/** Where answers to a run are put. */
export const openAnswers = (run: string) => PersistedQueue.make({ name: answersTo(run), schema: Answer })

/** An answer, or a job that has ended. */
interface Row {
  readonly sequence: string
  readonly id: string
  readonly answer: string | null
  readonly state: string
  readonly last_failure: string | null
}

const decodeAnswer = Schema.decodeEffect(Schema.fromJsonString(Answer))

/** What a job has come to. */
const newsOf = ({ id, answer, state, last_failure }: Row): Effect.Effect<Answer> => {
  if (answer !== null) return Effect.orDie(decodeAnswer(answer))
  if (state === "completed") return Effect.succeed({ _tag: "Done", id })
  const message = `no worker could take it: ${last_failure?.split("\n", 1)[0] ?? "unknown"}`
  return Effect.succeed({ _tag: "Failed", id, tag: "NotTaken", message })
}

/** Jobs of a run, by their ids. */
const jobsOf = (sql: SqlClient, run: string) => sql`id LIKE ${`${run}.%`} AND queue_name LIKE 'jobs%'`

/**
 * Hears what a run's jobs have come to since the last time: all at once, so that thousands take few queries. That a job has failed or was dropped is
 * put before the job ends and heard before its end. What was heard is forgotten; where that fails, it is heard again.
 */
export const hearNews = Effect.fnUntraced(function* (
  run: string,
  hear: (answer: Answer) => Effect.Effect<void>,
) {
  const sql = yield* SqlClient
  const answers = sql`queue_name = ${answersTo(run)}`
  const rows = yield* sql<Row>`
    SELECT sequence, id, state, last_failure, CASE WHEN ${answers} THEN element END AS answer FROM ${sql(TABLE)}
    WHERE ${answers} OR (${jobsOf(sql, run)} AND state <> 'pending')
    ORDER BY ${answers} DESC, sequence`
  if (rows.length === 0) return
  for (const row of rows) yield* hear(yield* newsOf(row))
  yield* sql`DELETE FROM ${sql(TABLE)} WHERE ${sql.in(
    "sequence",
    rows.map(({ sequence }) => sequence),
  )}`
})

/** Forgets what a run has asked for. What workers have begun they end. */
export const forget = Effect.fnUntraced(function* (run: string) {
  const sql = yield* SqlClient
  yield* sql`DELETE FROM ${sql(TABLE)}
    WHERE queue_name = ${answersTo(run)} OR (${jobsOf(sql, run)} AND (acquired_by IS NULL OR state <> 'pending'))`
})

/** Forgets jobs and answers that nobody wants any more: those of runs that were killed. */
const tidying = Effect.gen(function* () {
  const sql = yield* SqlClient
  // One that asks may be suspended for long, and hears then what has become of its jobs.
  const old = sql`updated_at < NOW() - INTERVAL '30 days' AND acquired_by IS NULL`
  yield* Effect.ignore(sql`DELETE FROM ${sql(TABLE)} WHERE queue_name LIKE 'answers-%' AND ${old}`)
  yield* Effect.ignore(sql`DELETE FROM ${sql(TABLE)} WHERE state <> 'pending' AND ${old}`)
})

/**
 * The database's queues; fails with {@link ClusterUnreachable} where they cannot be had.
 * @param side of those who compute or of the one who asks. Where a database crashes that has not yet written what workers said last, they
 * have not said it: their jobs are given away again. So they do not wait for its disk.
 */
export const queuesLayer = (address: Address, side: "asks" | "computes") =>
  Layer.effectDiscard(tidying).pipe(
    Layer.provideMerge(PersistedQueue.layer),
    Layer.provide(
      PersistedQueue.layerStoreSql({
        tableName: TABLE,
        pollInterval: POLL,
        lockRefreshInterval: REFRESH,
        lockExpiration: EXPIRATION,
      }),
    ),
    Layer.provideMerge(databaseLayer(address, { waitsForDisk: side === "asks" })),
    // That it cannot make its tables is a defect to Effect.
    Layer.catchCause((cause) => Layer.effectContext(Effect.fail(unreachable(address, Cause.squash(cause))))),
    // Of a database that does not answer, it warns twice a second; `makeInsistence` says so once.
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "Error")),
  )

const isOfDatabase = (error: unknown): boolean =>
  Predicate.hasProperty(error, "_tag") &&
  ["PersistedQueueError", "SqlError", "TimeoutError"].some((tag) => tag === error._tag)

/** Asks the database whether it is there and takes changes; changes nothing. */
export const ping = Effect.flatMap(SqlClient, (sql) => sql`UPDATE ${sql(TABLE)} SET id = id WHERE FALSE`)

/**
 * Ways to ask a database until it answers; `tell` is told once that it does not, and once that all who ask `promptly`, which is for
 * what takes no time, are answered again. A host that is gone may not say so: they ask anew after a while.
 */
export const makeInsistence = (tell: (line: string) => Effect.Effect<void>) => {
  let isTold = false
  /** Those of `promptly` that were not answered last. */
  const unanswered = new Set<symbol>()
  const complain = (cause: Cause.Cause<unknown>) => {
    const error = Cause.squash(cause)
    if (isTold || !isOfDatabase(error)) return Effect.void
    isTold = true
    return tell(`the database does not answer (${reasonOf(error)}); trying again every second`)
  }
  const rejoice = Effect.suspend(() => {
    if (!isTold || unanswered.size > 0) return Effect.void
    isTold = false
    return tell("the database answers again")
  })

  const insistently = <A, E, R>(
    effect: Effect.Effect<A, E | PersistedQueue.PersistedQueueError | Cause.TimeoutError, R>,
  ): Effect.Effect<A, E, R> =>
    effect.pipe(
      // Of a queue that cannot settle a job, Effect makes a defect; the job is given to another.
      Effect.sandbox,
      Effect.tapError(complain),
      Effect.retry({
        schedule: Schedule.spaced("1 second"),
        while: (cause) => isOfDatabase(Cause.squash(cause)),
      }),
      // Those of the database were all tried again.
      Effect.catch((cause) => Effect.failCause(cause as Cause.Cause<E>)),
    )
  const promptly = <A, E, R>(effect: Effect.Effect<A, E | PersistedQueue.PersistedQueueError, R>) => {
    const self = Symbol()
    const once = Effect.timeout(effect, PATIENCE).pipe(
      Effect.tapCause(() => Effect.sync(() => unanswered.add(self))),
    )
    return insistently<A, E, R>(once).pipe(
      Effect.ensuring(Effect.sync(() => unanswered.delete(self))),
      Effect.tap(rejoice),
    )
  }
  return { insistently, promptly }
}
