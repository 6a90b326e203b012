import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  integers,
  normals,
  normalsInto,
  permutation,
  stream,
  threefry2x32,
  uniforms,
} from "../../src/numerics/random.ts"
import { mean } from "../../src/numerics/statistics.ts"

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 })

describe("threefry2x32", () => {
  // Known answers of Random123 (kat_vectors, "threefry2x32 20").
  it.each([
    [0, 0, 0, 0, 0x6b200159, 0x99ba4efe],
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
    [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0],
  ])("key %i %i, counter %i %i", (key0, key1, counter0, counter1, word0, word1) => {
    assert.deepStrictEqual(threefry2x32([key0, key1], [counter0, counter1]), [word0, word1])
  })
})

describe("stream", () => {
  // Computed by an independent Python implementation of the doc comments in random.ts.
  it("keeps its numbers from release to release", () => {
    assert.deepStrictEqual(Array.from(integers(stream(42, "batch", 4711), 6, 97)), [80, 31, 47, 94, 43, 55])
    const expected = [-1.6217254748967314, 0.7429434005505046, 1.0892743203381066, -0.10346350217121764]
    normals(stream(42, "noise"), 4).forEach((value, i) => {
      assert.closeTo(value, expected[i], 1e-15)
    })
  })

  it("differs in seed, name and step", () => {
    const keys = [stream(1, "batch"), stream(2, "batch"), stream(1, "split"), stream(1, "batch", 1)]
    assert.strictEqual(new Set(keys.map(({ key0, key1 }) => `${key0},${key1}`)).size, keys.length)
  })
})

describe("draws", () => {
  it("are addressable without those before them", () => {
    fc.assert(
      fc.property(seeds, fc.nat(300), fc.nat(20), (seed, first, count) => {
        const from = stream(seed, "probe")
        const all = first + count
        assert.deepStrictEqual(uniforms(from, count, first), uniforms(from, all).slice(first))
        assert.deepStrictEqual(integers(from, count, 97, first), integers(from, all, 97).slice(first))
        assert.deepStrictEqual(normals(from, count, first), normals(from, all).slice(first))
      }),
      { numRuns: 50 },
    )
  })

  it("are uniform in [0, 1)", () => {
    const u = uniforms(stream(7, "probe"), 100_000)
    assert.isTrue(u.every((value) => value >= 0 && value < 1))
    assert.closeTo(mean(u), 1 / 2, 0.005)
    assert.closeTo(mean(u.map((value) => value ** 2)), 1 / 3, 0.005)
  })

  it("reach every integer below the bound about equally often", () => {
    const draws = integers(stream(7, "batch"), 97_000, 97)
    const counts = new Int32Array(97)
    for (const value of draws) counts[value]++
    assert.strictEqual(
      counts.reduce((sum, count) => sum + count),
      97_000,
    )
    const chiSquare = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
    assert.isBelow(chiSquare, 96 + 5 * Math.sqrt(2 * 96))
  })

  it("have the moments of the standard normal", () => {
    const z = normals(stream(7, "noise"), 200_000)
    assert.closeTo(mean(z), 0, 0.01)
    assert.closeTo(mean(z.map((value) => value ** 2)), 1, 0.02)
    assert.closeTo(mean(z.map((value) => value ** 3)), 0, 0.04)
    assert.closeTo(mean(z.map((value) => value ** 4)), 3, 0.1)
    assert.closeTo(mean(z.subarray(1).map((value, i) => value * z[i])), 0, 0.01)
  })

  it("are the same normals when written into a float32 array", () => {
    for (const length of [0, 1, 2, 2047, 2048, 2049, 5001]) {
      const out = new Float32Array(length)
      normalsInto(stream(3, "random-basis", 9), out)
      assert.deepStrictEqual(out, Float32Array.from(normals(stream(3, "random-basis", 9), length)))
    }
  })
})

describe("permutation", () => {
  it("holds every index once", () => {
    fc.assert(
      fc.property(seeds, fc.nat(200), (seed, n) => {
        const order = permutation(stream(seed, "split"), n)
        assert.deepStrictEqual(
          order.toSorted(),
          Int32Array.from({ length: n }, (_, i) => i),
        )
      }),
      { numRuns: 50 },
    )
  })

  it("favours no order of three", () => {
    const counts = new Map<string, number>()
    for (let step = 0; step < 6000; step++) {
      const order = permutation(stream(1, "split", step), 3).join("")
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    assert.strictEqual(counts.size, 6)
    for (const count of counts.values()) assert.closeTo(count, 1000, 150)
  })
})
