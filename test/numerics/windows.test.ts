import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { evenlySpaced, measurementPoints, type Placement, windowAt } from "../../src/numerics/windows.ts"

describe("evenlySpaced", () => {
  it.each<[number, number, ReadonlyArray<number>]>([
    [10, 3, [0, 5, 10]],
    [10, 11, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    [9, 4, [0, 3, 6, 9]],
    // 10/3 = 3.33 and 20/3 = 6.67: truncated, not rounded.
    [10, 4, [0, 3, 6, 10]],
    [10, 2, [0, 10]],
    [10, 1, [10]],
    [2, 40, [0, 1, 2]],
    [0, 5, [0]],
    [0, 1, [0]],
  ])("over 0..%i, at most %i", (last, count, expected) => {
    assert.deepStrictEqual(evenlySpaced(last, count), expected)
  })

  it("is NumPy's linspace(0, 132, 40, dtype=int)", () => {
    assert.deepStrictEqual(
      evenlySpaced(132, 40),
      [
        0, 3, 6, 10, 13, 16, 20, 23, 27, 30, 33, 37, 40, 44, 47, 50, 54, 57, 60, 64, 67, 71, 74, 77, 81, 84,
        88, 91, 94, 98, 101, 104, 108, 111, 115, 118, 121, 125, 128, 132,
      ],
    )
  })

  it("takes the step first, as NumPy does, where that rounds otherwise than a division at the end", () => {
    assert.strictEqual(Math.floor((27 * 169) / 39), 117)
    assert.strictEqual(evenlySpaced(169, 40)[27], 116)
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
        // Without the last index, which is exact where others are cut off and rounded down.
        const inner = steps.slice(0, -1)
        if (inner.length > 0) assert.isAtMost(Math.max(...inner) - Math.min(...inner), 1)
        if (steps.length > 0) assert.isAtMost(Math.max(...steps) - Math.min(...steps), 2)
      }),
    )
  })

  it("never comes after the exact place, and less than one index, and rounding, before it", () => {
    fc.assert(
      fc.property(fc.nat(2000), fc.integer({ min: 2, max: 60 }), (last, count) => {
        const n = Math.min(count, last + 1)
        for (const [i, index] of evenlySpaced(last, count).entries()) {
          const exact = (i * last) / (n - 1 || 1)
          assert.isAtMost(index, exact + 1e-9)
          assert.isBelow(exact - index, 1 + 1e-9)
        }
      }),
    )
  })
})

describe("measurementPoints", () => {
  it("are evenly spaced multiples of `every`, from the first checkpoint to the last such one", () => {
    assert.deepStrictEqual(measurementPoints(100, 1, 5), [0, 25, 50, 75, 100])
    assert.deepStrictEqual(measurementPoints(103, 8, 4), [0, 32, 64, 96])
    assert.deepStrictEqual(measurementPoints(20, 8, 40), [0, 8, 16])
  })
})

/** The first and the last row of the window of W rows, or nothing. */
const ends = (t: number, size: number, placement: Placement, rows: { count: number; leaves: boolean }) => {
  const window = windowAt(t, size, placement, rows)
  return window === undefined ? undefined : [window.first, window.first + window.count - 1]
}

