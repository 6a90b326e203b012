/** Counts the stages of a plan, and estimates how long the rest takes. */
import { duration, roughDuration } from "./duration.ts"

/** Seconds that stages of one kind took, and how many did. */
export interface Taken {
  readonly count: number
  readonly seconds: number
}

/** What is known at a moment. A kind is a stage's name. */
export interface Tally {
  readonly planned: number
  readonly done: number
  readonly cached: number
  /** Stages of each kind that neither run nor are done. */
  readonly waiting: ReadonlyMap<string, number>
  /** What the history of the store says that stages of a kind take, on the average. */
  readonly expected: ReadonlyMap<string, number>
  /** What finished computations took, by kind. */
  readonly taken: ReadonlyMap<string, Taken>
  readonly running: ReadonlyArray<{
    readonly kind: string
    /** Seconds since it started. */
    readonly elapsed: number
    /** Seconds that it still takes at its own rate, where it says how far it is. */
    readonly left: number | undefined
  }>
  /** The most stages that ran at once. */
  readonly lanes: number
  /** Seconds since the plan was made. */
  readonly elapsed: number
}

const total = (values: Iterable<number>): number => {
  let sum = 0
  for (const value of values) sum += value
  return sum
}

/** What waits, and what one of it is expected to take, gathered by kind from the labels that wait. */
export const ofKinds = (
  waiting: ReadonlyMap<string, number>,
  expected: ReadonlyMap<string, number>,
  kindOf: (label: string) => string,
): Pick<Tally, "waiting" | "expected"> => {
  const counts = new Map<string, number>()
  const known = new Map<string, Taken>()
  for (const [label, count] of waiting) {
    const kind = kindOf(label)
    counts.set(kind, (counts.get(kind) ?? 0) + count)
    const seconds = expected.get(label)
    if (seconds === undefined) continue
    // Of a kind of which all are running, what one was expected to take still counts, a little.
    const weight = count === 0 ? Number.EPSILON : count
    const before = known.get(kind) ?? { count: 0, seconds: 0 }
    known.set(kind, { count: before.count + weight, seconds: before.seconds + weight * seconds })
  }
  const means = [...known].map(([kind, { count, seconds }]) => [kind, seconds / count] as const)
  return { waiting: counts, expected: new Map(means) }
}

/** Seconds before which too little is known to estimate from, unless there is history. */
const FIRST_ESTIMATE = 30

/** Stages of this run that history counts for as much as. */
const WEIGHT = 2

/**
 * Seconds until everything is done, or undefined where nothing is known. A stage takes the mean of what others of
 * its kind took, a running one that says how far it is counting with what it seems to need, and what history says,
 * which this run's own figures outweigh as they come; the mean of all stages where nothing of its kind is known. Stages that
 * turn out to be cached take less.
 */
export const secondsLeft = ({
  waiting,
  expected,
  taken,
  running,
  lanes,
  elapsed,
}: Tally): number | undefined => {
  const known = new Map(taken)
  const learn = (kind: string, seconds: number) => {
    const { count, seconds: sum } = known.get(kind) ?? { count: 0, seconds: 0 }
    known.set(kind, { count: count + 1, seconds: sum + seconds })
  }
  for (const { kind, elapsed, left } of running) if (left !== undefined) learn(kind, elapsed + left)
  const own: Taken = {
    count: total([...known.values()].map(({ count }) => count)),
    seconds: total([...known.values()].map(({ seconds }) => seconds)),
  }
  const isExpected = expected.size > 0
  if (own.count === 0 && !isExpected) return undefined
  if (elapsed < FIRST_ESTIMATE && !isExpected) return undefined
  const all = own.count > 0 ? own : { count: expected.size, seconds: total(expected.values()) }
  const mean = (kind: string) => {
    const { count, seconds } = known.get(kind) ?? { count: 0, seconds: 0 }
    const before = expected.get(kind)
    if (before !== undefined) return (seconds + WEIGHT * before) / (count + WEIGHT)
    return count > 0 ? seconds / count : all.seconds / all.count
  }
  const current = running.map(({ kind, elapsed, left }) => left ?? Math.max(0, mean(kind) - elapsed))
  const later = [...waiting].map(([kind, count]) => count * mean(kind))
  return Math.max(...current, total([...current, ...later]) / Math.max(1, lanes))
}

/** `done 12, cached 30, running 2, waiting 57 of 101  12 min 03 s  ≈ 34 min left` */
export const summarise = (tally: Tally): string => {
  const { planned, done, cached, running, waiting, elapsed } = tally
  const left = secondsLeft(tally)
  const unfinished = running.length + total(waiting.values()) > 0
  return [
    `done ${done}, cached ${cached}, running ${running.length}, waiting ${total(waiting.values())} of ${planned}`,
    duration(elapsed),
    ...(unfinished && left !== undefined ? [`≈ ${roughDuration(left)} left`] : []),
  ].join("  ")
}
