import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { normalQuantile } from "../../src/numerics/normalQuantile.ts"

describe("normalQuantile", () => {
  // scipy.stats.norm.ppf, SciPy 1.17.1.
  it.each([
    [0.5, 0],
    [0.6, 0.2533471031357997],
    [0.075, -1.4395314709384563],
    [0.0749, -1.4402382675279635],
    [0.01, -2.3263478740408408],
    [0.975, 1.959963984540054],
    [1e-6, -4.753424308822899],
    [1e-9, -5.9978070150076865],
    [1.4e-11, -6.656723091518184],
  ])("of %d is %d", (p, expected) => {
    assert.closeTo(normalQuantile(p), expected, 4e-15 * Math.abs(expected))
  })

  it("is odd around one half and increases", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 20 - 1 }), (k) => {
        const p = k / 2 ** 20
        assert.strictEqual(normalQuantile(1 - p), -normalQuantile(p))
        assert.isAbove(normalQuantile(p), normalQuantile(p - 2 ** -21))
      }),
    )
  })

  it("has no value beyond the tails that it covers", () => {
    for (const p of [0, 1, 1e-12, -1, 2, Number.NaN]) assert.isNaN(normalQuantile(p))
  })
})
