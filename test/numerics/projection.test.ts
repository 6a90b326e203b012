import { assert, describe, it } from "@effect/vitest"
import { Matrix, QrDecomposition, SingularValueDecomposition } from "ml-matrix"
import { dot } from "../../src/numerics/gram.ts"
import { type RollingBasis, randomProjection, rollingBasis } from "../../src/numerics/projection.ts"
import { normalsInto, stream } from "../../src/numerics/random.ts"
import { mean } from "../../src/numerics/statistics.ts"
import { assertClose, assertSameBits, relativeError } from "../model/close.ts"

const vector = (seed: number, length: number, scale = 1): Float32Array => {
  const out = new Float32Array(length)
  normalsInto(stream(seed, "noise"), out)
  return out.map((value) => scale * value)
}

/** Rows of unequal scales, which keep the singular values apart. */
const randomRows = (seed: number, count: number, length: number): Array<Float32Array> =>
  Array.from({ length: count }, (_, r) => vector(1000 * seed + r, length, 1 + r / 3))

/** Rows in the span of as many random vectors as there are `scales`, which set the singular values. */
const rowsInSpan = (seed: number, count: number, length: number, scales: ReadonlyArray<number>) => {
  const basis = scales.map((scale, k) => vector(2000 * seed + k, length, scale))
  return Array.from({ length: count }, (_, r) => {
    const weights = vector(3000 * seed + r, scales.length)
    return vector(0, length, 0).map((_zero, i) =>
      basis.reduce((sum, direction, k) => sum + weights[k] * direction[i], 0),
    )
  })
}

const fullSvd = (rows: ReadonlyArray<Float32Array>) =>
  new SingularValueDecomposition(new Matrix(rows.map((row) => Array.from(row))).transpose(), {
    autoTranspose: true,
  })

/** V Vᵀ g with the first `rank` right singular vectors of a float64 SVD of the stacked rows. */
const reference = (rows: ReadonlyArray<Float32Array>, g: Float32Array, rank: number): Float64Array => {
  const V = fullSvd(rows).leftSingularVectors.subMatrix(0, g.length - 1, 0, rank - 1)
  return Float64Array.from(V.mmul(V.transpose().mmul(Matrix.columnVector(Array.from(g)))).to1DArray())
}

const project = (basis: RollingBasis, g: Float32Array, rank: number): Float32Array => {
  const out = new Float32Array(g.length)
  basis.combine(basis.projection(g, rank).coefficients, out)
  return out
}

const norm = (g: Float32Array) => Math.sqrt(dot(g, g))

const length = 300

describe("projection onto the leading directions of a buffer", () => {
  it.each([
    [20, 3],
    [20, 1],
    [6, 6],
    [7, 3],
    [2, 2],
    [1, 1],
  ])("agrees with a float64 SVD of the stacked rows (%i rows, rank %i)", (count, rank) => {
    const rows = randomRows(1, count, length)
    const g = vector(9, length)
    const basis = rollingBasis(count, length, rows)
    assert.strictEqual(basis.projection(g, rank).rank, rank)
    assertClose(project(basis, g, rank), reference(rows, g, rank), 1e-6)
  })

  it("reaches past a chunk of the sums (D = 2,500)", () => {
    const rows = randomRows(2, 5, 2500)
    const g = vector(9, 2500)
    assertClose(project(rollingBasis(5, 2500, rows), g, 3), reference(rows, g, 3), 1e-6)
  })

  it("holds for rows of rank 3 whose third singular value is 1e-5 of the first", () => {
    const rows = rowsInSpan(3, 20, length, [1, 0.3, 1e-5])
    const { diagonal } = fullSvd(rows)
    assert.closeTo(diagonal[2] / diagonal[0], 1e-5, 5e-6)
    const basis = rollingBasis(20, length, rows)
    // A vector with a large part along the third direction, which the rows themselves hardly have.
    const g = vector(9, length)
    assert.strictEqual(basis.projection(g, 3).rank, 3)
    assertClose(project(basis, g, 3), reference(rows, g, 3), 2e-5)
    assert.isAbove(relativeError(project(basis, g, 2), reference(rows, g, 3)), 0.01)
  })

  it("leaves out directions of rounding noise", () => {
    const rows = rowsInSpan(4, 20, length, [1, 0.5])
    const g = vector(9, length)
    const basis = rollingBasis(20, length, rows)
    assert.strictEqual(basis.projection(g, 3).rank, 2)
    assertClose(project(basis, g, 3), reference(rows, g, 2), 1e-6)
  })

  it("is idempotent, orthogonal to what it leaves, and keeps what lies in the span", () => {
    const rows = randomRows(5, 20, length)
    const basis = rollingBasis(20, length, rows)
    const g = vector(9, length)
    const kept = project(basis, g, 3)
    const left = g.map((value, i) => value - kept[i])
    assertClose(project(basis, kept, 3), kept, 1e-6, "P P g")
    assert.isBelow(norm(project(basis, left, 3)), 1e-6 * norm(g))
    assert.closeTo(dot(kept, left), 0, 1e-6 * dot(g, g))
    assert.isAbove(norm(kept), 0.01 * norm(g))
    assertClose(project(basis, rows[4], 20), rows[4], 1e-5, "P row")
  })

  it("tells the share of the energy that its directions hold", () => {
    const rows = randomRows(6, 12, length)
    const squares = fullSvd(rows).diagonal.map((sigma) => sigma ** 2)
    const total = squares.reduce((sum, square) => sum + square)
    const basis = rollingBasis(12, length, rows)
    const g = vector(9, length)
    for (const rank of [1, 3, 11]) {
      const share = squares.slice(0, rank).reduce((sum, square) => sum + square) / total
      assert.closeTo(basis.projection(g, rank).energyShare, share, 1e-12)
    }
    assert.strictEqual(basis.projection(g, 12).energyShare, 1)
  })

  it("without rows, or with zero rows, is zero and has no energy to share", () => {
    for (const rows of [[], [new Float32Array(length), new Float32Array(length)]]) {
      const basis = rollingBasis(4, length, rows)
      const { rank, energyShare } = basis.projection(vector(9, length), 3)
      assert.strictEqual(rank, 0)
      assert.isNaN(energyShare)
      assertSameBits(project(basis, vector(9, length), 3), new Float32Array(length))
    }
  })

  it("is NaN where g or a row is not finite", () => {
    const rows = randomRows(7, 4, length)
    const broken = vector(9, length).fill(Number.NaN, 5, 6)
    assert.isTrue(project(rollingBasis(4, length, rows), broken, 3).every(Number.isNaN))
    assert.isTrue(project(rollingBasis(4, length, [...rows, broken]), rows[0], 3).every(Number.isNaN))
  })
})

