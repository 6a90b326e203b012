import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type Axes, axesOf, grid, zip } from "../../src/pipelines/Sweep.ts"

const someAxes: fc.Arbitrary<Axes> = fc.dictionary(
  fc.stringMatching(/^[a-z.]{1,8}$/),
  fc.uniqueArray(fc.oneof(fc.integer(), fc.string(), fc.boolean()), {
    minLength: 1,
    maxLength: 4,
    selector: (value) => JSON.stringify(value),
  }),
  { minKeys: 1, maxKeys: 4 },
)

describe("grid", () => {
  it("is every combination, the last field varying fastest", () => {
    assert.deepStrictEqual(grid({ a: [1, 2], b: ["x", "y"] }), [
      { a: 1, b: "x" },
      { a: 1, b: "y" },
      { a: 2, b: "x" },
      { a: 2, b: "y" },
    ])
  })

  it("has each combination once, as many as the product of the values, and spans its axes", () => {
    fc.assert(
      fc.property(someAxes, (axes) => {
        const combinations = grid(axes)
        const product = Object.values(axes).reduce((count, { length }) => count * length, 1)
        assert.strictEqual(combinations.length, product)
        assert.strictEqual(new Set(combinations.map((one) => JSON.stringify(one))).size, product)
        assert.deepStrictEqual(axesOf(combinations), axes)
      }),
    )
  })
})

describe("zip", () => {
  it("pairs values by their place", () => {
    assert.deepStrictEqual(zip({ width: [32, 64], feedForward: [64, 128] }), [
      { width: 32, feedForward: 64 },
      { width: 64, feedForward: 128 },
    ])
  })

  it("is empty without axes", () => {
    assert.deepStrictEqual(zip({}), [])
  })
})
