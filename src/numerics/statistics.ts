/**
 * Order statistics and means in float64.
 *
 * Every function takes any array of numbers, leaves it unchanged, and never throws: an empty input, and
 * an input that holds a NaN, give NaN.
 */

/** Arithmetic mean. */
export const mean = (xs: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < xs.length; i++) sum += xs[i]
  return sum / xs.length
}

/** Middle value, or the mean of the two middle values. */
export const median = (xs: ArrayLike<number>): number => quantile(xs, 0.5)

/**
 * Quantile `q` in [0, 1] by linear interpolation between order statistics (type 7 of Hyndman & Fan
 * 1996: the default of NumPy and R). NaN for `q` outside [0, 1].
 */
export const quantile = (xs: ArrayLike<number>, q: number): number => {
  const sorted = Float64Array.from(xs).sort()
  return quantileOfSorted(sorted, q)
}

/** Third quartile minus first quartile (type 7). */
export const interquartileRange = (xs: ArrayLike<number>): number => {
  const sorted = Float64Array.from(xs).sort()
  return quantileOfSorted(sorted, 0.75) - quantileOfSorted(sorted, 0.25)
}

/** A typed array sorts NaN last, so one look at the end finds it. */
const quantileOfSorted = (sorted: Float64Array, q: number): number => {
  const last = sorted.length - 1
  if (last < 0 || Number.isNaN(sorted[last]) || !(q >= 0 && q <= 1)) return Number.NaN
  const position = q * last
  const index = Math.floor(position)
  const low = sorted[index]
  const high = sorted[Math.min(index + 1, last)]
  const fraction = position - index
  return fraction === 0 || low === high ? low : low + fraction * (high - low)
}
