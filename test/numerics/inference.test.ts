import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  geometricMean,
  intervalOf,
  isEquivalent,
  permutationTest,
  sampleMean,
  studentQuantile,
  tableMean,
} from "../../src/numerics/inference.ts"

const finite = fc.double({ min: -1e3, max: 1e3, noNaN: true })
const samples = (minLength: number, maxLength: number) => fc.array(finite, { minLength, maxLength })

describe("geometricMean", () => {
  it("is the root of the product", () => {
    assert.closeTo(geometricMean([1, 10, 100]), 10, 1e-12)
    assert.closeTo(geometricMean([2.2, 0.7, 3.9]), Math.cbrt(2.2 * 0.7 * 3.9), 1e-15)
    assert.strictEqual(geometricMean([4, 0]), 0)
  })

  it("is undefined for negative numbers, NaN and nothing", () => {
    for (const xs of [[2, -1], [2, Number.NaN], []]) assert.isNaN(geometricMean(xs))
  })
})

describe("studentQuantile", () => {
  // scipy.stats.t.ppf.
  it.each([
    [0.975, 1, 12.706204736174694],
    [0.975, 2, 4.302652729749462],
    [0.95, 2, 2.9199855803537242],
    [0.975, 3, 3.1824463052837078],
    [0.975, 5, 2.5705818356363146],
    [0.975, 10, 2.228138851986274],
    [0.975, 30, 2.0422724563012378],
    // The printed tables of every textbook, to their three digits, and more of them where they are used.
    [0.975, 4, 2.776445105198],
    [0.975, 6, 2.446911851145],
    [0.95, 5, 2.015048373333],
    [0.975, 11, 2.200985160083],
  ])("%d with %i degrees of freedom is %d", (p, degrees, expected) => {
    assert.closeTo(studentQuantile(p, degrees), expected, 1e-9)
    assert.closeTo(studentQuantile(1 - p, degrees), -expected, 1e-9)
  })

  it("is 0 in the middle, Cauchy's for one degree, and normal for many", () => {
    for (const degrees of [1, 2, 7, 40]) assert.closeTo(studentQuantile(0.5, degrees), 0, 1e-12)
    for (const p of [0.6, 0.9, 0.99]) {
      assert.closeTo(studentQuantile(p, 1), Math.tan(Math.PI * (p - 0.5)), 1e-9)
      // t with two degrees: (2p − 1) √(2 / (4 p (1 − p))).
      assert.closeTo(studentQuantile(p, 2), (2 * p - 1) * Math.sqrt(2 / (4 * p * (1 - p))), 1e-9)
    }
    assert.closeTo(studentQuantile(0.975, 100_000), 1.959963984540054, 1e-4)
  })

  it("is NaN for no probability, and for no whole number of degrees", () => {
    for (const [p, degrees] of [
      [0, 3],
      [1, 3],
      [Number.NaN, 3],
      [0.5, 0],
      [0.5, 1.5],
    ]) {
      assert.isNaN(studentQuantile(p, degrees))
    }
  })
})

describe("sampleMean", () => {
  it("has the standard deviation of the sample over √n for its error", () => {
    const { mean, standardError, degrees } = sampleMean([101, 327, 217])
    assert.closeTo(mean, 215, 1e-12)
    assert.closeTo(standardError, Math.sqrt((114 ** 2 + 112 ** 2 + 2 ** 2) / 2 / 3), 1e-12)
    assert.strictEqual(degrees, 2)
  })

  it("has no error for one value", () => {
    const { mean, standardError } = sampleMean([3])
    assert.strictEqual(mean, 3)
    assert.isNaN(standardError)
  })
})

