/**
 * Takes the results of an archive into a store. Nothing is visible before all of it was verified: records are sealed and
 * have the key of their pre-image, artifacts have the bytes of their names, and what a record leads to is there.
 */
import { DateTime, Effect, FileSystem, Option, Path, Result, Schema } from "effect"
import type { ArtifactRef } from "../Artifact.ts"
import { ArtifactStore, StageRecord, type StoreName } from "../ArtifactStore.ts"
import { parseJson, parseJsonBytes } from "../formats/json.ts"
import { Progress } from "../Progress.ts"
import { reachableFrom, referencesOf } from "../references.ts"
import { digestOf } from "../store/canonical.ts"
import { artifactPath, recordPath } from "../store/layout.ts"
import { sealed, unsealed } from "../store/sealed.ts"
import { BadArchive, type Entry, isPlainText, objectOf, recordOf } from "./archive.ts"
import { digestOfStream } from "./digest.ts"
import { type Incoming, incoming } from "./incoming.ts"
import type { OpenArchive } from "./readArchive.ts"

const nameWithSize = (ref: ArtifactRef): string => `${artifactPath(ref)} ${ref.bytes}`

/** What became of an archive's content. */
export interface Imported {
  /** Records of the archive, by what runs called them, whether they are new or were there. */
  readonly found: ReadonlyArray<StoreName & { readonly label: string }>
  readonly artifacts: number
  /** Of all entries. */
  readonly bytes: number
  readonly newRecords: number
  readonly newArtifacts: number
}

type Staged = Effect.Success<ReturnType<Incoming["stage"]>>

const decodeRecord = Schema.decodeUnknownOption(StageRecord, { onExcessProperty: "error" })

const hasPlainText = (value: unknown): boolean =>
  typeof value === "object" && value !== null
    ? Object.values(value).every(hasPlainText)
    : typeof value !== "string" || isPlainText(value)

/** The record of an entry's text, if it is one of this name; else what is wrong with it. */
const checkRecord = (text: string, { stage, key }: StoreName): StageRecord | string => {
  // A seal says that nothing was changed, not who made it: what comes from elsewhere has limits, sealed or not.
  const parsed = parseJson(text)
  if (Result.isFailure(parsed)) return parsed.failure.message
  const record = Option.flatMap(unsealed(text), decodeRecord)
  if (Option.isNone(record)) return "is not a record under its own seal"
  const { preimage, provenance } = record.value
  if (record.value.stage !== stage || record.value.key !== key) return "holds the record of another key"
  if (digestOf(preimage) !== key) return "has a key that is not the digest of its pre-image"
  return hasPlainText(provenance) ? record.value : "has control characters in its provenance"
}

/**
 * Imports an archive, which is read once; `command` is what others see at work meanwhile. What was not imported when the
 * scope closes is gone, and until then a garbage collection beside leaves alone what was.
 */
