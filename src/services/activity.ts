/** What goes on on a store: which processes are at work, on what, and how the last runs went. Changes nothing. */
import { Effect, Schema } from "effect"
import { type PastRun, pastRuns, type RunEvent, WORKER } from "./Journal.ts"
import { Leases } from "./Leases.ts"

/** Runs that are listed. */
const LISTED = 10

const Computing = Schema.Struct({
  label: Schema.String,
  since: Schema.String,
  /** Names its cursor, which tells how far it is. */
  cursor: Schema.String,
})
export type Computing = typeof Computing.Type

const Working = Schema.Struct({
  pid: Schema.Int,
  host: Schema.String,
  command: Schema.String,
  startedAt: Schema.String,
  computing: Schema.Array(Computing),
})

const Run = Schema.Struct({
  command: Schema.String,
  startedAt: Schema.String,
  pid: Schema.Int,
  /** `killed` where a journal breaks off and its process is gone. */
  outcome: Schema.Literals(["running", "done", "failed", "interrupted", "killed"]),
  found: Schema.Int,
  computed: Schema.Int,
  failed: Schema.Array(Schema.Struct({ label: Schema.String, because: Schema.String })),
})
type Run = typeof Run.Type

export const Activity = Schema.Struct({
  working: Schema.Array(Working),
  /** Newest first. */
  runs: Schema.Array(Run),
})
export type Activity = typeof Activity.Type

const count = (events: ReadonlyArray<RunEvent>, tag: RunEvent["_tag"]): number =>
  events.filter(({ _tag }) => _tag === tag).length

/** A run in short; none where its journal has no readable beginning, or is that of a worker. */
const summarise = ({ events }: PastRun, working: Activity["working"]): ReadonlyArray<Run> => {
  const [started] = events
  if (started?._tag !== "Started" || started.command === WORKER) return []
  const { command, at: startedAt, pid, host } = started
  const ended = events.find((event) => event._tag === "Ended")
  const isRunning = working.some((process) => process.pid === pid && process.host === host)
  return [
    {
      command,
      startedAt,
      pid,
      outcome: ended?.outcome ?? (isRunning ? "running" : "killed"),
      found: count(events, "Found"),
      computed: count(events, "Computed"),
      failed: events.flatMap((event) =>
        event._tag === "Failed" ? [{ label: event.label, because: event.because }] : [],
      ),
    },
  ]
}

export const activity = Effect.gen(function* () {
  const leases = yield* Leases
  const held = yield* leases.held
  const working = (yield* leases.processes).map(({ pid, host, command, startedAt }) => ({
    pid,
    host,
    command,
    startedAt,
    computing: held
      .filter(({ holder }) => holder.pid === pid && holder.host === host && holder.startedAt === startedAt)
      .map(({ label, since, name }) => ({ label, since, cursor: name })),
  }))
  const runs = (yield* pastRuns).flatMap((run) => summarise(run, working))
  const activity: Activity = { working, runs: runs.toReversed().slice(0, LISTED) }
  return activity
})
