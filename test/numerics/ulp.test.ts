import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { mostUlps, ulps } from "../../src/numerics/ulp.ts"

/** The float32 number after this one, by its bits. */
const next = (value: number): number => {
  if (value === 0) return 2 ** -149
  const bits = new Int32Array(Float32Array.of(value).buffer)
  bits[0] += value < 0 ? -1 : 1
  return new Float32Array(bits.buffer)[0]
}

describe("units in the last place of float32", () => {
  it.each([
    ["a number and itself", 0.1, 0.1, 0],
    ["1 and the next number", 1, 1 + 2 ** -23, 1],
    ["1 and the number before", 1, 1 - 2 ** -24, 1],
    ["neighbours below a power of two", 2, 2 - 3 * 2 ** -23, 3],
    ["the smallest numbers on either side of zero", 2 ** -149, -(2 ** -149), 2],
    ["zeros of either sign, which are other bytes", 0, -0, 1],
    ["doubles that float32 cannot tell apart", 1, 1 + 2 ** -40, 1],
    ["the largest number and infinity", 3.4028234663852886e38, Number.POSITIVE_INFINITY, 1],
    ["NaN and itself", Number.NaN, Number.NaN, 0],
    ["NaN and a number", Number.NaN, 1, Number.POSITIVE_INFINITY],
  ])("lie between %s", (_, a, b, expected) => {
    assert.strictEqual(ulps(a, b), expected)
    assert.strictEqual(ulps(b, a), expected)
  })

  it("are counted like steps from number to number", () => {
    const start = fc.float({ noNaN: true, noDefaultInfinity: true, max: Math.fround(1e38) })
    fc.assert(
      fc.property(start, fc.nat(50), (value, steps) => {
        const from = value === 0 ? 0 : value
        let to = from
        for (let i = 0; i < steps; i++) to = next(to)
        assert.strictEqual(ulps(from, to), steps)
      }),
    )
  })

  it("of arrays are the most of their entries, and infinite for other lengths", () => {
    assert.strictEqual(mostUlps(Float32Array.of(1, 2, 3), Float32Array.of(1, next(2), next(next(3)))), 2)
    assert.strictEqual(mostUlps([], []), 0)
    assert.strictEqual(mostUlps([1], [1, 2]), Number.POSITIVE_INFINITY)
  })
})
