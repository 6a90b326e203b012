/** Angles between subspaces of a space of many dimensions, each given by an orthonormal basis. */
import { dot } from "./gram.ts"

/**
 * Mean over the K principal angles of their squared cosines: 1 for equal subspaces, 0 for orthogonal ones, K/D in
 * expectation for random ones of D dimensions. `left` and `right` hold K orthonormal vectors [D] each.
 *
 * The cosines are the singular values of the K x K matrix of dot products, so the sum of their squares is that
 * matrix's squared Frobenius norm. NaN for K = 0.
 */
export const meanSquaredCosine = (
  left: ReadonlyArray<Float32Array>,
  right: ReadonlyArray<Float32Array>,
): number => {
  let sum = 0
  for (const u of left) for (const v of right) sum += dot(u, v) ** 2
  return sum / left.length
}
