/** Stores and reports as files: what a process leaves, seen from outside. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Option, Schema } from "effect"
import { StageRecord } from "../../src/services/ArtifactStore.ts"
import { RunEvent } from "../../src/services/Journal.ts"
import { filesBelow } from "../services/store/temporary.ts"

const decodeRecord = Schema.decodeUnknownSync(Schema.fromJsonString(StageRecord))

const filesIn = (directory: string): ReadonlyArray<string> =>
  existsSync(directory) ? filesBelow(directory).filter((file) => !file.endsWith(".tmp")) : []

/** What a store holds about stages, without when and where it was computed. */
export const recordsOf = (store: string) =>
  filesIn(join(store, "records")).map((file) => {
    const { provenance: _, ...record } = decodeRecord(readFileSync(join(store, "records", file), "utf8"))
    return record
  })

/** Every blob, by path. */
export const objectsOf = (store: string): ReadonlyArray<string> =>
  filesIn(join(store, "objects")).map((file) => join(store, "objects", file))

const decodeEvent = Schema.decodeUnknownOption(Schema.fromJsonString(RunEvent))

/** What the runs on a store say that they did. */
export const eventsOf = (store: string): ReadonlyArray<RunEvent> =>
  filesIn(join(store, "runs"))
    .flatMap((file) => readFileSync(join(store, "runs", file), "utf8").split("\n"))
    .flatMap((line) => Option.toArray(decodeEvent(line)))

/** Labels of what was computed, of all runs, sorted. */
export const computedIn = (store: string): ReadonlyArray<string> =>
  eventsOf(store)
    .flatMap((event) => (event._tag === "Computed" ? [event.label] : []))
    .sort()

/** Files of processes and their leases. */
export const workingIn = (store: string): ReadonlyArray<string> =>
  ["leases", "processes"].flatMap((directory) => filesIn(join(store, directory)))

export const isQuarantineEmpty = (store: string): boolean =>
  !existsSync(join(store, "quarantine")) || readdirSync(join(store, "quarantine")).length === 0

/** Everything of a report, by name; the manifest says when, so it differs from run to run. */
export const reportIn = (directory: string): ReadonlyMap<string, string> =>
  new Map(
    filesBelow(directory)
      .filter((name) => name !== "manifest.json")
      .map((name) => [name, readFileSync(join(directory, name), "base64")]),
  )

/** Files that differ or that one of them lacks. */
export const differing = (
  a: ReadonlyMap<string, string>,
  b: ReadonlyMap<string, string>,
): ReadonlyArray<string> =>
  [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name))
