/**
 * Dot products of long float32 vectors, and Gram matrices of windows over a sequence of them.
 */

const chunk = 1024

/**
 * `a · b` with float64 accumulation. Extra entries of the longer vector do not count.
 *
 * Sums are made in chunks of 1024 by four accumulators, then added up: rounding stays near 1e-15 of
 * `|a| · |b|` at 131,072 entries, which is what a Gram-based SVD needs to see small singular values. The
 * order of additions depends on the lengths alone, so equal inputs give bitwise equal results.
 */
export const dot = (a: Float32Array, b: Float32Array): number => {
  const length = Math.min(a.length, b.length)
  let total = 0
  for (let start = 0; start < length; start += chunk) {
    const end = Math.min(start + chunk, length)
    let s0 = 0
    let s1 = 0
    let s2 = 0
    let s3 = 0
    let i = start
    for (; i + 3 < end; i += 4) {
      s0 += a[i] * b[i]
      s1 += a[i + 1] * b[i + 1]
      s2 += a[i + 2] * b[i + 2]
      s3 += a[i + 3] * b[i + 3]
    }
    for (; i < end; i++) s0 += a[i] * b[i]
    total += s0 + s1 + (s2 + s3)
  }
  return total
}

/** Euclidean length of `a`, with float64 accumulation. */
export const norm = (a: Float32Array): number => Math.sqrt(dot(a, a))

/** Gram matrices of windows; made by {@link rollingGram}. */
export interface RollingGram {
  /** Gram matrix of rows `start … start + count - 1`: `[count * count]`, row-major, symmetric. */
  readonly gram: (start: number, count: number) => Float64Array
}

/**
 * Gram matrices of windows over the sequence `row(0), row(1), …`, each dot product computed once.
 *
 * A window that overlaps earlier ones computes only its new pairs, and equals the directly computed Gram
 * matrix bit for bit. `row(i)` is asked for only when a pair with `i` is missing, at most once per window,
 * and must always return the same values for the same `i`.
 */
export const rollingGram = (row: (index: number) => Float32Array): RollingGram => {
  const known = new Map<number, number>()
  return {
    gram: (start, count) => {
      const rows = new Map<number, Float32Array>()
      const rowOnce = (index: number): Float32Array => {
        const values = rows.get(index) ?? row(index)
        rows.set(index, values)
        return values
      }
      const gram = new Float64Array(count * count)
      for (let i = 0; i < count; i++) {
        for (let j = i; j < count; j++) {
          const pair = (start + i) * 2 ** 26 + (start + j)
          const value = known.get(pair) ?? dot(rowOnce(start + i), rowOnce(start + j))
          known.set(pair, value)
          gram[i * count + j] = value
          gram[j * count + i] = value
        }
      }
      return gram
    },
  }
}

/**
 * The Gram matrix of the rows less their mean row, from that of the rows themselves (`[n * n]`, row-major): each entry
 * less the means of its row and its column plus the mean of all ("double centring").
 */
export const centredGram = (gram: Float64Array, n: number): Float64Array => {
  const rowMeans = Float64Array.from({ length: n }, (_, i) => {
    let sum = 0
    for (let j = 0; j < n; j++) sum += gram[i * n + j]
    return sum / n
  })
  const grandMean = rowMeans.reduce((sum, value) => sum + value, 0) / n
  return gram.map((value, i) => value - rowMeans[Math.floor(i / n)] - rowMeans[i % n] + grandMean)
}
