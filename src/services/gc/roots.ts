/** Which runs of a store still count, by their journals. Pure. */
import { type PastRun, WORKER } from "../Journal.ts"
import type { WorkingProcess } from "../Leases.ts"
import type { StoreName } from "../store/layout.ts"

/** A run whose results are kept. */
export interface RootRun {
  readonly command: string
  /** Whether its process lives. */
  readonly isWorking: boolean
  /** What it found, computed, began to compute or asked others for. */
  readonly keys: ReadonlySet<string>
}

/** Runs whose journal has lost its beginning count as runs of one command. */
const commandOf = ({ events: [started] }: PastRun): string =>
  started?._tag === "Started" ? started.command : "unknown"

const isDone = ({ events }: PastRun): boolean =>
  events.some((event) => event._tag === "Ended" && event.outcome === "done")

const isOf = ({ events: [started] }: PastRun, process: WorkingProcess): boolean =>
  started?._tag === "Started" &&
  started.pid === process.pid &&
  started.host === process.host &&
  started.command === process.command &&
  started.at >= process.startedAt

const keysOf = ({ events }: PastRun): ReadonlySet<string> =>
  new Set(events.flatMap((event) => ("key" in event && event._tag !== "Failed" ? [event.key] : [])))

/**
 * Of each command the latest run that ended well, and every run that began after it; and every run of a living process.
 * Those that others asked for are theirs, not the worker's.
 * `runs` are oldest first.
 */
export const rootRuns = (
  runs: ReadonlyArray<PastRun>,
  processes: Iterable<WorkingProcess>,
): ReadonlyArray<RootRun> => {
  const working = [...processes]
  return [...Map.groupBy(runs, commandOf)].flatMap(([command, ofCommand]) => {
    if (command === WORKER) return []
    const latest = ofCommand.findLastIndex(isDone)
    return ofCommand.flatMap((run, i) => {
      const isWorking = working.some((process) => isOf(run, process))
      return i < latest && !isWorking ? [] : [{ command, isWorking, keys: keysOf(run) }]
    })
  })
}

/** The cursor of each key that a run began to compute: its record may be lost, or never have been written. */
export const cursorsOf = (runs: ReadonlyArray<PastRun>): ReadonlyMap<string, StoreName> =>
  new Map(
    runs.flatMap(({ events }) =>
      events.flatMap(
        (event): ReadonlyArray<[string, StoreName]> =>
          event._tag === "Began" ? [[event.key, { stage: event.stage, key: event.cursor }]] : [],
      ),
    ),
  )
