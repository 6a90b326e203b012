/**
 * Computes anew what records lead to and is missing or in quarantine: by the recipe in the record, its pre-image. Refuses
 * where there is none any more, because the record itself was damaged or the code has changed since.
 */
import { Effect, Option } from "effect"
import { ArtifactStore, type StageRecord } from "./ArtifactStore.ts"
import type { Recomputable } from "./recomputable.ts"
import { isWhole } from "./references.ts"
import { inputOf } from "./rerun.ts"

export interface Repair {
  /** Names of what was computed anew. */
  readonly repaired: ReadonlyArray<string>
  /** What could not be, a line each with the reason. */
  readonly refused: ReadonlyArray<string>
}

interface Broken {
  readonly record: StageRecord
  readonly stage: Recomputable
  readonly input: unknown
}

const nameOf = ({ stage, key }: StageRecord): string => `${stage} ${key.slice(0, 12)}`

/** What leads to something damaged is not whole either. */
const isIntact = (value: unknown) =>
  Effect.catchTag(isWhole(value), "DamagedArtifact", () => Effect.succeed(false))

/** Has the output again, with what a reader must know of the old one. */
const restore = Effect.fnUntraced(function* ({ record, stage, input }: Broken) {
  const store = yield* ArtifactStore
  yield* stage.restore(input, nameOf(record))
  const { note } = record.provenance
  const restored = yield* store.record(record.stage, record.key)
  if (note === undefined || Option.isNone(restored)) return
  const { provenance } = restored.value
  yield* store.commitRecord({ ...restored.value, provenance: { ...provenance, note } })
})

/** Repairs every record of the store whose output is not whole, upstream first. */
export const repair = Effect.fn("repair")(function* (stages: ReadonlyArray<Recomputable>) {
  const store = yield* ArtifactStore
  const repaired: Array<string> = []
  const refused: Array<string> = []
  let pending: Array<Broken> = []
  for (const record of yield* store.records) {
    if (yield* isIntact(record.output)) continue
    const stage = stages.find(({ name }) => name === record.stage)
    const input = stage === undefined ? Option.none() : yield* inputOf(stage, record)
    if (stage === undefined || Option.isNone(input)) {
      refused.push(`${nameOf(record)}: it was computed by other code; run its pipeline again`)
    } else {
      pending.push({ record, stage, input: input.value })
    }
  }
  while (pending.length > 0) {
    const waiting: typeof pending = []
    for (const broken of pending) {
      if (!(yield* isIntact(broken.input))) {
        waiting.push(broken)
        continue
      }
      const name = nameOf(broken.record)
      yield* restore(broken).pipe(
        Effect.match({
          onSuccess: () => repaired.push(name),
          onFailure: ({ message }) => refused.push(`${name}: ${message}`),
        }),
      )
    }
    if (waiting.length === pending.length) {
      refused.push(
        ...waiting.map(
          ({ record }) => `${nameOf(record)}: its input is missing, too; run its pipeline again`,
        ),
      )
      break
    }
    pending = waiting
  }
  const result: Repair = { repaired, refused }
  return result
})
