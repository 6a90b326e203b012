import { assert, describe, it } from "@effect/vitest"
import { Matrix, SingularValueDecomposition } from "ml-matrix"
import { dot, rollingGram } from "../../src/numerics/gram.ts"
import { normals, normalsInto, stream } from "../../src/numerics/random.ts"
import { numericalRank, rightSingularVectors, thinSvdFromGram } from "../../src/numerics/svd.ts"

const randomRows = (seed: number, count: number, length: number): Array<Float32Array> =>
  Array.from({ length: count }, (_, index) => {
    const row = new Float32Array(length)
    normalsInto(stream(seed, "noise", index), row)
    // Unequal scales keep the singular values apart.
    return row.map((value) => value * (1 + index / 4))
  })

const thinSvd = (rows: ReadonlyArray<Float32Array>) =>
  thinSvdFromGram(rollingGram((index) => rows[index]).gram(0, rows.length), rows.length)

const assertOrthonormal = (vectors: ReadonlyArray<Float32Array>) => {
  vectors.forEach((left, i) => {
    vectors.forEach((right, j) => {
      assert.closeTo(dot(left, right), i === j ? 1 : 0, 1e-6)
    })
  })
}

describe("thin SVD through the Gram matrix", () => {
  it.each([1, 2, 3])("agrees with a full SVD in float64 (seed %i)", (seed) => {
    const rows = randomRows(seed, 20, 500)
    const svd = thinSvd(rows)
    const right = rightSingularVectors(rows, svd, 20)
    const columns = new Matrix(rows.map((row) => Array.from(row))).transpose()
    const full = new SingularValueDecomposition(columns, { autoTranspose: true })
    full.diagonal.forEach((sigma, k) => {
      assert.closeTo(svd.singularValues[k], sigma, 1e-10 * full.diagonal[0])
      const v = full.leftSingularVectors.getColumn(k)
      const cosine = v.reduce((sum, value, i) => sum + value * right[k][i], 0)
      assert.closeTo(Math.abs(cosine), 1, 1e-6)
    })
  })

  it("reconstructs the rows from orthonormal vectors", () => {
    const rows = randomRows(4, 6, 300)
    const { singularValues, leftVectors } = thinSvd(rows)
    const right = rightSingularVectors(rows, { singularValues, leftVectors }, 6)
    assertOrthonormal(right)
    rows.forEach((row, r) => {
      row.forEach((value, i) => {
        const rebuilt = right.reduce((sum, v, k) => sum + leftVectors[k][r] * singularValues[k] * v[i], 0)
        assert.closeTo(rebuilt, value, 1e-5)
      })
    })
  })

  it("orders singular values and fixes the sign by the largest entry of u", () => {
    const rows = randomRows(5, 8, 200)
    const { singularValues, leftVectors } = thinSvd(rows)
    assert.deepStrictEqual(singularValues, singularValues.toSorted().toReversed())
    for (let k = 0; k < 8; k++) {
      const u = Array.from(leftVectors[k])
      assert.strictEqual(Math.max(...u), Math.max(...u.map(Math.abs)))
    }
  })

  it("gives the normalised row for a window of one", () => {
    const [row] = randomRows(6, 1, 100)
    const svd = thinSvd([row])
    const [v] = rightSingularVectors([row], svd, 3)
    assert.closeTo(svd.singularValues[0], Math.sqrt(dot(row, row)), 1e-12)
    v.forEach((value, i) => {
      assert.closeTo(value, row[i] / svd.singularValues[0], 1e-7)
    })
  })

  it("is the same from a rolling Gram matrix as from a fresh one", () => {
    const rows = randomRows(7, 12, 400)
    const rolling = rollingGram((index) => rows[index])
    for (const start of [0, 1, 2, 3]) {
      assert.deepStrictEqual(
        thinSvdFromGram(rolling.gram(start, 9), 9),
        thinSvd(rows.slice(start, start + 9)),
      )
    }
  })
})

describe("rank deficiency", () => {
  it.each([20, 60])("leaves out directions of rounding noise (%i rows of rank 2)", (count) => {
    const [first, second] = randomRows(8, 2, 400)
    const weights = normals(stream(8, "probe"), 2 * count)
    const rows = Array.from({ length: count }, (_, r) =>
      first.map((value, i) => weights[2 * r] * value + weights[2 * r + 1] * second[i]),
    )
    const svd = thinSvd(rows)
    assert.strictEqual(numericalRank(svd), 2)
    const right = rightSingularVectors(rows, svd, 3)
    assert.lengthOf(right, 2)
    assertOrthonormal(right)
  })

  it.each([2, 20, 100])("repeated rows (%i of them) have rank 1", (count) => {
    const [row] = randomRows(9, 1, 400)
    const rows = Array.from({ length: count }, () => row)
    assert.lengthOf(rightSingularVectors(rows, thinSvd(rows), 3), 1)
  })

  it("rows barely apart still give an orthonormal basis", () => {
    const [base, ...others] = randomRows(10, 4, 400)
    const rows = [base, ...others.map((other) => base.map((value, i) => value + 1e-5 * other[i]))]
    const right = rightSingularVectors(rows, thinSvd(rows), 4)
    assert.lengthOf(right, 4)
    assertOrthonormal(right)
  })

  it("zero rows, no rows and rows that are not finite give no direction", () => {
    for (const rows of [
      [],
      [new Float32Array(9)],
      [new Float32Array(9).fill(Number.NaN), new Float32Array(9)],
    ]) {
      assert.lengthOf(rightSingularVectors(rows, thinSvd(rows), 3), 0)
    }
    assert.deepStrictEqual(
      thinSvdFromGram(Float64Array.of(Infinity), 1).singularValues,
      Float64Array.of(Number.NaN),
    )
  })
})
