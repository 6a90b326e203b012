import { assert, describe, it } from "@effect/vitest"
import { dot, norm, rollingGram } from "../../src/numerics/gram.ts"
import { normalsInto, stream } from "../../src/numerics/random.ts"

const randomRow = (length: number) => (index: number) => {
  const row = new Float32Array(length)
  normalsInto(stream(5, "noise", index), row)
  return row
}

describe("dot", () => {
  it("equals the exact sum where that is exact", () => {
    for (const length of [0, 1, 3, 4, 5, 1023, 1024, 1025, 1027, 5000]) {
      const a = Float32Array.from({ length }, (_, i) => (i % 7) - 3)
      const b = Float32Array.from({ length }, (_, i) => (i % 5) + 1)
      const expected = a.reduce((sum, value, i) => sum + value * b[i], 0)
      assert.strictEqual(dot(a, b), expected)
    }
  })

  it("accumulates in float64", () => {
    const ones = new Float32Array(131_072).fill(0.1)
    assert.closeTo(dot(ones, ones), 131_072 * Math.fround(0.1) ** 2, 1e-11)
    assert.closeTo(norm(ones), Math.sqrt(131_072) * Math.fround(0.1), 1e-12)
  })

  it("is symmetric bit for bit", () => {
    const row = randomRow(3001)
    assert.strictEqual(dot(row(0), row(1)), dot(row(1), row(0)))
  })
})

describe("rollingGram", () => {
  it("equals the directly computed matrix in every window", () => {
    const row = randomRow(2000)
    const rolling = rollingGram(row)
    for (const start of [0, 1, 5, 3, 0]) {
      const direct = Array.from({ length: 16 }, (_, at) => dot(row(start + (at >> 2)), row(start + (at % 4))))
      assert.deepStrictEqual(Array.from(rolling.gram(start, 4)), direct)
    }
  })

  it("asks only for rows of missing pairs, once each", () => {
    const asked: Array<number> = []
    const row = randomRow(8)
    const rolling = rollingGram((index) => {
      asked.push(index)
      return row(index)
    })
    rolling.gram(0, 4)
    assert.deepStrictEqual(asked.toSorted(), [0, 1, 2, 3])
    rolling.gram(0, 4)
    rolling.gram(1, 3)
    assert.lengthOf(asked, 4)
    rolling.gram(1, 4)
    assert.deepStrictEqual(asked.slice(4).toSorted(), [1, 2, 3, 4])
  })
})