export const importArchive = Effect.fn("importArchive")(function* (
  { file, manifest, digest, next, end }: OpenArchive,
  command: string,
) {
  const store = yield* ArtifactStore
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const progress = yield* Progress
  const files = yield* incoming(command)
  const now = yield* DateTime.now
  const at = DateTime.formatIso(now)
  const bad = (entry: string, because: string) => new BadArchive({ file, entry, because })

  const total = manifest.entries.reduce((sum, { bytes }) => sum + bytes, 0)
  let done = 0
  const receive = <E, R>(entry: Entry, each: (piece: Uint8Array) => Effect.Effect<void, E, R>) =>
    next(entry, (piece) => {
      done += piece.length
      const step = { done: Math.round(done / 1e6), total: Math.round(total / 1e6), unit: "MB" }
      return Effect.andThen(progress.step(step), each(piece))
    })
  const receiveWhole = Effect.fnUntraced(function* (entry: Entry) {
    const pieces: Array<Uint8Array> = []
    yield* receive(entry, (piece) => Effect.sync(() => pieces.push(piece)))
    return Buffer.concat(pieces)
  })

  /** What records and documents refer to, and the entry that does. */
  const needed = new Map<string, { readonly ref: ArtifactRef; readonly by: string }>()
  const need = (refs: ReadonlyArray<ArtifactRef>, by: string) => {
    for (const ref of refs) needed.set(nameWithSize(ref), { ref, by })
  }
  const found: Array<StoreName & { readonly label: string }> = []
  const records: Array<Staged> = []
  const artifacts: Array<Staged> = []

  const receiveRecord = Effect.fnUntraced(function* (entry: Entry, name: StoreName) {
    const record = checkRecord(new TextDecoder().decode(yield* receiveWhole(entry)), name)
    if (typeof record === "string") return yield* bad(entry.name, record)
    need(referencesOf(record.output), entry.name)
    found.push({ ...name, label: manifest.origin.labels[name.key] ?? name.stage })
    const present = yield* Effect.catchTag(store.record(name.stage, name.key), "DamagedArtifact", () =>
      Effect.succeed(Option.none()),
    )
    if (Option.isSome(present)) return
    const provenance = { ...record.provenance, imported: { from: digest, at } }
    const text = new TextEncoder().encode(sealed({ ...record, provenance }))
    records.push(yield* files.stage(path.join(store.root, recordPath(name)), (writeAll) => writeAll(text)))
  })
  /** Whether an artifact is stored, and whole; its time is then now, as if it were written. */
  const isStored = Effect.fnUntraced(function* (ref: ArtifactRef) {
    if (!(yield* store.has(ref))) return false
    const target = store.pathOf(ref)
    const stored = yield* Effect.option(digestOfStream(fs.stream(target), () => Effect.void))
    if (!Option.exists(stored, ({ sha256 }) => sha256 === ref.digest)) return false
    const time = DateTime.toDateUtc(now)
    return Option.isSome(yield* Effect.option(fs.utimes(target, time, time)))
  })
  const receiveArtifact = Effect.fnUntraced(function* (entry: Entry, ref: ArtifactRef) {
    const pieces: Array<Uint8Array> = []
    const isDocument = ref.format === "json"
    const keep = (piece: Uint8Array) => Effect.sync(() => isDocument && pieces.push(piece))
    if (yield* isStored(ref)) yield* receive(entry, keep)
    else {
      const target = store.pathOf(ref)
      const write = files.stage(target, (writeAll) =>
        receive(entry, (piece) => Effect.andThen(keep(piece), writeAll(piece))),
      )
      artifacts.push(yield* write)
    }
    if (!isDocument) return
    const document = parseJsonBytes(Buffer.concat(pieces))
    if (Result.isFailure(document)) return yield* bad(entry.name, document.failure.message)
    need(referencesOf(document.success), entry.name)
  })

  for (const entry of manifest.entries) {
    const record = recordOf(entry.name)
    const artifact = objectOf(entry.name)
    if (Option.isSome(record)) yield* receiveRecord(entry, record.value)
    if (Option.isSome(artifact)) yield* receiveArtifact(entry, { ...artifact.value, bytes: entry.bytes })
  }
  yield* end
  for (const { name, bytes } of manifest.entries) needed.delete(`${name} ${bytes}`)
  for (const { ref, by } of needed.values()) {
    const lacking = bad(by, `leads to ${artifactPath(ref)}, which is neither in the file nor in the store`)
    const refs = yield* Effect.catchTag(reachableFrom(ref), "DamagedArtifact", () => Effect.fail(lacking))
    for (const ref of refs) if (!(yield* store.has(ref))) return yield* lacking
  }
  yield* Effect.uninterruptible(Effect.andThen(files.publish(artifacts), files.publish(records)))
  const imported: Imported = {
    found,
    artifacts: manifest.entries.length - found.length,
    bytes: total,
    newRecords: records.length,
    newArtifacts: artifacts.length,
  }
  return imported
})
