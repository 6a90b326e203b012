/**
 * Inference from a handful of runs: bootstrap intervals, exact paired tests, correction for many claims.
 *
 * Pure and deterministic: what is drawn, is drawn from the stream "bootstrap" of a seed. Nothing throws; an
 * input that holds a NaN gives NaN.
 */
import { integers, stream, uniforms } from "./random.ts"
import { mean } from "./statistics.ts"

/** Two-sided interval. Both ends are null where there is none. */
export interface Interval {
  readonly low: number | null
  readonly high: number | null
}

/** Outcome of a test. */
export interface TestResult {
  /** Two-sided p value. */
  readonly p: number
  /**
   * The smallest p that so many differences could have given: 2^(1−n), so 0.25 for three seeds. Where it is
   * above the level of a test, no data could have been significant.
   */
  readonly attainable: number
}

/** exp of the mean logarithm. NaN for a negative number and for no numbers; 0 if one is 0. */
export const geometricMean = (xs: ArrayLike<number>): number =>
  Math.exp(mean(Float64Array.from(xs, (x) => Math.log(x))))

/** All nⁿ resamples are enumerated up to this n (46,656 resamples). */
const enumerated = 6

/**
 * Percentile bootstrap interval (Efron 1979) of `statistic` over `values` `[n]`, one of each seed.
 *
 * *Details*: for n ≤ 6 the bootstrap distribution is exact, from all nⁿ resamples; above, `resamples` are drawn.
 * Ends are its quantiles as the inverse of its distribution function. The interval of ratios is that of
 * `statistic: geometricMean`, which is exp of the interval of the mean logarithm.
 *
 * *Gotchas*: one value has no interval: both ends are null, as for none. With three seeds each single resample
 * has probability 1/27 > 2.5 %, so that a 95 % interval of a mean runs from the smallest value to the largest.
 * Percentile intervals of so few values are too narrow: read them as a spread, not as a guarantee.
 * `statistic` is given the same array for each resample, and must not keep it.
 */
export const bootstrapInterval = (
  values: ArrayLike<number>,
  {
    seed,
    level = 0.95,
    resamples = 10_000,
    statistic = mean,
  }: {
    readonly seed: number
    readonly level?: number
    readonly resamples?: number
    readonly statistic?: (xs: ArrayLike<number>) => number
  },
): Interval => {
  const n = values.length
  if (n < 2) return { low: null, high: null }
  const indices = n <= enumerated ? enumeratedIndices(n) : drawnIndices(n, resamples, seed)
  const resample = new Float64Array(n)
  const statistics = new Float64Array(indices.length / n)
  for (let r = 0; r < statistics.length; r++) {
    for (let i = 0; i < n; i++) resample[i] = values[indices[r * n + i]]
    statistics[r] = statistic(resample)
  }
  statistics.sort()
  const count = statistics.length
  // NaN sorts last.
  if (Number.isNaN(statistics[count - 1])) return { low: Number.NaN, high: Number.NaN }
  // Rounding of the level must not push an exact multiple of 1 / count to the next one.
  const below = Math.max(0, Math.ceil(((1 - level) / 2) * count - 1e-9) - 1)
  return { low: statistics[below], high: statistics[count - 1 - below] }
}

/** `[nⁿ * n]`: resample r is the digits of r in base n. */
const enumeratedIndices = (n: number): Int32Array => {
  const indices = new Int32Array(n ** n * n)
  for (let r = 0; r < n ** n; r++) {
    for (let i = 0, rest = r; i < n; i++, rest = Math.floor(rest / n)) indices[r * n + i] = rest % n
  }
  return indices
}

const drawnIndices = (n: number, resamples: number, seed: number): Int32Array =>
  integers(stream(seed, "bootstrap"), resamples * n, n)

/**
 * Exact two-sided sign test of the median of paired differences being 0. Zeros are dropped, and do not count
 * in `attainable`. An infinite difference (a run that never got there) counts by its sign.
 *
 * *Gotchas*: NaN for more than 1000 differences, whose binomial coefficients overflow.
 */
