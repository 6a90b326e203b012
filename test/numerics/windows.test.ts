import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { evenlySpaced, type WindowDirection, windowAt } from "../../src/numerics/windows.ts"

describe("evenlySpaced", () => {
  it.each<[number, number, ReadonlyArray<number>]>([
    [10, 3, [0, 5, 10]],
    [10, 11, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    [9, 4, [0, 3, 6, 9]],
    [10, 4, [0, 3, 7, 10]],
    [10, 2, [0, 10]],
    [10, 1, [10]],
    [2, 40, [0, 1, 2]],
    [0, 5, [0]],
    [0, 1, [0]],
  ])("over 0..%i, at most %i", (last, count, expected) => {
    assert.deepStrictEqual(evenlySpaced(last, count), expected)
  })

  it("ascends from 0 to the last, without repetition, in steps that differ by at most 1", () => {
    fc.assert(
      fc.property(fc.nat(400), fc.integer({ min: 2, max: 60 }), (last, count) => {
        const indices = evenlySpaced(last, count)
        assert.strictEqual(indices[0], 0)
        assert.strictEqual(indices.at(-1), last)
        assert.strictEqual(indices.length, Math.min(count, last + 1))
        const steps = indices.slice(1).map((index, i) => index - indices[i])
        assert.isTrue(steps.every((step) => Number.isInteger(step) && step > 0))
        if (steps.length > 0) assert.isAtMost(Math.max(...steps) - Math.min(...steps), 1)
      }),
    )
  })
})

describe("windowAt", () => {
  // Eleven checkpoints, 0..10. Gradients have a row at each; updates have none at checkpoint 0.
  const gradients = { firstRow: 0, last: 10 }
  const updates = { firstRow: 1, last: 10 }

  it.each<[string, number, WindowDirection, typeof gradients, number, number]>([
    ["forward in the middle", 5, "forward", gradients, 5, 4],
    ["backward in the middle", 5, "backward", gradients, 2, 4],
    ["forward, just full", 7, "forward", gradients, 7, 4],
    ["forward, cut off by the end", 8, "forward", gradients, 8, 3],
    ["forward at the end", 10, "forward", gradients, 10, 1],
    ["forward at the start", 0, "forward", gradients, 0, 4],
    ["backward, just full", 3, "backward", gradients, 0, 4],
    ["backward, cut off by the start", 2, "backward", gradients, 0, 3],
    ["backward at the start", 0, "backward", gradients, 0, 1],
    ["backward at the end", 10, "backward", gradients, 7, 4],
    ["updates, forward in the middle", 5, "forward", updates, 5, 4],
    ["updates, forward at the start: one row less", 0, "forward", updates, 1, 3],
    ["updates, backward, just full", 4, "backward", updates, 1, 4],
    ["updates, backward, cut off by the start", 3, "backward", updates, 1, 3],
    ["updates, backward at the end", 10, "backward", updates, 7, 4],
  ])("%s", (_, t, direction, rows, first, count) => {
    assert.deepStrictEqual(windowAt(t, 4, direction, rows), { first, count })
  })

  it("is empty before the first row", () => {
    assert.strictEqual(windowAt(0, 4, "backward", updates).count, 0)
    assert.strictEqual(windowAt(0, 1, "forward", updates).count, 0)
  })

  it("is the row itself when W = 1", () => {
    for (const direction of ["forward", "backward"] as const) {
      assert.deepStrictEqual(windowAt(6, 1, direction, updates), { first: 6, count: 1 })
    }
  })

  it("is the whole run when W is longer", () => {
    assert.deepStrictEqual(windowAt(0, 99, "forward", gradients), { first: 0, count: 11 })
    assert.deepStrictEqual(windowAt(10, 99, "backward", updates), { first: 1, count: 10 })
  })

  const places = fc
    .record({ firstRow: fc.constantFrom(0, 1), last: fc.integer({ min: 1, max: 50 }) })
    .chain((rows) => fc.tuple(fc.constant(rows), fc.nat(rows.last), fc.integer({ min: 1, max: 60 })))

  it("holds exactly the rows of the definition that exist", () => {
    fc.assert(
      fc.property(places, fc.constantFrom("forward", "backward"), ([rows, t, size], direction) => {
        const begin = direction === "forward" ? t : t - size + 1
        const expected = Array.from({ length: size }, (_, i) => begin + i).filter(
          (row) => row >= rows.firstRow && row <= rows.last,
        )
        const { first, count } = windowAt(t, size, direction, rows)
        assert.deepStrictEqual(
          Array.from({ length: count }, (_, i) => first + i),
          expected,
        )
      }),
    )
  })
})
