/** What a store tells of the past that helps to foresee: computations with their times, and what runs take beside them. */
import { Effect } from "effect"
import { median } from "../numerics/statistics.ts"
import { ArtifactStore, type StageRecord } from "./ArtifactStore.ts"
import { labelsOf, type PastRun, pastRuns } from "./Journal.ts"

/** Seconds that a run takes beside what its stages take. */
export interface Overhead {
  /** Until a worker does what it is first asked. */
  readonly starting: number
  /** For each computation. */
  readonly each: number
}

export interface History {
  /** All records, newest first. */
  readonly records: ReadonlyArray<StageRecord>
  /** By stage, newest first: those whose time is that of the whole computation, or all where there are none of these. */
  readonly timed: ReadonlyMap<string, ReadonlyArray<StageRecord>>
  readonly overhead: Overhead
  /** What runs called each key. */
  readonly labels: ReadonlyMap<string, string>
}

/** Cursors on which a computation began again after it was stopped. */
const resumedIn = (runs: ReadonlyArray<PastRun>): ReadonlySet<string> => {
  const begun = new Map<string, string>()
  const open = new Set<string>()
  const resumed = new Set<string>()
  for (const event of runs.flatMap(({ events }) => events)) {
    if (event._tag === "Began") {
      if (open.has(event.cursor)) resumed.add(event.cursor)
      open.add(event.cursor)
      begun.set(event.key, event.cursor)
    } else if (event._tag === "Computed") open.delete(begun.get(event.key) ?? "")
  }
  return resumed
}

/** Those that took the time of the whole: no other one was computed on their cursor before, nor a part of themselves. */
export const wholeOf = (
  records: ReadonlyArray<StageRecord>,
  runs: ReadonlyArray<PastRun>,
): ReadonlyArray<StageRecord> => {
  const resumed = resumedIn(runs)
  const first = new Map<string, StageRecord>()
  for (const record of records) {
    const known = first.get(record.cursor)
    if (known === undefined || record.provenance.committedAt < known.provenance.committedAt)
      first.set(record.cursor, record)
  }
  return records.filter((record) => first.get(record.cursor) === record && !resumed.has(record.cursor))
}

/** Seconds from the beginning of each computation of a run to its end, beside those that it took itself. */
const waits = ({ events }: PastRun): ReadonlyArray<number> => {
  const began = new Map<string, string>()
  return events.flatMap((event) => {
    if (event._tag === "Began") began.set(event.key, event.at)
    const start = event._tag === "Computed" ? began.get(event.key) : undefined
    if (event._tag !== "Computed" || start === undefined) return []
    return [Math.max(0, (Date.parse(event.at) - Date.parse(start)) / 1000 - event.seconds)]
  })
}

const medianOr0 = (values: ReadonlyArray<number>): number => (values.length === 0 ? 0 : median(values))

/** A run's first computation waits for a worker to start; the others show what each takes. */
export const overheadOf = (runs: ReadonlyArray<PastRun>): Overhead => {
  const each = medianOr0(runs.flatMap((run) => waits(run).slice(1)))
  const first = medianOr0(runs.flatMap((run) => waits(run).slice(0, 1)))
  return { each, starting: Math.max(0, first - each) }
}

/** Reads every record and journal: some 80 µs for each record. */
export const readHistory = Effect.gen(function* () {
  const store = yield* ArtifactStore
  const runs = yield* pastRuns
  const records = (yield* store.records).toSorted((a, b) =>
    a.provenance.committedAt < b.provenance.committedAt ? 1 : -1,
  )
  const whole = new Set(wholeOf(records, runs))
  const timed = Map.groupBy(records, ({ stage }) => stage)
  for (const [stage, all] of timed) {
    const some = all.filter((record) => whole.has(record))
    if (some.length > 0) timed.set(stage, some)
  }
  const history: History = { records, timed, overhead: overheadOf(runs), labels: labelsOf(runs) }
  return history
})
