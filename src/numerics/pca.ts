/** Principal components of many short vectors: centroids `[n, 256]`, n up to 9409 (experiment.md §5). */
import { thinSvdFromGram } from "./svd.ts"

/** Made by {@link principalComponents}. */
export interface PrincipalComponents {
  /** `[d]`, descending, none negative: the variances (divisor n − 1) along the components. */
  readonly variances: Float64Array
  /** `[d]`: the unit vector of component k (the first is 0). */
  readonly direction: (k: number) => Float64Array
  /** `[n]`: the centred rows along component k. Their mean is 0, their variance variances[k]. */
  readonly scores: (k: number) => Float64Array
}

/**
 * Principal components of `rows` `[n * d]`, row-major: each column is centred, none is scaled. In float64, by
 * the eigenvectors of the d x d covariance; of each, the entry of largest magnitude is positive.
 *
 * NaN throughout where a value is not finite or n < 2.
 */
export const principalComponents = (rows: Float32Array, n: number, d: number): PrincipalComponents => {
  const centred = centre(rows, n, d)
  const { singularValues: deviations, leftVectors } = thinSvdFromGram(covariance(centred, n, d), d)
  return {
    variances: deviations.map((deviation) => deviation ** 2),
    direction: (k) => leftVectors[k],
    scores: (k) => {
      const direction = leftVectors[k]
      return Float64Array.from({ length: n }, (_, i) => {
        let score = 0
        for (let j = 0; j < d; j++) score += centred[i * d + j] * direction[j]
        return score
      })
    },
  }
}

/**
 * How many of the leading components hold at least `share` of the variance: the centroid spectrum of
 * experiment.md §5, with `share` 0.9. 0 where there is no variance, NaN where it is not a number.
 */
export const componentsFor = (variances: Float64Array, share: number): number => {
  const total = variances.reduce((sum, variance) => sum + variance, 0)
  if (Number.isNaN(total)) return Number.NaN
  let held = 0
  let count = 0
  // Added up in the same order, all of the variances are exactly the total.
  while (held < share * total && count < variances.length) held += variances[count++]
  return count
}

const centre = (rows: Float32Array, n: number, d: number): Float64Array => {
  const means = new Float64Array(d)
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) means[j] += rows[i * d + j]
  for (let j = 0; j < d; j++) means[j] /= n
  const centred = new Float64Array(n * d)
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) centred[i * d + j] = rows[i * d + j] - means[j]
  return centred
}

/** `[d * d]`. Eight rows at a time, so that the sums are loaded and stored once for eight products. */
const covariance = (centred: Float64Array, n: number, d: number): Float64Array => {
  const together = 8
  const sums = new Float64Array(d * d)
  // Rows of zeros fill up the last eight.
  const padded = new Float64Array(together * d)
  for (let start = 0; start < n; start += together) {
    padded.fill(0)
    padded.set(centred.subarray(start * d, Math.min(n, start + together) * d))
    for (let i = 0; i < d; i++) addOuterProducts(padded, i, d, sums)
  }
  const divisor = n > 1 ? n - 1 : Number.NaN
  for (let i = 0; i < d; i++) {
    for (let j = i; j < d; j++) {
      sums[i * d + j] /= divisor
      sums[j * d + i] = sums[i * d + j]
    }
  }
  return sums
}

/** Adds `Σ_r x_ri x_rj` over eight rows x_r to row i of the upper triangle. */
const addOuterProducts = (x: Float64Array, i: number, d: number, sums: Float64Array): void => {
  const x0 = x[i]
  const x1 = x[i + d]
  const x2 = x[i + 2 * d]
  const x3 = x[i + 3 * d]
  const x4 = x[i + 4 * d]
  const x5 = x[i + 5 * d]
  const x6 = x[i + 6 * d]
  const x7 = x[i + 7 * d]
  for (let j = i; j < d; j++) {
    const first = x0 * x[j] + x1 * x[j + d] + x2 * x[j + 2 * d] + x3 * x[j + 3 * d]
    const second = x4 * x[j + 4 * d] + x5 * x[j + 5 * d] + x6 * x[j + 6 * d] + x7 * x[j + 7 * d]
    sums[i * d + j] += first + second
  }
}
