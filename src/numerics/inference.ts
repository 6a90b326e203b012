/**
 * Inference from a handful of runs: t intervals, also of tables of operations and seeds, equivalence, exact paired tests.
 *
 * Pure and deterministic: what is drawn, is drawn from the stream "bootstrap" of a seed. Nothing throws; an
 * input that holds a NaN gives NaN.
 */
import { stream, uniforms } from "./random.ts"
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

/** The distribution function of Student's t with a whole number of degrees of freedom (Abramowitz & Stegun 26.7.3–4). */
const studentDistribution = (t: number, degrees: number): number => {
  const angle = Math.atan(t / Math.sqrt(degrees))
  const cosine2 = Math.cos(angle) ** 2
  const isOdd = degrees % 2 === 1
  let term = isOdd ? Math.cos(angle) : 1
  let sum = isOdd && degrees === 1 ? 0 : term
  for (let k = isOdd ? 3 : 2; k < degrees; k += 2) {
    term *= ((k - 1) / k) * cosine2
    sum += term
  }
  const within = isOdd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum
  return (1 + within) / 2
}

/**
 * Quantile `p` in (0, 1) of Student's t with a whole number of degrees of freedom of at least 1, to 1e-12; NaN else. By
 * bisection of its distribution function.
 */
export const studentQuantile = (p: number, degrees: number): number => {
  if (!(p > 0 && p < 1) || !Number.isInteger(degrees) || degrees < 1) return Number.NaN
  let [low, high] = [-1, 1]
  while (studentDistribution(low, degrees) > p) low *= 2
  while (studentDistribution(high, degrees) < p) high *= 2
  while (high - low > 1e-13 * Math.max(1, Math.abs(low))) {
    const middle = (low + high) / 2
    if (middle === low || middle === high) break
    if (studentDistribution(middle, degrees) < p) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** A mean with its standard error. */
export interface Fitted {
  readonly mean: number
  readonly standardError: number
  readonly degrees: number
}

/** The mean of a sample of independent values; NaN for its error where there are fewer than two. */
export const sampleMean = (values: ArrayLike<number>): Fitted => {
  const centre = mean(values)
  const degrees = values.length - 1
  const squares = Array.from(values).reduce((sum, value) => sum + (value - centre) ** 2, 0)
  return { mean: centre, standardError: Math.sqrt(squares / degrees / values.length), degrees }
}

/**
 * The mean over a full table of rows and columns, one value each, whose error leaves out what rows and columns have in
 * common: the residual of value ~ row + column, over (rows − 1)(columns − 1) degrees of freedom, ÷ √n. A pooled question
 * is asked of the table as a whole. NaN where the table is not full or has one row or column.
 */
export const tableMean = (
  entries: ReadonlyArray<{ readonly row: string; readonly column: string; readonly value: number }>,
): Fitted => {
  const [rows, columns] = [
    new Set(entries.map(({ row }) => row)),
    new Set(entries.map(({ column }) => column)),
  ]
  const places = new Set(entries.map(({ row, column }) => JSON.stringify([row, column])))
  const n = entries.length
  const isFull = places.size === n && n === rows.size * columns.size
  const all = mean(entries.map(({ value }) => value))
  const meanOf = (belongs: (entry: (typeof entries)[number]) => boolean) =>
    mean(entries.filter(belongs).map(({ value }) => value))
  const ofRow = new Map([...rows].map((name) => [name, meanOf(({ row }) => row === name)]))
  const ofColumn = new Map([...columns].map((name) => [name, meanOf(({ column }) => column === name)]))
  const squares = entries.reduce((sum, { row, column, value }) => {
    const fitted = (ofRow.get(row) ?? Number.NaN) + (ofColumn.get(column) ?? Number.NaN) - all
    return sum + (value - fitted) ** 2
  }, 0)
  const degrees = (rows.size - 1) * (columns.size - 1)
  const variance = isFull && degrees > 0 ? squares / degrees / n : Number.NaN
  return { mean: all, standardError: Math.sqrt(variance), degrees }
}

/** Two-sided interval of a mean by Student's t; null ends where there is no error. */
export const intervalOf = ({ mean, standardError, degrees }: Fitted, level = 0.95): Interval => {
  const half = studentQuantile((1 + level) / 2, degrees) * standardError
  return Number.isFinite(half) ? { low: mean - half, high: mean + half } : { low: null, high: null }
}

/**
 * Two one-sided t tests (Schuirmann 1987) at 5 % each: whether a mean lies within ±margin of 0, that is, whether its 90 %
 * interval does. Where it does not, nothing is said.
 */
export const isEquivalent = (fitted: Fitted, margin: number): boolean => {
  const { low, high } = intervalOf(fitted, 0.9)
  return low !== null && high !== null && low > -margin && high < margin
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
