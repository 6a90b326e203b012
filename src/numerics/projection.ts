/**
 * Orthogonal projection of one long vector g `[D]` (D = 131,072) onto the span of a few others, every step of
 * a training: the arms of experiment.md §6.
 *
 * No basis of length D is ever formed. With the rows B `[n, D]`, their Gram matrix G = B Bᵀ = U Σ² Uᵀ and the
 * products B g, the projection onto the first r right singular vectors of B is `Σ_i c_i row_i` with
 * `c = Σ_{k<r} u_k (u_kᵀ B g) / σ_k²`. What costs time is one pass over the rows for B g,
 * one for the sum (and for its products with the rows, if it is stored next).
 *
 * Everything is accumulated in float64, in an order that depends on lengths alone: equal inputs give bitwise
 * equal results. The component along direction k is exact to about 1e-15 (σ_1/σ_k)²; directions that
 * `numericalRank` (svd.ts) takes for rounding noise are left out.
 */
import { dot } from "./gram.ts"
import { chiSquared, normals, quickNormalsInto, type Stream } from "./random.ts"
import { numericalRank, type ThinSvd, thinSvdFromGram } from "./svd.ts"
import { chunk, chunkAt, clamped, sumChunk, together } from "./weightedSum.ts"

/** The projection P g of a vector onto the leading directions of a buffer; made by {@link RollingBasis}. */
export interface Projection {
  /** c `[n]`: P g = Σ_i c_i row_i. NaN if the buffer holds a value that is not finite. */
  readonly coefficients: Float64Array
  /** B g `[n]`. Pass it to `push` if g itself is stored next. */
  readonly products: Float64Array
  /** Directions in use: those asked for, or as many as the rows span. */
  readonly rank: number
  /** Σ_{k<rank} σ_k² / Σ σ_k² of the buffer, or NaN where the buffer is empty, zero or not finite. */
  readonly energyShare: number
}

/**
 * The last W vectors of length D, with their Gram matrix; made by {@link rollingBasis}.
 *
 * *Details*: rows are in order of time, oldest first, here and in `products` and `coefficients`.
 */
export interface RollingBasis {
  /**
   * Stores a copy of `row`; the oldest row makes place for it when W are there. Costs one pass over the rows.
   *
   * Where `row` is the very vector whose products with the rows were just computed (a natural gradient by
   * `projection`, a modified one by `combine`), pass them as `products`, and the pass is saved.
   */
  readonly push: (row: Float32Array, products?: Float64Array) => void
  /** B g `[n]`. */
  readonly products: (g: Float32Array) => Float64Array
  /** Projection of g onto the first `rank` right singular vectors. Changes nothing. */
  readonly projection: (g: Float32Array, rank: number) => Projection
  /** Writes Σ_i c_i row_i, or `from` less that, rounded to float32, to `out` `[D]`. */
  readonly combine: (coefficients: Float64Array, out: Float32Array, from?: Float32Array) => void
  /** The same; returns B · out `[n]`, in the same pass over the rows: pass it to `push` if `out` itself is stored next. */
  readonly combineForPush: (
    coefficients: Float64Array,
    out: Float32Array,
    from?: Float32Array,
  ) => Float64Array
  /**
   * The rows as they are now: what {@link rollingBasis} needs to go on bit for bit.
   *
   * *Gotchas*: they are not copies; the next `push` may write into one.
   */
  readonly rows: () => ReadonlyArray<Float32Array>
  /** G `[n * n]`, row-major. */
  readonly gram: () => Float64Array
}

/** An empty buffer for `window` rows of length `size`, or one that holds the last of the `initial` rows. */
export const rollingBasis = (
  window: number,
  size: number,
  initial: ReadonlyArray<Float32Array> = [],
): RollingBasis => {
  const rows: Array<Float32Array> = []
  let gram = new Float64Array(0)
  const basis: RollingBasis = {
    push: (row, known) => {
      const dropped = rows.length === window ? 1 : 0
      const storage = (dropped === 1 ? rows.shift() : undefined) ?? new Float32Array(size)
      storage.set(row)
      const products =
        known === undefined
          ? rowProducts([...rows, storage], storage)
          : Float64Array.of(...known.subarray(dropped), ...rowProducts([storage], storage))
      rows.push(storage)
      gram = rolled(gram, dropped, products)
    },
    products: (g) => rowProducts(rows, g),
    projection: (g, rank) => {
      const svd = thinSvdFromGram(gram, rows.length)
      const products = rowProducts(rows, g)
      const used = Math.min(rank, numericalRank(svd))
      return {
        coefficients: coefficientsOf(svd, products, used),
        products,
        rank: used,
        energyShare: energy(svd, used) / energy(svd, rows.length),
      }
    },
    combine: (coefficients, out, from) => combineRows(rows, coefficients, out, from),
    combineForPush: (coefficients, out, from) => {
      const products = zeroProducts(rows)
      combineRows(rows, coefficients, out, from, (start, part, count) =>
        // The rows' parts are still in the cache.
        addChunkProducts(rows, start, part, count, products),
      )
      return products.slice(0, rows.length)
    },
    rows: () => [...rows],
    gram: () => gram.slice(),
  }
  for (const row of initial) basis.push(row)
  return basis
}

/**
 * Share of a vector's squared norm in a uniformly random subspace of `rank` of `size` dimensions: a draw of
 * Beta(rank / 2, (size − rank) / 2), the ratio of the squares of `rank` normals to those of `size`.
 */
const drawShare = (source: Stream, rank: number, size: number): number => {
  if (rank >= size) return 1
  const within = normals(source, rank).reduce((sum, value) => sum + value * value, 0)
  return within / (within + chiSquared(source, size - rank, rank))
}