describe("rolling buffer", () => {
  const rows = randomRows(8, 11, 2500)

  it("keeps the last W rows in order, as copies", () => {
    const basis = rollingBasis(4, 2500)
    const row = new Float32Array(2500)
    rows.forEach((values, r) => {
      row.set(values)
      basis.push(row)
      const expected = rows.slice(Math.max(0, r - 3), r + 1)
      assert.strictEqual(basis.rows().length, expected.length)
      basis.rows().forEach((stored, i) => {
        assertSameBits(stored, expected[i])
      })
    })
  })

  it.each([1, 4, 5, 20])("keeps the Gram matrix that its rows have, bit for bit (W = %i)", (window) => {
    const basis = rollingBasis(window, 2500)
    for (const row of rows) {
      basis.push(row)
      const restored = rollingBasis(window, 2500, basis.rows())
      assertSameBits(basis.gram(), restored.gram(), "Gram matrix")
      assertSameBits(basis.projection(rows[0], 3).coefficients, restored.projection(rows[0], 3).coefficients)
    }
    const expected = basis.rows().flatMap((left) => basis.rows().map((right) => dot(left, right)))
    assertClose(basis.gram(), expected, 1e-14)
  })

  it("takes the known products of a natural vector, with the same bits", () => {
    const computed = rollingBasis(4, 2500)
    const told = rollingBasis(4, 2500)
    for (const row of rows) {
      assertSameBits(told.products(row), told.projection(row, 3).products)
      told.push(row, told.projection(row, 3).products)
      computed.push(row)
      assertSameBits(told.gram(), computed.gram())
    }
  })

  it.each(["kept", "removed"] as const)("takes the products of what it %s, with the same bits", (what) => {
    const computed = rollingBasis(4, 2500, rows.slice(0, 6))
    const told = rollingBasis(4, 2500, rows.slice(0, 6))
    for (const row of rows) {
      const { coefficients } = told.projection(row, 2)
      const out = new Float32Array(2500)
      const products = told.combineForPush(coefficients, out, what === "kept" ? undefined : row)
      assertSameBits(products, told.products(out))
      told.push(out, products)
      computed.push(out)
      assertSameBits(told.gram(), computed.gram())
    }
  })

  it("removes what it would keep", () => {
    const basis = rollingBasis(4, 2500, rows.slice(0, 4))
    const { coefficients } = basis.projection(rows[5], 2)
    const [kept, removed] = [new Float32Array(2500), new Float32Array(2500)]
    basis.combine(coefficients, kept)
    basis.combine(coefficients, removed, rows[5])
    assertClose(
      removed.map((value, i) => value + kept[i]),
      rows[5],
      1e-6,
    )
    assert.isBelow(Math.abs(dot(kept, removed)), 1e-5 * norm(kept) * norm(removed))
  })

  it("projects onto its own span for ever when it stores what it kept", () => {
    const basis = rollingBasis(5, length, randomRows(9, 5, length))
    const store = (step: number) => basis.push(project(basis, vector(100 + step, length), 3))
    for (let step = 0; step < 100; step++) store(step)
    // By now the natural rows are forgotten, and what was left of other directions.
    const settled = basis.rows().map((row) => row.slice())
    for (let step = 100; step < 200; step++) store(step)
    const g = vector(9, length)
    assert.strictEqual(basis.projection(g, 4).rank, 3)
    assertClose(project(basis, g, 3), reference(settled, g, 3), 1e-5)
  })
})

