/** Checks everything that a store holds; what is bad is moved to quarantine, as by any reader. */
import { Effect, Option } from "effect"
import { ArtifactStore, type StoreError, type StoreName } from "./ArtifactStore.ts"
import { Progress } from "./Progress.ts"
import { reachableFrom } from "./references.ts"
import { digestOf } from "./store/canonical.ts"

export interface Verification {
  readonly blobs: number
  readonly bytes: number
  readonly records: number
  readonly cursors: number
  /** What is wrong, a line each. */
  readonly damages: ReadonlyArray<string>
}

/** What a check finds, a line for each damage; that it fails with one is a finding. */
const findings = <R>(check: Effect.Effect<ReadonlyArray<string>, StoreError, R>) =>
  Effect.catchTag(check, "DamagedArtifact", ({ name, because }) => Effect.succeed([`${name} ${because}`]))

/** A record is what it was committed as, its key is the digest of its pre-image, and what its output leads to is there. */
const checkRecord = Effect.fnUntraced(function* ({ stage, key }: StoreName) {
  const store = yield* ArtifactStore
  const record = yield* store.record(stage, key)
  if (Option.isNone(record)) return []
  const { preimage, output } = record.value
  const name = `record ${key.slice(0, 12)} of ${stage}`
  const damages = digestOf(preimage) === key ? [] : [`${name} has a key that is not its pre-image's digest`]
  for (const ref of yield* reachableFrom(output)) {
    if (!(yield* store.has(ref))) {
      damages.push(`${name} leads to artifact ${ref.digest.slice(0, 12)}, which is missing`)
    }
  }
  return damages
})

/** Reads and checks every blob, record and cursor. A second look after a damage finds what is behind it. */
export const verify = Effect.gen(function* () {
  const store = yield* ArtifactStore
  const progress = yield* Progress
  const blobs = yield* store.find("")
  const total = blobs.reduce((sum, { bytes }) => sum + bytes, 0)
  const damages: Array<string> = []
  let bytes = 0
  for (const ref of blobs) {
    damages.push(...(yield* findings(Effect.as(store.get(ref), []))))
    bytes += ref.bytes
    yield* progress.step({ done: Math.round(bytes / 1e6), total: Math.round(total / 1e6), unit: "MB" })
  }
  const cursors = yield* store.cursorNames
  for (const { stage, key } of cursors) {
    let found: ReadonlyArray<string>
    do {
      found = yield* findings(Effect.as(store.checkCursor(stage, key), []))
      damages.push(...found)
    } while (found.length > 0)
  }
  const records = yield* store.recordNames
  for (const name of records) damages.push(...(yield* findings(checkRecord(name))))
  const verification: Verification = {
    blobs: blobs.length,
    bytes,
    records: records.length,
    cursors: cursors.length,
    damages,
  }
  return verification
})
