/**
 * What a store holds, what leads to what and what is wanted: all that a collection decides about. Like any reader it moves
 * what is damaged to quarantine, and changes nothing else.
 */
import { Clock, DateTime, Effect, Option, Schema } from "effect"
import { ArtifactStore, type StageRecord } from "../ArtifactStore.ts"
import { labelsOf, pastRuns } from "../Journal.ts"
import { Leases, type WorkingProcess } from "../Leases.ts"
import { type Pin, pins } from "../pins.ts"
import { referencesInJson, referencesOf } from "../references.ts"
import { artifactPath, cursorPath, recordPath, type StoreName } from "../store/layout.ts"
import type { Kind, Part, Parts, Reason, Root } from "./decide.ts"
import { type StoredFile, storedFiles } from "./files.ts"
import { cursorsOf, rootRuns } from "./roots.ts"

/** What is wanted by a living process was written after its start, but for this difference of clocks. */
const MARGIN = 60_000

export interface Gathered {
  readonly parts: Parts
  readonly roots: ReadonlyArray<Root>
  /** The files that each part consists of. */
  readonly files: ReadonlyMap<string, ReadonlyArray<StoredFile>>
  /** What runs call each key. */
  readonly labels: ReadonlyMap<string, string>
  readonly pins: ReadonlyArray<Pin>
}

type Files = Gathered["files"]

const kindOf = {
  Artifact: "artifact",
  Record: "record",
  Entry: "cursor",
  Temporary: "temporary",
  Quarantined: "quarantined",
  Sign: "process",
} as const satisfies Record<StoredFile["place"]["_tag"], Kind>

/** A cursor is all of its entries; every other file is a part by itself. */
const partOf = ({ path, place }: StoredFile): string => (place._tag === "Entry" ? cursorPath(place.of) : path)

type Links = Pick<Part, "leadsTo" | "madeFrom" | "seconds">
const nowhere: Links = { leadsTo: [], madeFrom: [], seconds: 0 }

/** The artifacts that encoded data refers to. */
const artifactsIn = (value: unknown): ReadonlyArray<string> => referencesOf(value).map(artifactPath)

const decodePreimage = Schema.decodeUnknownOption(Schema.Struct({ input: Schema.Unknown }))

const linksOfRecord = ({ stage, cursor, output, preimage, provenance }: StageRecord): Links => ({
  leadsTo: [...artifactsIn(output), cursorPath({ stage, key: cursor })],
  madeFrom: artifactsIn(Option.getOrUndefined(decodePreimage(preimage))?.input),
  seconds: provenance.seconds,
})

/** What documents and cursors lead to. What cannot be read leads nowhere. */
const linksOfPlace = Effect.fnUntraced(function* ({ place, bytes }: StoredFile) {
  const store = yield* ArtifactStore
  if (place._tag === "Entry") {
    return { ...nowhere, leadsTo: artifactsIn(yield* store.cursor(place.of.stage, place.of.key)) }
  }
  if (place._tag !== "Artifact" || place.ref.format !== "json") return nowhere
  return yield* store.get({ ...place.ref, bytes }).pipe(
    Effect.map((text) => ({ ...nowhere, leadsTo: referencesInJson(text).map(artifactPath) })),
    Effect.catchTag("DamagedArtifact", () => Effect.succeed(nowhere)),
  )
})

const partsOf = Effect.fnUntraced(function* (files: Files, records: ReadonlyArray<StageRecord>) {
  const ofRecords = new Map(records.map((record) => [recordPath(record), linksOfRecord(record)]))
  const parts = yield* Effect.forEach(
    files,
    Effect.fnUntraced(function* ([name, of]) {
      const [first] = of
      const links = ofRecords.get(name) ?? (yield* linksOfPlace(first))
      const bytes = of.reduce((sum, file) => sum + file.bytes, 0)
      const part: Part = { name, kind: kindOf[first.place._tag], bytes, ...links }
      return part
    }),
    { concurrency: 8 },
  )
  return new Map(parts.map((part) => [part.name, part]))
})

