/**
 * What each run on a store did, one line of JSON after another: who, when, which key, found or computed, what failed.
 *
 *     runs/<start>-<pid>.ndjson
 *
 * It is a history, and what garbage collection takes for wanted. A run that is killed leaves its last line torn, or none;
 * readers pass over what they cannot read.
 */
import { hostname } from "node:os"
import {
  Context,
  DateTime,
  Effect,
  Exit,
  FileSystem,
  Layer,
  Option,
  Path,
  Schema,
  Scope,
  Semaphore,
} from "effect"
import { ArtifactStore, StoreFailure } from "./ArtifactStore.ts"
import { makeDirectories } from "./store/files.ts"

/** Names the file that a process prints to, for its journal. */
export const LOG = "GROKSCOPE_LOG"

/** The command of a process that computes what others ask for: what it does they want, not itself. */
export const WORKER = "worker"

/** Milliseconds that an event of little weight may wait to be written. */
const FLUSH = 100

const at = Schema.String
const computation = { at, label: Schema.String, stage: Schema.String, key: Schema.String }

export const RunEvent = Schema.Union([
  Schema.TaggedStruct("Started", {
    at,
    command: Schema.String,
    pid: Schema.Int,
    host: Schema.String,
    /** Where the process prints to, if whoever started it said so. */
    log: Schema.optionalKey(Schema.String),
  }),
  /** Was stored. */
  Schema.TaggedStruct("Found", computation),
  /** Other processes are asked to compute it. */
  Schema.TaggedStruct("Asked", computation),
  /** Is computed from now on, on a cursor that keeps what is done if it never ends. */
  Schema.TaggedStruct("Began", { ...computation, cursor: Schema.String }),
  Schema.TaggedStruct("Computed", {
    ...computation,
    seconds: Schema.Finite,
    /** Of the artifacts that the output names. */
    bytes: Schema.Int,
  }),
  Schema.TaggedStruct("Failed", { ...computation, because: Schema.String }),
  Schema.TaggedStruct("Ended", { at, outcome: Schema.Literals(["done", "failed", "interrupted"]) }),
])
export type RunEvent = typeof RunEvent.Type

/** An event without its time, which the journal adds. */
type Untimed = RunEvent extends infer Event ? (Event extends RunEvent ? Omit<Event, "at"> : never) : never

const RunLine = Schema.fromJsonString(RunEvent)

const failed = (operation: string, path: string) =>
  Effect.mapError((cause: unknown) => new StoreFailure({ operation, path, cause }))

export class Journal extends Context.Service<
  Journal,
  {
    readonly append: (event: Untimed) => Effect.Effect<void, StoreFailure>
    /** Where it is written. */
    readonly file: Effect.Effect<string, StoreFailure>
  }
>()("grokscope/services/Journal") {
  /** The journal of this process, begun with its first event. */
  static readonly layer = (command: string) =>
    Layer.effect(
      Journal,
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const { root } = yield* ArtifactStore
        const services = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
        const scope = yield* Effect.scope
        const directory = path.join(root, "runs")
        const turn = yield* Semaphore.make(1)

        /** Lines that are not written yet. */
        let pending = ""
        const note = Effect.fnUntraced(function* (event: Untimed) {
          pending += `${JSON.stringify({ at: DateTime.formatIso(yield* DateTime.now), ...event })}\n`
        })
        const flush = Effect.fnUntraced(function* (file: FileSystem.File) {
          if (pending === "") return
          const lines = new TextEncoder().encode(pending)
          pending = ""
          yield* file.writeAll(lines)
        })
        const write = (file: FileSystem.File, event: Untimed) => Effect.andThen(note(event), flush(file))
        const opened = yield* Effect.cached(
          Effect.gen(function* () {
            yield* makeDirectories(directory).pipe(Effect.provideContext(services))
            const start = DateTime.formatIso(yield* DateTime.now).replaceAll(/[^0-9TZ]/g, "")
            const name = path.join(directory, `${start}-${process.pid}.ndjson`)
            const file = yield* fs.open(name, { flag: "a" })
            const log = process.env[LOG]
            yield* write(file, {
              _tag: "Started",
              command,
              pid: process.pid,
              host: hostname(),
              ...(log === undefined ? {} : { log }),
            })
            yield* turn
              .withPermit(flush(file))
              .pipe(Effect.ignore, Effect.delay(FLUSH), Effect.forever, Effect.forkScoped)
            yield* Effect.addFinalizer((exit) => {
              const outcome = Exit.isSuccess(exit)
                ? "done"
                : Exit.hasInterrupts(exit)
                  ? "interrupted"
                  : "failed"
              return Effect.ignore(turn.withPermit(write(file, { _tag: "Ended", outcome })))
            })
            return { name, file }
          }).pipe(Scope.provide(scope)),
        )
        return Journal.of({
          append: (event) =>
            turn
              .withPermit(
                // What is found or asked for is told in batches: a run that finds everything does little else.
                Effect.flatMap(opened, ({ file }) =>
                  event._tag === "Found" || event._tag === "Asked" ? note(event) : write(file, event),
                ),
              )
              .pipe(failed("write", directory)),
          file: opened.pipe(
            Effect.map(({ name }) => name),
            failed("write", directory),
          ),
        })
      }),
    )
}

/** A run as its journal tells it, events in order. */
export interface PastRun {
  readonly file: string
  readonly events: ReadonlyArray<RunEvent>
}

/** All runs of a store, oldest first. */
export const pastRuns = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { root } = yield* ArtifactStore
  const directory = path.join(root, "runs")
  const names = yield* fs.readDirectory(directory).pipe(
    Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed([])),
    failed("list", directory),
  )
  const journals = names.filter((name) => name.endsWith(".ndjson")).sort()
  return yield* Effect.forEach(journals, (name) => {
    const file = path.join(directory, name)
    return fs.readFileString(file).pipe(
      failed("read", file),
      Effect.map((text): PastRun => {
        const events = text.split("\n").map((line) => Schema.decodeUnknownOption(RunLine)(line))
        return { file, events: events.flatMap(Option.toArray) }
      }),
    )
  })
})

/** What runs called each key and cursor, the newest name of each, in the order in which they were last mentioned. */
export const labelsOf = (runs: ReadonlyArray<PastRun>): ReadonlyMap<string, string> => {
  const labels = new Map<string, string>()
  for (const event of runs.flatMap(({ events }) => events)) {
    if (!("key" in event)) continue
    for (const name of [event.key, ...("cursor" in event ? [event.cursor] : [])]) {
      labels.delete(name)
      labels.set(name, event.label)
    }
  }
  return labels
}