describe("tableMean", () => {
  const tableOf = (values: ReadonlyArray<ReadonlyArray<number>>) =>
    values.flatMap((row, i) => row.map((value, j) => ({ row: `row ${i}`, column: `column ${j}`, value })))

  it("leaves out of its error what rows and columns have in common", () => {
    const additive = [0, 5, 20].map((row) => [1, 2, 7, 11].map((column) => row + column))
    const { mean, standardError, degrees } = tableMean(tableOf(additive))
    assert.closeTo(mean, 25 / 3 + 21 / 4, 1e-12)
    assert.closeTo(standardError, 0, 1e-12)
    assert.strictEqual(degrees, 6)
  })

  it("has the residual of rows and columns for its error", () => {
    // Residuals ±1/4 on a table of two by two: one degree of freedom, Σ = 1/4, over four values.
    const { mean, standardError, degrees } = tableMean(
      tableOf([
        [1, 2],
        [3, 5],
      ]),
    )
    assert.deepStrictEqual({ mean, standardError, degrees }, { mean: 2.75, standardError: 0.25, degrees: 1 })
  })

  // Box, Hunter and Hunter (1978, Statistics for Experimenters, §7.1): residual sum of squares 226 over 12 degrees of freedom.
  it("gives the textbook's residual of penicillin yields by blend and treatment", () => {
    const { mean, standardError, degrees } = tableMean(
      tableOf([
        [89, 88, 97, 94],
        [84, 77, 92, 79],
        [81, 87, 87, 85],
        [87, 92, 89, 84],
        [79, 81, 80, 88],
      ]),
    )
    assert.deepStrictEqual({ mean, degrees }, { mean: 86, degrees: 12 })
    assert.closeTo(standardError, Math.sqrt(226 / 12 / 20), 1e-12)
  })

  it("does not change its error when a row or a column is shifted", () => {
    fc.assert(
      fc.property(samples(12, 12), finite, finite, (values, byRow, byColumn) => {
        const rows = [0, 1, 2].map((i) => values.slice(4 * i, 4 * i + 4))
        const shifted = rows.map((row, i) =>
          row.map((value, j) => value + (i === 1 ? byRow : 0) + (j === 2 ? byColumn : 0)),
        )
        const [one, other] = [tableMean(tableOf(rows)), tableMean(tableOf(shifted))]
        assert.closeTo(other.standardError, one.standardError, 1e-9)
        assert.closeTo(other.mean, one.mean + byRow / 3 + byColumn / 4, 1e-9)
      }),
    )
  })

  it("has no error where the table is not full, or is one row", () => {
    const full = tableOf([
      [1, 2],
      [3, 5],
    ])
    const twice = [...full.slice(0, 3), full[0]]
    for (const entries of [full.slice(1), twice, tableOf([[1, 2, 3]])]) {
      assert.isNaN(tableMean(entries).standardError)
    }
  })
})

describe("intervalOf", () => {
  it("is the mean and Student's quantile times its error, at both sides", () => {
    const { low, high } = intervalOf(sampleMean([101, 327, 217]))
    const half = 4.302652729749462 * Math.sqrt((114 ** 2 + 112 ** 2 + 2 ** 2) / 6)
    assert.closeTo(low ?? Number.NaN, 215 - half, 1e-9)
    assert.closeTo(high ?? Number.NaN, 215 + half, 1e-9)
  })

  it("has no ends without an error", () => {
    for (const values of [[], [3], [1, Number.NaN]]) {
      assert.deepStrictEqual(intervalOf(sampleMean(values)), { low: null, high: null })
    }
  })

  it("holds the mean, mirrors when the values do, and a wider level holds a narrower one", () => {
    fc.assert(
      fc.property(samples(2, 9), (values) => {
        const fitted = sampleMean(values)
        const [wide, narrow] = [intervalOf(fitted), intervalOf(fitted, 0.5)]
        const order = [wide.low, narrow.low, fitted.mean, narrow.high, wide.high].map(
          (end) => end ?? Number.NaN,
        )
        for (const [i, end] of order.slice(1).entries()) assert.isAtMost(order[i], end)
        const mirrored = intervalOf(sampleMean(values.map((value) => -value)))
        assert.closeTo(mirrored.low ?? Number.NaN, -(wide.high ?? Number.NaN), 1e-6)
      }),
    )
  })
})

describe("isEquivalent", () => {
  it("asks whether the 90 % interval lies within the margin", () => {
    // Half of the interval: 2.92 √(1/3) = 1.686.
    const fitted = sampleMean([-1, 0, 1])
    assert.isTrue(isEquivalent(fitted, 1.69))
    assert.isFalse(isEquivalent(fitted, 1.68))
    const shifted = sampleMean([0, 1, 2])
    assert.isTrue(isEquivalent(shifted, 2.69))
    assert.isFalse(isEquivalent(shifted, 2.68))
    assert.isFalse(isEquivalent(sampleMean([0]), 100), "nothing is known of one value")
  })
})