export const signTest = (differences: ArrayLike<number>): TestResult => {
  const nonzero = Array.from(differences).filter((difference) => difference !== 0)
  const n = nonzero.length
  if (n > 1000 || nonzero.some(Number.isNaN)) return { p: Number.NaN, attainable: Number.NaN }
  const positive = nonzero.filter((difference) => difference > 0).length
  const rarer = Math.min(positive, n - positive)
  let coefficient = 1
  let orders = 0
  for (let k = 0; k <= rarer; k++) {
    orders += coefficient
    coefficient = (coefficient * (n - k)) / (k + 1)
  }
  return { p: Math.min(1, orders * 2 ** (1 - n)), attainable: attainableOf(n) }
}

/** All sign flips are enumerated up to this many differences (2²⁰, of which half mirror the others). */
const flippable = 20

const drawnFlips = 10_000

/**
 * Two-sided permutation test of the mean of the paired differences a − b being 0: the share of all 2ⁿ sign
 * flips whose mean is at least as far from 0. Zero differences are dropped: they change neither p nor what is
 * attainable. NaN where the lengths differ or a difference is not finite.
 *
 * *Details*: exact for n ≤ 20. Above, 10,000 flips are drawn from the stream "bootstrap" of `seed`, and
 * p = (1 + hits) / (1 + 10,000) (Phipson & Smyth 2010).
 */
export const permutationTest = (
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  // Required, so that no one takes it for the test of two independent samples.
  { seed = 0 }: { readonly paired: true; readonly seed?: number },
): TestResult => {
  const differences = Array.from(a, (value, i) => value - b[i]).filter((difference) => difference !== 0)
  const n = differences.length
  if (a.length !== b.length || !differences.every(Number.isFinite)) {
    return { p: Number.NaN, attainable: Number.NaN }
  }
  if (n === 0) return { p: 1, attainable: 1 }
  const observed = Math.abs(differences.reduce((sum, difference) => sum + difference))
  // Sums that are equal but for rounding are ties, and count.
  const rounding = 1e-12 * differences.reduce((sum, difference) => sum + Math.abs(difference), 0)
  const sums = n <= flippable ? allFlips(differences) : someFlips(differences, seed)
  const hits = sums.reduce((count, sum) => count + (Math.abs(sum) >= observed - rounding ? 1 : 0), 0)
  return n <= flippable
    ? { p: hits / sums.length, attainable: attainableOf(n) }
    : { p: (1 + hits) / (1 + sums.length), attainable: 1 / (1 + sums.length) }
}

/** The sums of all flips but that of the first difference, whose mirror images have the same magnitude. */
const allFlips = (differences: ReadonlyArray<number>): Float64Array => {
  let sums = Float64Array.of(differences[0])
  for (const difference of differences.slice(1)) {
    const next = new Float64Array(2 * sums.length)
    sums.forEach((sum, i) => {
      next[2 * i] = sum + difference
      next[2 * i + 1] = sum - difference
    })
    sums = next
  }
  return sums
}

const someFlips = (differences: ReadonlyArray<number>, seed: number): Float64Array => {
  const from = stream(seed, "bootstrap")
  const n = differences.length
  return Float64Array.from({ length: drawnFlips }, (_, r) =>
    uniforms(from, n, r * n).reduce((sum, u, i) => sum + (u < 0.5 ? differences[i] : -differences[i]), 0),
  )
}

const attainableOf = (n: number): number => Math.min(1, 2 ** (1 - n))

/**
 * p values adjusted for their number (Holm 1979), in the order given. Their family-wise error is controlled
 * whatever their dependence. A NaN stays NaN and does not count among the tests, as in R's `p.adjust`.
 */
export const holm = (ps: ArrayLike<number>): Float64Array => {
  const adjusted = new Float64Array(ps.length).fill(Number.NaN)
  const ascending = Array.from(ps, (p, index) => ({ p, index }))
    .filter(({ p }) => !Number.isNaN(p))
    .sort((left, right) => left.p - right.p)
  let largest = 0
  ascending.forEach(({ p, index }, rank) => {
    largest = Math.max(largest, Math.min(1, (ascending.length - rank) * p))
    adjusted[index] = largest
  })
  return adjusted
}
