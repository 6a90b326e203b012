/**
 * Thin SVD of a short, wide matrix X (n rows, at most a few hundred; D columns, 131,072) through its
 * n x n Gram matrix X Xᵀ: `X Xᵀ = U Σ² Uᵀ`, then `v_k = Xᵀ u_k / σ_k`.
 *
 * Squaring costs half of the digits: a singular value below about 1e-8 of the largest is rounding noise.
 */
import { EigenvalueDecomposition, Matrix } from "ml-matrix"
import { chunk, chunkAt, sumChunk, together } from "./weightedSum.ts"

/** Left half of a thin SVD; made by {@link thinSvdFromGram}. */
export interface ThinSvd {
  /** `[n]`, descending, none negative. */
  readonly singularValues: Float64Array
  /** Entry k is u_k `[n]`: unit length, its entry of largest magnitude positive. */
  readonly leftVectors: ReadonlyArray<Float64Array>
}

/**
 * Singular values and left singular vectors of the matrix whose Gram matrix (`[n * n]`, row-major,
 * symmetric) is given. A Gram matrix with a value that is not finite (a diverged run) gives NaN throughout.
 */
export const thinSvdFromGram = (gram: Float64Array, n: number): ThinSvd => {
  if (n === 0) return { singularValues: new Float64Array(0), leftVectors: [] }
  if (!gram.every(Number.isFinite)) {
    const undefinedVector = () => new Float64Array(n).fill(Number.NaN)
    return { singularValues: undefinedVector(), leftVectors: Array.from({ length: n }, undefinedVector) }
  }
  const symmetric = Matrix.from1DArray(n, n, Array.from(gram))
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(symmetric, {
    assumeSymmetric: true,
  })
  const descending = realEigenvalues
    .map((eigenvalue, column) => ({ eigenvalue, column }))
    .sort((left, right) => right.eigenvalue - left.eigenvalue)
  return {
    singularValues: Float64Array.from(descending, ({ eigenvalue }) => Math.sqrt(Math.max(0, eigenvalue))),
    leftVectors: descending.map(({ column }) => {
      const u = eigenvectorMatrix.getColumn(column)
      const sign = signOfLargest(u)
      return Float64Array.from(u, (value) => sign * value)
    }),
  }
}

/** Number of directions that stand above rounding: see {@link rightSingularVectors}. */
export const numericalRank = ({ singularValues }: ThinSvd): number => {
  const tolerance = Math.max(1e-7, Math.sqrt(singularValues.length * Number.EPSILON))
  return singularValues.filter((sigma) => sigma > tolerance * singularValues[0]).length
}

/**
 * The first `k` unit right singular vectors of the matrix with these `rows` (n vectors of length D), of
 * which `svd` is the decomposition: k vectors of length D. The sign follows u_k.
 *
 * Fewer than `k` come back when the rows are rank-deficient: a direction whose singular value is at most
 * 1e-7 of the largest (√(n ε) for n > 45) is rounding noise and is left out. Sums are float64, and each
 * vector is made orthogonal to those before it, so that even barely separated directions form an
 * orthonormal basis to float32.
 */
export const rightSingularVectors = (
  rows: ReadonlyArray<Float32Array>,
  svd: ThinSvd,
  k: number,
): Array<Float32Array> => {
  const basis: Array<Float32Array> = []
  const rank = Math.min(k, numericalRank(svd))
  for (let first = 0; first < rank; first += together) {
    for (const v of combine(rows, svd.leftVectors.slice(first, Math.min(first + together, rank)))) {
      for (const earlier of basis) removeComponent(v, earlier)
      basis.push(toUnit(v))
    }
  }
  return basis
}

/** `Xᵀ u` for each of a few u, in one pass over the rows. */
const combine = (
  rows: ReadonlyArray<Float32Array>,
  leftVectors: ReadonlyArray<Float64Array>,
): ReadonlyArray<Float64Array> => {
  const length = rows.length === 0 ? 0 : rows[0].length
  const combined = leftVectors.map(() => new Float64Array(length))
  for (let start = 0; start < length; start += chunk) {
    const count = chunkAt(length, start)
    for (const [i, u] of leftVectors.entries()) {
      sumChunk(rows, u, start, count, combined[i].subarray(start, start + count))
    }
  }
  return combined
}

const removeComponent = (v: Float64Array, unit: Float32Array): void => {
  let component = 0
  for (let i = 0; i < v.length; i++) component += v[i] * unit[i]
  for (let i = 0; i < v.length; i++) v[i] -= component * unit[i]
}

const toUnit = (v: Float64Array): Float32Array => {
  let square = 0
  for (let i = 0; i < v.length; i++) square += v[i] * v[i]
  const scale = 1 / Math.sqrt(square)
  const unit = new Float32Array(v.length)
  for (let i = 0; i < v.length; i++) unit[i] = scale * v[i]
  return unit
}

/** Sign of the first entry of largest magnitude; 1 for a vector of zeros. */
const signOfLargest = (u: ReadonlyArray<number>): number => {
  const largest = u.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0)
  return largest < 0 ? -1 : 1
}
