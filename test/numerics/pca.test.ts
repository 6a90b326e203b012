import { assert, describe, it } from "@effect/vitest"
import { Matrix, SingularValueDecomposition } from "ml-matrix"
import { componentsFor, principalComponents } from "../../src/numerics/pca.ts"
import { normalsInto, stream } from "../../src/numerics/random.ts"
import { mean } from "../../src/numerics/statistics.ts"
import { assertClose } from "../model/close.ts"

/** `[n * d]` of unequal column scales and means. */
const samples = (seed: number, n: number, d: number): Float32Array => {
  const rows = new Float32Array(n * d)
  normalsInto(stream(seed, "noise"), rows)
  return rows.map((value, i) => 5 + value * (1 + (i % d)) + 0.5 * rows[i - (i % d)])
}

describe("principalComponents", () => {
  it.each([
    [50, 7],
    [17, 16],
    [5, 9],
  ])("agrees with the SVD of the centred rows (%i rows of %i)", (n, d) => {
    const rows = samples(1, n, d)
    const { variances, scores } = principalComponents(rows, n, d)
    const matrix = Matrix.from1DArray(n, d, Array.from(rows)).center("column")
    const svd = new SingularValueDecomposition(matrix, { autoTranspose: true })
    const rank = Math.min(n - 1, d)
    const expected = Float64Array.from({ length: d }, (_, k) =>
      k < rank ? svd.diagonal[k] ** 2 / (n - 1) : 0,
    )
    assertClose(variances, expected, 1e-12, "variances")
    for (let k = 0; k < rank; k++) {
      const reference = svd.leftSingularVectors.getColumn(k).map((value) => value * svd.diagonal[k])
      const own = scores(k)
      const sign = Math.sign(own.reduce((sum, value, i) => sum + value * reference[i], 0))
      assertClose(
        own,
        reference.map((value) => sign * value),
        1e-9,
        `scores of component ${k}`,
      )
    }
  })

  it("finds the direction of a line, with the sign of its largest entry", () => {
    const rows = Float32Array.from([-3, 0, 3, 6].flatMap((t) => [1 + 2 * t, 7 - t, 4 + 2 * t]))
    const { variances, direction, scores } = principalComponents(rows, 4, 3)
    // t has variance 15 and the direction (2, −1, 2) / 3 moves by 3 for each unit of t.
    assertClose(variances, [135, 0, 0], 1e-12)
    assertClose(direction(0), [2 / 3, -1 / 3, 2 / 3], 1e-12)
    assertClose(scores(0), [-13.5, -4.5, 4.5, 13.5], 1e-12)
  })

  it("gives orthonormal directions, along which the centred rows have their scores", () => {
    const [n, d] = [12, 5]
    const rows = samples(3, n, d)
    const { direction, scores } = principalComponents(rows, n, d)
    const centred = Matrix.from1DArray(n, d, Array.from(rows)).center("column")
    const directions = new Matrix(Array.from({ length: d }, (_, k) => Array.from(direction(k))))
    assertClose(directions.mmul(directions.transpose()).to1DArray(), Matrix.eye(d).to1DArray(), 1e-12)
    const along = centred.mmul(directions.transpose())
    for (let k = 0; k < d; k++) assertClose(scores(k), along.getColumn(k), 1e-12, `component ${k}`)
  })

  it("gives scores of mean 0 and of the variances, not correlated with one another", () => {
    const n = 40
    const { variances, scores } = principalComponents(samples(2, n, 5), n, 5)
    for (let k = 0; k < 5; k++) {
      assert.closeTo(mean(scores(k)), 0, 1e-12)
      for (let j = 0; j < 5; j++) {
        const covariance = scores(k).reduce((sum, value, i) => sum + value * scores(j)[i], 0) / (n - 1)
        assert.closeTo(covariance, j === k ? variances[k] : 0, 1e-10)
      }
    }
  })

  it("has no number for one row, none, and rows that are not finite", () => {
    for (const [rows, n] of [
      [Float32Array.of(1, 2), 1],
      [new Float32Array(0), 0],
      [Float32Array.of(1, 2, Number.NaN, 4), 2],
    ] as const) {
      assert.isTrue(principalComponents(rows, n, 2).variances.every(Number.isNaN))
    }
  })
})

describe("componentsFor", () => {
  it.each([
    [0.5, 1],
    [0.6, 1],
    [0.61, 2],
    [0.9, 2],
    [0.91, 3],
    [1, 3],
    [0, 0],
  ])("a share of %d of variances 6, 3, 1 takes %i", (share, count) => {
    assert.strictEqual(componentsFor(Float64Array.of(6, 3, 1, 0), share), count)
  })

  it("takes all with variance, and no more, for a share of 1", () => {
    assert.strictEqual(componentsFor(Float64Array.of(0.7, 0.1, 0.1, 0.1, 0, 0), 1), 4)
  })

  it("is 0 without variance and NaN for NaN", () => {
    assert.strictEqual(componentsFor(Float64Array.of(0, 0), 0.9), 0)
    assert.isNaN(componentsFor(Float64Array.of(1, Number.NaN), 0.9))
  })
})
