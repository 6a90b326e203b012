/** The stored results that a person may name, as runs called them. */
import type { StageRecord } from "../services/ArtifactStore.ts"
import type { Candidate } from "./named.ts"

export interface Result extends Candidate {
  readonly stage: string
}

/** Records as people know them: those that runs mentioned last come first. */
export const candidates = (
  records: ReadonlyArray<StageRecord>,
  labels: ReadonlyMap<string, string>,
): ReadonlyArray<Result> => {
  const byKey = new Map(records.map((record) => [record.key, record]))
  const mentioned = [...labels].toReversed().flatMap(([key, label]) => {
    const record = byKey.get(key)
    return record === undefined ? [] : [{ key, stage: record.stage, label }]
  })
  const others = records.flatMap(({ key, stage }) => (labels.has(key) ? [] : [{ key, stage }]))
  return [...mentioned, ...others]
}