describe("a window of W = 20 rows in a run of 133 checkpoints", () => {
  // Gradients have a row at each checkpoint; an update leaves each but the last.
  const gradients = { count: 133, leaves: false }
  const updates = { count: 132, leaves: true }

  it.each<
    [what: string, typeof gradients, Placement, t: number, rows: readonly [number, number] | undefined]
  >([
    ["gradients, published, at the start", gradients, "published", 0, [0, 19]],
    ["gradients, published, in the middle", gradients, "published", 57, [57, 76]],
    ["gradients, published, the last that looks ahead", gradients, "published", 112, [112, 131]],
    ["gradients, published, the first of the last window", gradients, "published", 113, [113, 132]],
    ["gradients, published, slid back at the end", gradients, "published", 132, [113, 132]],
    ["updates, published, at the start", updates, "published", 0, [0, 19]],
    ["updates, published, in the middle", updates, "published", 57, [57, 76]],
    ["updates, published, the last that looks ahead", updates, "published", 112, [112, 131]],
    ["updates, published, the point that no update leaves", updates, "published", 132, [112, 131]],
    ["gradients, backward, too early", gradients, "backward", 18, undefined],
    ["gradients, backward, the first", gradients, "backward", 19, [0, 19]],
    ["gradients, backward, in the middle", gradients, "backward", 57, [38, 57]],
    ["gradients, backward, at the end", gradients, "backward", 132, [113, 132]],
    ["updates, backward, too early", updates, "backward", 19, undefined],
    ["updates, backward, the first", updates, "backward", 20, [0, 19]],
    ["updates, backward, in the middle", updates, "backward", 57, [37, 56]],
    ["updates, backward, at the end", updates, "backward", 132, [112, 131]],
    ["displacements, expanding, at the start", gradients, "expanding", 0, [0, 19]],
    ["displacements, expanding, the first that grows", gradients, "expanding", 20, [0, 20]],
    ["displacements, expanding, at the end", gradients, "expanding", 132, [0, 132]],
    ["updates, expanding, as long as it has just enough", updates, "expanding", 20, [0, 19]],
    ["updates, expanding, in the middle", updates, "expanding", 57, [0, 56]],
    ["updates, expanding, at the end", updates, "expanding", 132, [0, 131]],
  ])("%s", (_, rows, placement, t, expected) => {
    assert.deepStrictEqual(ends(t, 20, placement, rows), expected?.slice())
  })

  it("is one and the same at the last points of a run, where it is published", () => {
    const firsts = [112, 113, 125, 132].map((t) => ends(t, 20, "published", gradients)?.[0])
    assert.deepStrictEqual(firsts, [112, 113, 113, 113])
  })

  it("is the whole run when W is as long, and there is none when W is longer", () => {
    assert.deepStrictEqual(ends(57, 133, "published", gradients), [0, 132])
    assert.deepStrictEqual(ends(132, 133, "backward", gradients), [0, 132])
    for (const placement of ["published", "backward", "expanding"] as const) {
      assert.isUndefined(windowAt(132, 134, placement, gradients), placement)
      assert.isUndefined(windowAt(132, 133, placement, updates), placement)
    }
  })

  it("of W = 1 is the gradient at the point, or the update that leaves or reaches it", () => {
    assert.deepStrictEqual(ends(57, 1, "published", gradients), [57, 57])
    assert.deepStrictEqual(ends(57, 1, "backward", gradients), [57, 57])
    assert.deepStrictEqual(ends(57, 1, "published", updates), [57, 57])
    assert.deepStrictEqual(ends(57, 1, "backward", updates), [56, 56])
  })
})

describe("windowAt", () => {
  /** A run of so many checkpoints with gradients or updates, a checkpoint t, and W. */
  const places = fc
    .record({ checkpoints: fc.integer({ min: 1, max: 50 }), leaves: fc.boolean() })
    .chain(({ checkpoints, leaves }) =>
      fc.record({
        rows: fc.constant({ count: leaves ? checkpoints - 1 : checkpoints, leaves }),
        t: fc.nat(checkpoints - 1),
        size: fc.integer({ min: 1, max: 60 }),
      }),
    )
  /** The newest checkpoint that row r knows: its own, or the one that its update reaches. */
  const knows = (r: number, { leaves }: { readonly leaves: boolean }) => (leaves ? r + 1 : r)

  it("has exactly W rows, all of them rows of the run, published or backward", () => {
    fc.assert(
      fc.property(places, fc.constantFrom("published", "backward"), ({ rows, t, size }, placement) => {
        const window = windowAt(t, size, placement, rows)
        fc.pre(window !== undefined)
        assert.strictEqual(window.count, size)
        assert.isAtLeast(window.first, 0)
        assert.isAtMost(window.first + size, rows.count)
      }),
    )
  })

  it("is there for every point of a run of W rows or more, where it is published, and for none of a shorter one", () => {
    fc.assert(
      fc.property(places, ({ rows, t, size }) => {
        const isThere = windowAt(t, size, "published", rows) !== undefined
        assert.strictEqual(isThere, rows.count >= size)
      }),
    )
  })

  it("starts at its point where it is published, unless the run ends before it is full", () => {
    fc.assert(
      fc.property(places, ({ rows, t, size }) => {
        const window = windowAt(t, size, "published", rows)
        fc.pre(window !== undefined)
        if (t + size <= rows.count) assert.strictEqual(window.first, t)
        else assert.strictEqual(window.first + size, rows.count)
      }),
    )
  })

  it("backward never holds a row that knows anything later than its point, but always the newest that does not", () => {
    fc.assert(
      fc.property(places, ({ rows, t, size }) => {
        const window = windowAt(t, size, "backward", rows)
        const known = Array.from({ length: rows.count }, (_, r) => r).filter((r) => knows(r, rows) <= t)
        assert.strictEqual(window !== undefined, known.length >= size)
        if (window === undefined) return
        const held = Array.from({ length: window.count }, (_, i) => window.first + i)
        assert.deepStrictEqual(held, known.slice(-size))
      }),
    )
  })

  it("expanding holds every row that knows nothing later than its point, and the first W where those are fewer", () => {
    fc.assert(
      fc.property(places, ({ rows, t, size }) => {
        const window = windowAt(t, size, "expanding", rows)
        assert.strictEqual(window !== undefined, rows.count >= size)
        if (window === undefined) return
        const known = Array.from({ length: rows.count }, (_, r) => r).filter((r) => knows(r, rows) <= t)
        assert.deepStrictEqual(window, { first: 0, count: Math.max(size, known.length) })
      }),
    )
  })
})