describe("projection onto a random subspace", () => {
  const randomly = (g: Float32Array, rank: number, step: number): Float32Array => {
    const out = new Float32Array(g.length).fill(9)
    randomProjection(rank, g.length)(g, stream(1, "random-basis", step), out)
    return out
  }

  it("leaves what is orthogonal to it", () => {
    const g = vector(9, 2500)
    for (const rank of [1, 3, 64, 2499]) {
      const kept = randomly(g, rank, rank)
      assert.closeTo(dot(kept, kept), dot(kept, g), 1e-6 * dot(kept, kept))
    }
  })

  const shareOf = (kept: Float32Array, g: Float32Array): number => dot(kept, kept) / dot(g, g)

  it("keeps rank / D of the squared norm on average", () => {
    const g = vector(9, 60)
    for (const rank of [1, 3, 6, 59]) {
      const shares = Array.from({ length: 4000 }, (_, step) => shareOf(randomly(g, rank, step), g))
      // A Beta(rank / 2, (D − rank) / 2) variable.
      const expected = rank / 60
      const deviation = Math.sqrt((2 * expected * (1 - expected)) / 62 / 4000)
      assert.closeTo(mean(shares), expected, 5 * deviation)
    }
  })

  describe("is distributed as the projection onto the QR basis of Gaussian vectors", () => {
    const [size, count] = [9, 3000]
    const g = vector(9, size)
    const byQr = (rank: number, step: number): Float32Array => {
      const draws = new Float32Array(rank * size)
      normalsInto(stream(2, "random-basis", step), draws)
      const basis = new QrDecomposition(Matrix.from1DArray(rank, size, [...draws]).transpose())
        .orthogonalMatrix
      return Float32Array.from(basis.mmul(basis.transpose().mmul(Matrix.columnVector([...g]))).to1DArray())
    }
    /** Largest distance between the distribution functions of two samples (Kolmogorov & Smirnov). */
    const distance = (left: ReadonlyArray<number>, right: ReadonlyArray<number>): number => {
      const below = (sample: ReadonlyArray<number>, x: number) =>
        sample.filter((value) => value <= x).length / sample.length
      return Math.max(...[...left, ...right].map((x) => Math.abs(below(left, x) - below(right, x))))
    }
    const other = vector(10, size)
    const statistics: Readonly<Record<string, (kept: Float32Array) => number>> = {
      "its share of the squared norm": (kept) => shareOf(kept, g),
      "its first entry": (kept) => kept[0],
      "its product with another vector": (kept) => dot(kept, other),
    }

    it.each([1, 3, 8])("of rank %d", (rank) => {
      const steps = Array.from({ length: count }, (_, step) => step)
      const drawn = steps.map((step) => randomly(g, rank, step))
      const expected = steps.map((step) => byQr(rank, step))
      for (const [name, of] of Object.entries(statistics)) {
        // Exceeded by one pair of equal distributions in 100,000.
        assert.isBelow(distance(drawn.map(of), expected.map(of)), 2.47 * Math.sqrt(2 / count), name)
      }
    })
  })

  it("draws another subspace at each step, the same one again for the same stream", () => {
    const g = vector(9, length)
    assertSameBits(randomly(g, 3, 4), randomly(g, 3, 4))
    assert.isAbove(relativeError(randomly(g, 3, 5), randomly(g, 3, 4)), 0.1)
  })

  it("is zero for rank 0 and everything for rank D", () => {
    const g = vector(9, 6)
    assertSameBits(randomly(g, 0, 0), new Float32Array(6))
    assertSameBits(randomly(g, 6, 0), g)
    assertSameBits(randomly(g, 9, 0), g)
  })

  it("is zero of zeros", () => {
    assertSameBits(randomly(new Float32Array(6), 3, 0), new Float32Array(6))
  })
})
