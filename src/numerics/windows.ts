/** Where to measure along a run, and which rows a rolling window holds there (experiment.md §4). */

/**
 * At most `count` indices evenly spaced over 0 … last, both ends included, ascending, without repetition: NumPy's
 * `linspace(0, last, count, dtype=int)`, which truncates.
 */
export const evenlySpaced = (last: number, count: number): ReadonlyArray<number> => {
  const n = Math.min(count, last + 1)
  if (n === 1) return [last]
  // As NumPy does: the step first, which rounds otherwise than a division at the end.
  const step = last / (n - 1)
  return Array.from({ length: n }, (_, i) => (i === n - 1 ? last : Math.floor(i * step)))
}

/** At most `count` evenly spaced indices of 0 … last, as {@link evenlySpaced}, all of them multiples of `every`. */
export const measurementPoints = (last: number, every: number, count: number): ReadonlyArray<number> =>
  evenlySpaced(Math.floor(last / every), count).map((i) => i * every)

/**
 * Which rows belong to the window at a point.
 *
 * - `published`: W rows from the point on; near the end of the run the last W rows (the published code).
 * - `backward`: the W rows up to the point, so that nothing later is known; no window before there are W rows.
 * - `expanding`: all rows up to the point, and at the beginning of a run the first W.
 */
export const placements = ["published", "backward", "expanding"] as const
export type Placement = (typeof placements)[number]

/** Rows `first … first + count − 1`. */
export interface Window {
  readonly first: number
  readonly count: number
}

/** The rows of a run, numbered from 0. */
export interface RowRange {
  readonly count: number
  /** Whether row t leaves point t, as an update does; a gradient is at its point. */
  readonly leaves: boolean
}

/**
 * The window of W rows at point t (a row number), or undefined where there is none: where the run has fewer than W rows,
 * and for `backward` also where fewer than W rows come before.
 */
export const windowAt = (
  t: number,
  size: number,
  placement: Placement,
  { count, leaves }: RowRange,
): Window | undefined => {
  switch (placement) {
    case "published":
      return count < size ? undefined : { first: Math.max(0, Math.min(t, count - size)), count: size }
    case "backward": {
      const first = t - size + (leaves ? 0 : 1)
      return first < 0 || first + size > count ? undefined : { first, count: size }
    }
    case "expanding":
      return count < size
        ? undefined
        : { first: 0, count: Math.min(count, Math.max(size, leaves ? t : t + 1)) }
  }
}
