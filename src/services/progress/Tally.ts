/** Counts the stages of a plan, and estimates how long the rest takes. */
import { duration, roughDuration } from "./duration.ts"

/** Seconds that stages of one kind took, and how many did. */
interface Taken {
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

/** Seconds before which too little is known to estimate from. */
const FIRST_ESTIMATE = 30

/**
 * Seconds until everything is done, or undefined where nothing is known. A stage takes the mean of what others of
 * its kind took, a running one that says how far it is counting with what it seems to need; the mean of all stages
 * where no other of its kind is known. Stages that turn out to be cached take less.
 */
export const secondsLeft = ({ waiting, taken, running, lanes, elapsed }: Tally): number | undefined => {
  const known = new Map(taken)
  const learn = (kind: string, seconds: number) => {
    const { count, seconds: sum } = known.get(kind) ?? { count: 0, seconds: 0 }
    known.set(kind, { count: count + 1, seconds: sum + seconds })
  }
  for (const { kind, elapsed, left } of running) if (left !== undefined) learn(kind, elapsed + left)
  if (known.size === 0 || elapsed < FIRST_ESTIMATE) return undefined

  const all: Taken = {
    count: total([...known.values()].map(({ count }) => count)),
    seconds: total([...known.values()].map(({ seconds }) => seconds)),
  }
  const mean = (kind: string) => {
    const { count, seconds } = known.get(kind) ?? all
    return seconds / count
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
