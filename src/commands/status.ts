/** `status`: which processes are at work on a store, what they compute, and how the last runs went. */
import { Console, DateTime, Effect, Layer, Option, Schema } from "effect"
import { Command } from "effect/cli"
import { type PastRun, pastRuns, type RunEvent } from "../services/Journal.ts"
import { Leases } from "../services/Leases.ts"
import { duration } from "../services/progress/duration.ts"
import { json, store, storeLayer } from "./options.ts"

/** Runs that are listed. */
const LISTED = 10

const Computing = Schema.Struct({ label: Schema.String, since: Schema.String })

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

/** What `--json` prints. */
export const Status = Schema.Struct({
  store: Schema.String,
  working: Schema.Array(Working),
  /** Newest first. */
  runs: Schema.Array(Run),
})

const count = (events: ReadonlyArray<RunEvent>, tag: RunEvent["_tag"]): number =>
  events.filter(({ _tag }) => _tag === tag).length

/** A run in short; none where its journal has no readable beginning. */
const summarise = ({ events }: PastRun, working: ReadonlyArray<typeof Working.Type>): ReadonlyArray<Run> => {
  const [started] = events
  if (started?._tag !== "Started") return []
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

const inspect = Effect.gen(function* () {
  const leases = yield* Leases
  const held = yield* leases.held
  const working = (yield* leases.processes).map(({ pid, host, command, startedAt }) => ({
    pid,
    host,
    command,
    startedAt,
    computing: held
      .filter(({ holder }) => holder.pid === pid && holder.host === host && holder.startedAt === startedAt)
      .map(({ label, since }) => ({ label, since })),
  }))
  const runs = (yield* pastRuns).flatMap((run) => summarise(run, working))
  return { working, runs: runs.toReversed().slice(0, LISTED) }
})

const age = (since: string, now: DateTime.DateTime): string =>
  Option.match(DateTime.make(since), {
    onNone: () => "",
    onSome: (then) => duration((now.epochMilliseconds - then.epochMilliseconds) / 1000),
  })

const render = ({ store, working, runs }: typeof Status.Type, now: DateTime.DateTime): string =>
  [
    working.length === 0 ? `no process is at work on ${store}` : `at work on ${store}:`,
    ...working.flatMap(({ pid, host, command, startedAt, computing }) => [
      `  ${command}  process ${pid} on ${host}, for ${age(startedAt, now)}`,
      ...computing.map(({ label, since }) => `    ${label}  ${age(since, now)}`),
    ]),
    "",
    runs.length === 0 ? "no runs yet" : "last runs:",
    ...runs.flatMap(({ command, startedAt, outcome, found, computed, failed }) => [
      `  ${startedAt}  ${outcome.padEnd(11)}  ${command}  (${computed} computed, ${found} found)`,
      ...failed.map(({ label, because }) => `    ${label}: ${because}`),
    ]),
  ].join("\n")

export const status = Command.make("status", { store, json }, (options) =>
  Effect.gen(function* () {
    const state = { store: options.store, ...(yield* inspect) }
    yield* Console.log(
      options.json
        ? JSON.stringify(yield* Schema.encodeEffect(Status)(state), null, 2)
        : render(state, yield* DateTime.now),
    )
  }).pipe(Effect.provide(Leases.layer("status").pipe(Layer.provideMerge(storeLayer(options))))),
).pipe(
  Command.withDescription(
    "Show which processes are at work on the store, on what, and how the last runs went",
  ),
  Command.withExamples([{ command: "pnpm pipeline status", description: "What is being computed now" }]),
)