describe("permutationTest", () => {
  const test = (differences: ReadonlyArray<number>, seed = 0) =>
    permutationTest(
      differences,
      differences.map(() => 0),
      { paired: true, seed },
    )

  // Darwin's maize, the example of Fisher (1935, The Design of Experiments, §21): 1726 of 32,768 sums.
  it("gives Fisher's answer on Darwin's maize", () => {
    const differences = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert.strictEqual(test(differences).p, 1726 / 32768)
    assert.strictEqual(test(differences).attainable, 2 ** -14)
  })

  // scipy.stats.permutation_test(…, permutation_type="samples", n_resamples=inf), SciPy 1.17.1.
  it("agrees with SciPy on seven pairs", () => {
    const a = [5.1, 4.2, 6.6, 3.9, 7, 5.5, 6.1]
    const b = [4.4, 4.5, 5.1, 3.2, 6.1, 5.6, 4.9]
    assert.strictEqual(permutationTest(a, b, { paired: true }).p, 0.0625)
  })

  it("counts sums that are equal but for rounding as ties", () => {
    // |0.1 + 0.2 − 0.3| is 0 in exact arithmetic: every sum is at least as far.
    assert.strictEqual(test([0.1, 0.2, -0.3]).p, 1)
    assert.strictEqual(test([0.1, 0.2, 0.3]).p, 0.25)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -9, max: 9 }), { maxLength: 8 }), (differences) => {
        assert.strictEqual(test(differences.map((d) => d / 10)).p, test(differences).p)
      }),
    )
  })

  it("is symmetric, attainable at least, and attained when all differences agree in sign", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -50, max: 50 }), { maxLength: 9 }), (differences) => {
        const { p, attainable } = test(differences)
        assert.isAtLeast(p, attainable)
        assert.isAtMost(p, 1)
        assert.strictEqual(p, test(differences.map((d) => -3 * d)).p)
        assert.strictEqual(test(differences.map(Math.abs)).p, attainable)
        // A zero difference flips into itself.
        assert.deepStrictEqual(test([0, ...differences]), { p, attainable })
      }),
    )
  })

  it("has the size that it claims: on symmetric data p ≤ α at most as often as α", () => {
    // All sign patterns of distinct magnitudes are equally likely: their p values over all patterns.
    const magnitudes = [1, 2, 4.5, 9, 20, 41]
    const ps = Array.from(
      { length: 64 },
      (_, pattern) => test(magnitudes.map((m, i) => ((pattern >> i) & 1 ? -m : m))).p,
    )
    for (const level of [0.05, 0.1, 0.25, 0.5]) {
      assert.isAtMost(ps.filter((p) => p <= level).length, 64 * level)
    }
  })

  it("draws flips for more than twenty differences", () => {
    // numpy default_rng(0).normal(0.4, 1, 25) rounded; scipy.stats.permutation_test with 10⁶ flips: 0.0756.
    const differences = [
      0.53, 0.27, 1.04, 0.5, -0.14, 0.76, 1.7, 1.35, -0.3, -0.87, -0.22, 0.44, -1.93, 0.18, -0.85, -0.33,
      -0.14, 0.08, 0.81, 1.44, 0.27, 1.77, -0.27, 0.75, 1.3,
    ]
    const { p, attainable } = test(differences)
    assert.closeTo(p, 0.0756, 5 * Math.sqrt((0.0756 * 0.9244) / 10_000))
    assert.strictEqual(attainable, 1 / 10_001)
    assert.strictEqual(p, test(differences).p)
    assert.notStrictEqual(p, test(differences, 1).p)
    assert.strictEqual(test(differences.map((d) => 1 + Math.abs(d))).p, attainable)
  })

  it("is exact for twenty", () => {
    const { p, attainable } = test(Array.from({ length: 20 }, () => 1))
    assert.deepStrictEqual({ p, attainable }, { p: 2 ** -19, attainable: 2 ** -19 })
  })

  it("is 1 without differences and NaN for what is not finite or not paired", () => {
    assert.deepStrictEqual(test([]), { p: 1, attainable: 1 })
    assert.deepStrictEqual(test([0, 0]), { p: 1, attainable: 1 })
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) assert.isNaN(test([1, value]).p)
    assert.isNaN(permutationTest([1, 2], [1], { paired: true }).p)
    assert.isNaN(permutationTest([1], [1, 2], { paired: true }).p)
  })
})
