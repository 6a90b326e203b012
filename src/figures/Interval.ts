/** A mean over seeds with what is known of its uncertainty. */
export interface Interval {
  readonly mean: number
  /** Ends of the interval; null where there is none, as with one seed. */
  readonly low: number | null
  readonly high: number | null
  readonly perSeed: ReadonlyArray<number>
}

/** Every number of it that a figure has to make room for. */
export const valuesOf = ({ mean, low, high, perSeed }: Interval): ReadonlyArray<number> => [
  mean,
  ...(low === null ? [] : [low]),
  ...(high === null ? [] : [high]),
  ...perSeed,
]

/** "n = 3" or "n = 2 to 3": seeds behind the intervals. */
export const seedCount = (intervals: ReadonlyArray<Interval>): string => {
  if (intervals.length === 0) return "n = 0"
  const counts = intervals.map(({ perSeed }) => perSeed.length)
  const [least, most] = [Math.min(...counts), Math.max(...counts)]
  return least === most ? `n = ${most}` : `n = ${least} to ${most}`
}
