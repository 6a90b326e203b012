/** Where to measure along a run, and which rows a rolling window covers there (experiment.md §4). */

/** At most `count` indices evenly spaced over 0..last, both ends included, ascending, without repetition. */
export const evenlySpaced = (last: number, count: number): ReadonlyArray<number> => {
  if (count === 1) return [last]
  const indices = Array.from({ length: count }, (_, i) => Math.round((i * last) / (count - 1)))
  return [...new Set(indices)]
}

/** At most `count` evenly spaced indices of 0..last, as {@link evenlySpaced}, all of them multiples of `every`. */
export const measurementPoints = (last: number, every: number, count: number): ReadonlyArray<number> =>
  evenlySpaced(Math.floor(last / every), count).map((i) => i * every)

export type WindowDirection = "forward" | "backward"

/** Rows `first … first + count − 1`. */
export interface Window {
  readonly first: number
  readonly count: number
}

/**
 * The rows of the window of size W at row t: [t, t + W − 1] forward, [t − W + 1, t] backward, cut off at the ends
 * of the run. Rows `firstRow … last` exist: an update needs a checkpoint before it.
 */
export const windowAt = (
  t: number,
  size: number,
  direction: WindowDirection,
  { firstRow, last }: { readonly firstRow: number; readonly last: number },
): Window => {
  const begin = Math.max(firstRow, direction === "forward" ? t : t - size + 1)
  const end = Math.min(last, direction === "forward" ? t + size - 1 : t)
  return { first: begin, count: Math.max(0, end - begin + 1) }
}
