import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { interquartileRange, mean, median, quantile } from "../../src/numerics/statistics.ts"

const samples = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 50 })

describe("statistics", () => {
  // numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6], q), whose default is type 7.
  it.each([
    [0, 1],
    [0.1, 1],
    [0.25, 1.75],
    [0.5, 3.5],
    [0.75, 5.25],
    [0.9, 6.9],
    [1, 9],
  ])("quantile %d agrees with NumPy", (q, expected) => {
    assert.closeTo(quantile([3, 1, 4, 1, 5, 9, 2, 6], q), expected, 1e-12)
  })

  it("gives the mean, the median and the interquartile range", () => {
    assert.strictEqual(mean([1, 2, 6]), 3)
    assert.strictEqual(median([6, 1, 2]), 2)
    assert.strictEqual(median(Float32Array.of(4, 1, 3, 2)), 2.5)
    assert.strictEqual(interquartileRange([3, 1, 4, 1, 5, 9, 2, 6]), 3.5)
  })

  it("sorts numbers, not texts, and leaves its input alone", () => {
    const xs = [10, 9, 100]
    assert.strictEqual(median(xs), 10)
    assert.deepStrictEqual(xs, [10, 9, 100])
  })

  it("is NaN for empty input, for NaN inside, and for a quantile outside [0, 1]", () => {
    for (const statistic of [mean, median, interquartileRange]) {
      assert.isNaN(statistic([]))
      assert.isNaN(statistic([1, Number.NaN, 2]))
    }
    assert.isNaN(quantile([1, 2], -0.1))
    assert.isNaN(quantile([1, 2], 1.1))
    assert.isNaN(quantile([1, 2], Number.NaN))
  })

  it("keeps infinities apart from NaN", () => {
    assert.strictEqual(median([1, Infinity, Infinity]), Infinity)
    assert.strictEqual(quantile([Infinity, Infinity, 0, Infinity], 0.6), Infinity)
  })

  it("quantiles stay within the sample and grow with q", () => {
    const fraction = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(samples, fraction, fraction, (xs, p, q) => {
        const low = quantile(xs, Math.min(p, q))
        const high = quantile(xs, Math.max(p, q))
        assert.isAtLeast(low, Math.min(...xs))
        assert.isAtMost(high, Math.max(...xs))
        assert.isAtMost(low, high + 1e-9)
      }),
    )
  })
})