/** The record of a key, and those by which a person accepted it for other code; its cursor where there is no record. */
const namesOfKey = (records: ReadonlyArray<StageRecord>, cursors: ReadonlyMap<string, StoreName>) => {
  const byKey = Map.groupBy(records, ({ key }) => key)
  const heirs = Map.groupBy(records, ({ provenance }) => provenance.accepted?.from)
  return (key: string): ReadonlyArray<string> => {
    const keys = new Set([key])
    // The set grows while it is gone through.
    for (const each of keys) for (const heir of heirs.get(each) ?? []) keys.add(heir.key)
    const names = [...keys].flatMap((each) => byKey.get(each) ?? []).map(recordPath)
    const cursor = cursors.get(key)
    return byKey.has(key) || cursor === undefined ? names : [...names, cursorPath(cursor)]
  }
}

/**
 * What living processes may be about to use: what was written or put again since the oldest of them started.
 *
 * Clocks of other machines may be off by more than the margin. Then something is deleted that a run there has just
 * written: a record that leads to it is a miss and is computed again. Nothing wrong is ever used.
 */
const recent = (files: Files, living: ReadonlyArray<WorkingProcess>, now: number): ReadonlyArray<string> => {
  const starts = living.map(({ startedAt }) =>
    Option.match(DateTime.make(startedAt), {
      onNone: () => Number.NEGATIVE_INFINITY,
      onSome: ({ epochMilliseconds }) => epochMilliseconds,
    }),
  )
  const since = Math.min(...starts) - MARGIN
  // Not every command that writes a file makes itself known.
  const sinceTemporary = Math.min(...starts, now) - MARGIN
  return [...files].flatMap(([name, of]) => {
    const changedAt = of.reduce((newest, file) => Math.max(newest, file.changedAt), 0)
    switch (of[0].place._tag) {
      case "Sign":
        return []
      case "Temporary":
        return changedAt >= sinceTemporary ? [name] : []
      default:
        return changedAt >= since ? [name] : []
    }
  })
}

/** Reads a whole store. */
export const gather = Effect.gen(function* () {
  const store = yield* ArtifactStore
  const leases = yield* Leases
  const now = yield* Clock.currentTimeMillis
  // First, so that what is no longer held when records are read has its record.
  const held = new Set((yield* leases.held).map(({ name }) => name))
  const files = Map.groupBy(yield* storedFiles, partOf)
  const records = yield* store.records
  const parts = yield* partsOf(files, records)
  // Last, so that what runs find meanwhile counts.
  const living = yield* leases.living
  const remembered = yield* leases.remembered
  const runs = yield* pastRuns
  const pinned = yield* pins

  const names = namesOfKey(records, cursorsOf(runs))
  const rooted = (reason: Reason, keys: Iterable<string>) =>
    [...keys].flatMap(names).map((name): Root => ({ name, reason }))
  const inUse = [...files].flatMap(([name, [{ place }]]) =>
    (place._tag === "Entry" && held.has(place.of.key)) ||
    (place._tag === "Sign" && remembered.has(place.process))
      ? [name]
      : [],
  )
  const roots: ReadonlyArray<Root> = [
    ...rootRuns(runs, living.values()).flatMap(({ command, isWorking, keys }) => [
      ...rooted({ _tag: "Run", command }, keys),
      ...(isWorking ? rooted({ _tag: "Process" }, keys) : []),
    ]),
    ...pinned.flatMap(({ key }) => rooted({ _tag: "Pin", key }, [key])),
    ...[...inUse, ...recent(files, [...living.values()], now)].map(
      (name): Root => ({ name, reason: { _tag: "Process" } }),
    ),
  ]
  const gathered: Gathered = { parts, roots, files, labels: labelsOf(runs), pins: pinned }
  return gathered
})
