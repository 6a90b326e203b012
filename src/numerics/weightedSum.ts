/**
 * Weighted sums Σ_i c_i row_i of long float32 rows in float64, a chunk of entries at a time, so that partial sums and the rows'
 * parts stay in the processor's first caches. The order of additions depends on lengths alone.
 */

/** Entries of a row that are taken together. */
export const chunk = 1024

/** Rows that one pass of the inner loops takes together, so that each sum is loaded and stored once for all. */
export const together = 4

/** Entries from `start` to the end of its chunk. */
export const chunkAt = (length: number, start: number): number => Math.min(chunk, length - start)

/** Row i, or the last one beyond the end: there the results do not count. */
export const clamped = (rows: ReadonlyArray<Float32Array>, i: number): Float32Array =>
  rows[Math.min(i, rows.length - 1)]

/** Writes `Σ_i c_i row_i` of the entries from `start` on to `sums` [count]: zeros without rows. */
export const sumChunk = (
  rows: ReadonlyArray<Float32Array>,
  coefficients: Float64Array,
  start: number,
  count: number,
  sums: Float64Array,
): void => {
  const weight = (r: number): number => (r < rows.length ? coefficients[r] : 0)
  sums.fill(0)
  for (let r = 0; r < rows.length; r += together) {
    const r1 = clamped(rows, r + 1)
    const r2 = clamped(rows, r + 2)
    const r3 = clamped(rows, r + 3)
    const [w0, w1, w2, w3] = [weight(r), weight(r + 1), weight(r + 2), weight(r + 3)]
    addWeighted(rows[r], r1, r2, r3, w0, w1, w2, w3, start, count, sums)
  }
}

const addWeighted = (
  r0: Float32Array,
  r1: Float32Array,
  r2: Float32Array,
  r3: Float32Array,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  start: number,
  count: number,
  sums: Float64Array,
): void => {
  for (let i = 0; i < count; i++) {
    const k = start + i
    sums[i] += w0 * r0[k] + w1 * r1[k] + w2 * r2[k] + w3 * r3[k]
  }
}
