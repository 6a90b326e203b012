import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { normalQuantile } from "../../src/numerics/normalQuantile.ts"
import {
  chiSquared,
  integers,
  normals,
  normalsInto,
  permutation,
  quickNormalsInto,
  stream,
  threefry2x32,
  uniforms,
} from "../../src/numerics/random.ts"
import { mean } from "../../src/numerics/statistics.ts"
import { assertSameBits } from "../model/close.ts"

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

describe("quick normals", () => {
  const quickNormals = (seed: number, length: number, step = 0): Float32Array => {
    const out = new Float32Array(length)
    quickNormalsInto(stream(seed, "random-basis", step), out)
    return out
  }

  it("are the quantiles that the halves of the words name", () => {
    const { key0, key1 } = stream(5, "random-basis")
    const draws = quickNormals(5, 9000)
    for (const block of [0, 1, 2, 1023, 1024, 2249]) {
      threefry2x32([key0, key1], [block, 3]).forEach((word, w) => {
        ;[word % 65536, Math.floor(word / 65536)].forEach((half, h) => {
          const magnitude = normalQuantile((32768.5 + (half % 32768)) / 65536)
          const expected = half >= 32768 ? -magnitude : magnitude
          assert.strictEqual(draws[4 * block + 2 * w + h], Math.fround(expected))
        })
      })
    }
  })

  it("have the moments of the standard normal", () => {
    const z = Float64Array.from(quickNormals(7, 400_000))
    assert.closeTo(mean(z), 0, 0.007)
    assert.closeTo(mean(z.map((value) => value ** 2)), 1, 0.01)
    assert.closeTo(mean(z.map((value) => value ** 3)), 0, 0.03)
    assert.closeTo(mean(z.map((value) => value ** 4)), 3, 0.07)
    for (const lag of [1, 2, 3, 4]) {
      assert.closeTo(mean(z.subarray(lag).map((value, i) => value * z[i])), 0, 0.007)
    }
  })

  it("fall into each of a hundred equally likely cells about equally often", () => {
    const counts = new Int32Array(100)
    const edges = Array.from({ length: 99 }, (_, i) => normalQuantile((i + 1) / 100))
    for (const value of quickNormals(8, 100_000)) counts[edges.filter((edge) => edge < value).length]++
    const chiSquare = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
    assert.isBelow(chiSquare, 99 + 5 * Math.sqrt(2 * 99))
  })

  it("stay below 4.33 and are at most 1e-4 short of variance 1 as a distribution", () => {
    const levels = Float64Array.from({ length: 65536 }, (_, i) => normalQuantile((i + 0.5) / 65536))
    assert.closeTo(mean(levels.map((value) => value ** 2)), 1, 1e-4)
    assert.isBelow(levels[65535], 4.33)
    assert.isTrue(quickNormals(9, 100_000).every((value) => Math.abs(value) < 4.33))
  })

  it("are a lane of their own: not correlated with the other draws of the stream, nor with other steps", () => {
    const from = stream(7, "random-basis")
    const z = quickNormals(7, 100_000)
    for (const other of [normals(from, 100_000), uniforms(from, 100_000), quickNormals(7, 100_000, 1)]) {
      assert.closeTo(mean(Float64Array.from(other, (value, i) => value * z[i])), 0, 0.016)
    }
  })

  it("begin the same whatever the length, also in part of a larger array", () => {
    const longest = quickNormals(3, 9001)
    for (const length of [0, 1, 2, 3, 4095, 4096, 4097]) {
      assertSameBits(quickNormals(3, length), longest.slice(0, length))
      const larger = new Float32Array(length + 3).fill(9)
      quickNormalsInto(stream(3, "random-basis"), larger.subarray(1, length + 1))
      assertSameBits(larger, Float32Array.of(9, ...longest.subarray(0, length), 9, 9))
    }
  })
})

describe("chi-squared", () => {
  const draws = (degrees: number) =>
    Array.from({ length: 20_000 }, (_, step) => chiSquared(stream(11, "random-basis", step), degrees))

  it.each([1, 2, 3, 10, 131_069])("has the moments of %d degrees of freedom", (degrees) => {
    const sample = draws(degrees)
    const average = mean(sample)
    const spread = mean(sample.map((value) => (value - average) ** 2))
    assert.closeTo(average, degrees, 5 * Math.sqrt((2 * degrees) / sample.length))
    // The fourth central moment is 12 n (n + 4).
    assert.closeTo(spread, 2 * degrees, 5 * Math.sqrt((12 * degrees * (degrees + 4)) / sample.length))
  })

  it("of two degrees is exponential", () => {
    const sample = draws(2)
    for (const x of [0.1, 1, 3, 6]) {
      const expected = Math.exp(-x / 2)
      const share = sample.filter((value) => value > x).length / sample.length
      assert.closeTo(share, expected, 5 * Math.sqrt((expected * (1 - expected)) / sample.length))
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
