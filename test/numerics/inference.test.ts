import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  bootstrapInterval,
  geometricMean,
  holm,
  permutationTest,
  signTest,
} from "../../src/numerics/inference.ts"
import { mean, median } from "../../src/numerics/statistics.ts"

const finite = fc.double({ min: -1e3, max: 1e3, noNaN: true })
const samples = (minLength: number, maxLength: number) => fc.array(finite, { minLength, maxLength })
const probability = fc.double({ min: 0, max: 1, noNaN: true })

/** Both ends, which the test takes to be there. */
const ends = (...[values, options]: Parameters<typeof bootstrapInterval>): [number, number] => {
  const { low, high } = bootstrapInterval(values, options)
  assert.isNotNull(low)
  assert.isNotNull(high)
  return [low ?? Number.NaN, high ?? Number.NaN]
}

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

describe("bootstrapInterval", () => {
  it("has no ends for one value or none", () => {
    for (const values of [[], [3]]) {
      assert.deepStrictEqual(bootstrapInterval(values, { seed: 1 }), { low: null, high: null })
    }
  })

  it("runs from the smallest to the largest of three seeds, at 95 %", () => {
    assert.deepStrictEqual(ends([101, 327, 217], { seed: 1 }), [101, 327])
    // At 90 % as well: 1/27 < 5 % < 4/27, so the second smallest of 27 means it is.
    assert.deepStrictEqual(ends([3, 0, 9], { seed: 1, level: 0.9 }), [1, 7])
  })

  // numpy.quantile(…, method="inverted_cdf") over itertools.product, and its mirror image.
  it("is exact for few values: the means of all 256 resamples of four", () => {
    assert.deepStrictEqual(ends([3, 1, 4, 1.5], { seed: 1 }), [1.25, 3.5])
  })

  it("takes another statistic: the geometric means of all 3125 resamples of five", () => {
    const [low, high] = ends([2, 8, 4, 1, 16], { seed: 1, level: 0.9, statistic: geometricMean })
    assert.closeTo(low, 2, 1e-12)
    assert.closeTo(high, 8, 1e-12)
  })

  it("leaves out the whole number of resamples that the level says, whatever its rounding", () => {
    // A statistic that numbers the 3125 resamples of 0 … 4; (1 − 0.84) / 2 · 3125 is 250, or a little more in float64.
    const number = (xs: ArrayLike<number>) => Array.from(xs).reduce((sum, digit) => 5 * sum + digit, 0)
    assert.deepStrictEqual(ends([0, 1, 2, 3, 4], { seed: 1, level: 0.84, statistic: number }), [249, 2875])
  })

  it("does not depend on the seed where it is exact, and does where it is drawn", () => {
    const values = [3, 1, 4, 1.5, 9, 2.6]
    assert.deepStrictEqual(ends(values, { seed: 1 }), ends(values, { seed: 2 }))
    const seven = [...values, 5.3]
    assert.deepStrictEqual(ends(seven, { seed: 1 }), ends(seven, { seed: 1 }))
    assert.notDeepEqual(ends(seven, { seed: 1, resamples: 500 }), ends(seven, { seed: 2, resamples: 500 }))
  })

  // LSAT of Efron's 15 law schools; scipy.stats.bootstrap, percentile, 100,000 resamples: 580.5, 621.2 ± 0.15.
  it("agrees with SciPy on the law schools", () => {
    const scores = [576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594]
    const [low, high] = ends(scores, { seed: 4 })
    assert.closeTo(low, 580.5, 1)
    assert.closeTo(high, 621.2, 1)
  })

  it("on logarithms is that of the geometric mean", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.1, max: 100, noNaN: true }), { minLength: 2, maxLength: 4 }),
        (xs) => {
          const logs = ends(xs.map(Math.log), { seed: 1 })
          ends(xs, { seed: 1, statistic: geometricMean }).forEach((end, i) => {
            assert.closeTo(end, Math.exp(logs[i]), 1e-9 * end)
          })
        },
      ),
      { numRuns: 30 },
    )
  })

  it("lies within the values, and a wider level holds a narrower one", () => {
    fc.assert(
      fc.property(samples(2, 9), (xs) => {
        const options = { seed: 3, resamples: 400 }
        const [low, high] = ends(xs, options)
        const [narrowLow, narrowHigh] = ends(xs, { ...options, level: 0.5 })
        const rounding = 1e-9
        assert.isAtLeast(low, Math.min(...xs) - rounding)
        assert.isAtMost(high, Math.max(...xs) + rounding)
        assert.isAtMost(low, narrowLow)
        assert.isAtMost(narrowLow, narrowHigh)
        assert.isAtMost(narrowHigh, high)
      }),
      { numRuns: 40 },
    )
  })

  it("mirrors when the values do", () => {
    fc.assert(
      fc.property(samples(2, 5), (xs) => {
        const [low, high] = ends(xs, { seed: 3 })
        const [mirroredLow, mirroredHigh] = ends(
          xs.map((x) => -x),
          { seed: 3 },
        )
        assert.closeTo(mirroredLow, -high, 1e-9)
        assert.closeTo(mirroredHigh, -low, 1e-9)
      }),
      { numRuns: 30 },
    )
  })

  it("is NaN when a value is, whatever the statistic does with it", () => {
    for (const n of [3, 9]) {
      const values = Float64Array.from({ length: n }, (_, i) => (i === 1 ? Number.NaN : i))
      for (const statistic of [mean, median]) {
        const { low, high } = bootstrapInterval(values, { seed: 1, statistic, resamples: 100 })
        assert.isNaN(low)
        assert.isNaN(high)
      }
    }
  })
})

