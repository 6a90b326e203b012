/**
 * Accepts what was computed by other code: a record under the key of the present code, with the same output and the reason.
 * For changes that a fingerprint sees and a person knows to change no result, such as a new name in a helper.
 */
import { DateTime, Effect, Option, Schema } from "effect"
import { ArtifactStore, type StageRecord } from "./ArtifactStore.ts"
import { type StageCode, stageCode } from "./stageCode.ts"
import { digestOf } from "./store/canonical.ts"

const Preimage = Schema.Struct({ version: Schema.Int, input: Schema.Unknown })

/**
 * Accepts every stored output of a stage whose input has none under the present code; of several, the newest. Returns the
 * new records. A stage's `version` says that its results mean something else, so those of other versions stay out.
 */
export const accept = Effect.fn("accept")(function* (stage: StageCode, because: string) {
  const store = yield* ArtifactStore
  const code = yield* stageCode(stage)
  const at = DateTime.formatIso(yield* DateTime.now)
  const present = new Set<string>()
  const accepted: Array<StageRecord> = []
  const records = (yield* store.records)
    .filter((record) => record.stage === stage.name)
    .toSorted((a, b) => (a.provenance.committedAt < b.provenance.committedAt ? 1 : -1))
  for (const { key } of records) present.add(key)
  for (const record of records) {
    const before = Schema.decodeUnknownOption(Preimage)(record.preimage)
    if (Option.isNone(before) || before.value.version !== stage.version) continue
    const preimage = { ...code, input: before.value.input }
    const key = digestOf(preimage)
    if (present.has(key)) continue
    present.add(key)
    const provenance = { ...record.provenance, accepted: { from: record.key, because, at } }
    const next: StageRecord = { ...record, key, preimage, provenance }
    yield* store.commitRecord(next)
    accepted.push(next)
  }
  return accepted
})