/**
 * A function that writes to `out` `[D]` a draw of P g, where P projects onto a uniformly random subspace of `rank` dimensions (the
 * span of `rank` Gaussian vectors, experiment.md §6), fresh from `source` each time.
 *
 * No subspace is formed. Rotations that leave g where it is leave the subspaces as likely as they were, so P g is s g plus
 * something across g whose direction is uniform and whose length makes P g ⟂ g − P g: √(s (1 − s)) |g|, with s the share of
 * `drawShare`. One Gaussian vector is drawn, whatever the rank.
 */
export const randomProjection = (rank: number, size: number) => {
  const draw = new Float32Array(size)
  return (g: Float32Array, source: Stream, out: Float32Array): void => {
    const share = drawShare(source, rank, size)
    const square = dot(g, g)
    if (share === 0 || square === 0) {
      out.fill(0)
    } else if (share === 1) {
      out.set(g)
    } else {
      quickNormalsInto(source, draw)
      const along = dot(draw, g) / square
      const across = dot(draw, draw) - along * along * square
      const scale = Math.sqrt((share * (1 - share) * square) / across)
      for (let i = 0; i < size; i++) out[i] = share * g[i] + scale * (draw[i] - along * g[i])
    }
  }
}

/** c `[n]` of the projection onto the first `rank` directions. */
const coefficientsOf = (svd: ThinSvd, products: Float64Array, rank: number): Float64Array => {
  const coefficients = new Float64Array(products.length)
  if (Number.isNaN(svd.singularValues[0])) return coefficients.fill(Number.NaN)
  for (let k = 0; k < rank; k++) {
    const u = svd.leftVectors[k]
    const along = u.reduce((sum, value, i) => sum + value * products[i], 0) / svd.singularValues[k] ** 2
    u.forEach((value, i) => {
      coefficients[i] += along * value
    })
  }
  return coefficients
}

const energy = ({ singularValues }: ThinSvd, count: number): number =>
  singularValues.subarray(0, count).reduce((sum, sigma) => sum + sigma ** 2, 0)

/** The Gram matrix without its first `dropped` rows, and with one more row whose `products` with all are given. */
const rolled = (gram: Float64Array, dropped: number, products: Float64Array): Float64Array<ArrayBuffer> => {
  const n = products.length
  const before = n - 1 + dropped
  const next = new Float64Array(n * n)
  for (let i = 0; i < n - 1; i++) {
    for (let j = 0; j < n - 1; j++) next[i * n + j] = gram[(i + dropped) * before + j + dropped]
    next[i * n + n - 1] = products[i]
    next[(n - 1) * n + i] = products[i]
  }
  next[n * n - 1] = products[n - 1]
  return next
}

/** `row_i · g` for all rows. Each product is summed in the same order, whatever the other rows. */
const rowProducts = (rows: ReadonlyArray<Float32Array>, g: Float32Array): Float64Array => {
  const products = zeroProducts(rows)
  const part = new Float64Array(chunk)
  for (let start = 0; start < g.length; start += chunk) {
    const count = chunkAt(g.length, start)
    for (let i = 0; i < count; i++) part[i] = g[start + i]
    addChunkProducts(rows, start, part, count, products)
  }
  return products.slice(0, rows.length)
}

/**
 * Writes `Σ_i c_i row_i` (zeros without rows), or `from` less that, to `out`. `visit` gets what was written, a chunk at a time:
 * where it starts, its numbers, and their count.
 */
const combineRows = (
  rows: ReadonlyArray<Float32Array>,
  coefficients: Float64Array,
  out: Float32Array,
  from?: Float32Array,
  visit?: (start: number, part: Float64Array, count: number) => void,
): void => {
  const sums = new Float64Array(chunk)
  for (let start = 0; start < out.length; start += chunk) {
    const count = chunkAt(out.length, start)
    sumChunk(rows, coefficients, start, count, sums)
    if (from !== undefined) for (let i = 0; i < count; i++) sums[i] = from[start + i] - sums[i]
    for (let i = 0; i < count; i++) sums[i] = out[start + i] = Math.fround(sums[i])
    visit?.(start, sums, count)
  }
}

/** Room for the products with all rows, and with those that stand in for rows beyond the end. */
const zeroProducts = (rows: ReadonlyArray<Float32Array>): Float64Array =>
  new Float64Array(together * Math.ceil(rows.length / together))

/** Adds to `products` those of the rows' numbers from `start` on with `part` [count]. */
const addChunkProducts = (
  rows: ReadonlyArray<Float32Array>,
  start: number,
  part: Float64Array,
  count: number,
  products: Float64Array,
): void => {
  for (let r = 0; r < rows.length; r += together) {
    const r1 = clamped(rows, r + 1)
    const r2 = clamped(rows, r + 2)
    const r3 = clamped(rows, r + 3)
    addProducts(rows[r], r1, r2, r3, start, part, count, products, r)
  }
}

const addProducts = (
  r0: Float32Array,
  r1: Float32Array,
  r2: Float32Array,
  r3: Float32Array,
  start: number,
  part: Float64Array,
  count: number,
  products: Float64Array,
  at: number,
): void => {
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  for (let i = 0; i < count; i++) {
    const value = part[i]
    s0 += r0[start + i] * value
    s1 += r1[start + i] * value
    s2 += r2[start + i] * value
    s3 += r3[start + i] * value
  }
  products[at] += s0
  products[at + 1] += s1
  products[at + 2] += s2
  products[at + 3] += s3
}