const signs = (positive: number, negative: number): Array<number> => [
  ...Array.from({ length: positive }, (_, i) => i + 1),
  ...Array.from({ length: negative }, (_, i) => -i - 0.5),
]

describe("signTest", () => {
  // scipy.stats.binomtest(k, n).pvalue, SciPy 1.17.1.
  it.each([
    [3, 0, 0.25],
    [2, 7, 0.1796875],
    [3, 7, 0.34375],
    [13, 2, 0.00738525390625],
    [40, 60, 0.05688793364098089],
    [5, 5, 1],
    [0, 0, 1],
  ])("of %i positive and %i negative differences gives %d", (positive, negative, p) => {
    assert.closeTo(signTest(signs(positive, negative)).p, p, 1e-13)
  })

  it("drops zeros, also from what is attainable", () => {
    assert.deepStrictEqual(signTest([0, 1, 0, 2, 3]), signTest([1, 2, 3]))
    assert.deepStrictEqual(signTest([1, 2, 3]), { p: 0.25, attainable: 0.25 })
    assert.deepStrictEqual(signTest([1]), { p: 1, attainable: 1 })
    assert.deepStrictEqual(signTest([0, 0]), { p: 1, attainable: 1 })
  })

  it("takes an infinite difference by its sign", () => {
    assert.deepStrictEqual(signTest([Number.POSITIVE_INFINITY, 2, -1]), signTest([5, 2, -1]))
  })

  it("is symmetric, attainable at least, and attained when all signs agree", () => {
    fc.assert(
      fc.property(fc.nat(40), fc.nat(40), (positive, negative) => {
        const { p, attainable } = signTest(signs(positive, negative))
        assert.isAtLeast(p, attainable)
        assert.isAtMost(p, 1)
        assert.strictEqual(p, signTest(signs(negative, positive)).p)
        assert.strictEqual(signTest(signs(positive + negative, 0)).p, attainable)
      }),
    )
  })

  it("is NaN for NaN, and for more differences than it can count", () => {
    assert.isNaN(signTest([1, Number.NaN]).p)
    assert.isNaN(signTest(signs(600, 600)).p)
    assert.closeTo(signTest(signs(500, 500)).p, 1, 1e-12)
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

describe("holm", () => {
  // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
  it("agrees with R", () => {
    const expected = [0.03, 0.06, 0.06, 0.02]
    holm([0.01, 0.04, 0.03, 0.005]).forEach((p, i) => {
      assert.closeTo(p, expected[i], 1e-15)
    })
  })

  it("caps at 1, keeps ties equal, and leaves NaN where it was", () => {
    assert.deepStrictEqual(holm([0.9, 0.9]), Float64Array.of(1, 1))
    assert.deepStrictEqual(holm([0.25, Number.NaN, 0.25]), Float64Array.of(0.5, Number.NaN, 0.5))
    assert.deepStrictEqual(holm([0.02]), Float64Array.of(0.02))
    assert.deepStrictEqual(holm([]), Float64Array.of())
  })

  it("keeps the order, is never below the raw values nor above Bonferroni's", () => {
    fc.assert(
      fc.property(fc.array(probability, { maxLength: 20 }), (ps) => {
        const adjusted = holm(ps)
        ps.forEach((p, i) => {
          assert.isAtLeast(adjusted[i], p)
          assert.isAtMost(adjusted[i], Math.min(1, ps.length * p))
          ps.forEach((other, j) => {
            if (p <= other) assert.isAtMost(adjusted[i], adjusted[j])
          })
        })
      }),
    )
  })

  it("rejects what the step-down procedure rejects", () => {
    fc.assert(
      fc.property(fc.array(probability, { maxLength: 12 }), fc.constantFrom(0.05, 0.2, 0.6), (ps, level) => {
        const sorted = ps.toSorted((left, right) => left - right)
        const firstKept = sorted.findIndex((p, rank) => (ps.length - rank) * p > level)
        const rejected = firstKept === -1 ? ps.length : firstKept
        assert.strictEqual(holm(ps).filter((p) => p <= level).length, rejected)
      }),
    )
  })
})
