import { assert, describe, it } from "@effect/vitest"
import { Matrix, solve } from "ml-matrix"
import { discreteLogs } from "../../src/numerics/discreteLog.ts"
import { bases, type Family, harmonicFit, readOut } from "../../src/numerics/fourier.ts"
import { apply, type Operation } from "../../src/numerics/modular.ts"
import { normals, stream } from "../../src/numerics/random.ts"
import { assertClose } from "../model/close.ts"

/** All pairs of residues first … p − 1, or the share of them that a hash keeps. */
const pairs = (operation: Operation, p: number, keep = 1) => {
  const first = operation === "mul" ? 1 : 0
  const residues = Array.from({ length: p - first }, (_, i) => i + first)
  const all = residues.flatMap((a) => residues.map((b) => [a, b] as const))
  const kept = all.filter((_, i) => (i * 2654435761) % 1000 < 1000 * keep)
  return {
    n: kept.length,
    a: Int32Array.from(kept, ([a]) => a),
    b: Int32Array.from(kept, ([, b]) => b),
    label: Int32Array.from(kept, ([a, b]) => apply(operation, a, b, p)),
  }
}

const familiesOf = (operation: Operation, p: number, keep = 1) => {
  const { a, b, label } = pairs(operation, p, keep)
  return bases(operation, a, b, label, p)
}

const anglesOf = ({ period, variables }: Family, omega: number): Array<Float64Array> =>
  variables.map((v) => Float64Array.from(v, (value) => (2 * Math.PI * omega * value) / period))

/** R² of least squares through the pseudo-inverse of the whole design matrix, intercept and all. */
const reference = (scores: Float64Array, angles: ReadonlyArray<Float64Array>): number => {
  const design = new Matrix(
    Array.from(scores, (_, i) => [1, ...angles.flatMap((angle) => [Math.cos(angle[i]), Math.sin(angle[i])])]),
  )
  const y = Matrix.columnVector(Array.from(scores))
  const residual = Matrix.sub(y, design.mmul(solve(design, y, true)))
  return 1 - residual.norm() ** 2 / Matrix.sub(y, y.mean()).norm() ** 2
}

/** A wave of the family, plus noise and an offset. */
const wave = (family: Family, omega: number, noise: number): Float64Array => {
  const z = normals(stream(5, "noise"), family.variables[0].length)
  const angles = anglesOf(family, omega)
  return z.map(
    (value, i) => 3 + noise * value + angles.reduce((sum, angle) => sum + Math.cos(angle[i] + 0.4), 0),
  )
}

describe("harmonicFit", () => {
  it("agrees with NumPy on a small table", () => {
    // numpy.linalg.lstsq on columns 1, cos t, sin t, for y = t².
    const t = Float64Array.of(0, 1, 2, 3, 4)
    assert.closeTo(
      harmonicFit(
        t.map((value) => value ** 2),
        [t],
      ),
      0.9277784235723995,
      1e-12,
    )
  })

  it("agrees with least squares on the design matrix, for one angle and for two", () => {
    const scores = normals(stream(1, "noise"), 40)
    const first = normals(stream(2, "noise"), 40)
    const second = normals(stream(3, "noise"), 40)
    for (const angles of [[first], [second], [first, second]]) {
      assert.closeTo(harmonicFit(scores, angles), reference(scores, angles), 1e-10)
    }
  })

  it("is 1 for a wave of these angles at any phase and offset, 0 for another frequency of a full period", () => {
    const angle = Float64Array.from({ length: 97 }, (_, v) => (2 * Math.PI * 5 * v) / 97)
    const shifted = angle.map((value) => 2 - 7 * Math.cos(value + 1))
    assert.closeTo(harmonicFit(shifted, [angle]), 1, 1e-12)
    assert.closeTo(harmonicFit(shifted, [angle.map((value) => 2 * value)]), 0, 1e-12)
  })

  it("counts a regressor once that comes twice, and one that is constant not at all", () => {
    const scores = normals(stream(1, "noise"), 40)
    const angle = normals(stream(2, "noise"), 40)
    assert.closeTo(harmonicFit(scores, [angle, angle]), harmonicFit(scores, [angle]), 1e-10)
    assert.strictEqual(harmonicFit(scores, [new Float64Array(40).fill(0.1)]), 0)
  })

  it("has no number for constant scores and for scores that are not finite", () => {
    const angle = normals(stream(2, "noise"), 40)
    assert.isNaN(harmonicFit(new Float64Array(40).fill(0.1), [angle]))
    assert.isNaN(harmonicFit(angle.with(3, Number.NaN), [angle]))
  })
})

describe("bases", () => {
  it("are those of the tokens, of their sum and of the label", () => {
    const { a, b, label } = pairs("x2_y2", 7)
    const families = bases("x2_y2", a, b, label, 7)
    assert.deepStrictEqual(
      families.map(({ name, period }) => [name, period]),
      [
        ["a+b", 7],
        ["a", 7],
        ["b", 7],
        ["a&b", 7],
        ["y", 7],
      ],
    )
    const sum = a.map((value, i) => (value + b[i]) % 7)
    assert.deepStrictEqual(
      families.map(({ variables }) => variables),
      [[sum], [a], [b], [a, b], [label]],
    )
  })

  it("have those of the logarithms as well for mul, where the logarithm of the label is the sum", () => {
    const { label } = pairs("mul", 97)
    const families = familiesOf("mul", 97).slice(5)
    assert.deepStrictEqual(
      families.map(({ name, period }) => [name, period]),
      [
        ["dlog(a)+dlog(b)", 96],
        ["dlog(a)", 96],
        ["dlog(b)", 96],
        ["dlog(a)&dlog(b)", 96],
      ],
    )
    const logs = discreteLogs(97)
    assert.deepStrictEqual(
      families[0].variables[0],
      label.map((value) => logs[value]),
    )
  })

  it("leave the logarithms out where an example holds 0", () => {
    assert.lengthOf(bases("mul", [1, 0], [2, 3], [2, 0], 97), 5)
    assert.lengthOf(bases("mul", [1, 4], [2, 3], [2, 12], 97), 9)
  })
})

describe("readOut", () => {
  it.each([
    ["add", 11, 1],
    ["add", 11, 0.6],
    ["mul", 13, 1],
    ["mul", 13, 0.5],
    ["x2_y2", 12, 0.7],
  ] as const)(
    "agrees with least squares at every frequency (%s mod %i, %d of the pairs)",
    (operation, p, keep) => {
      const families = familiesOf(operation, p, keep)
      const n = families[0].variables[0].length
      const scores = [normals(stream(1, "noise"), n), wave(families[0], 2, 0.5)]
      const results = readOut(scores, families)
      assert.deepStrictEqual(
        results.map(({ component, family }) => [component, family]),
        [0, 1].flatMap((component) => families.map(({ name }) => [component, name])),
      )
      results.forEach(({ component, r2 }, i) => {
        const family = families[i % families.length]
        assert.lengthOf(r2, Math.floor(family.period / 2))
        const expected = Array.from(r2, (_, k) => reference(scores[component], anglesOf(family, k + 1)))
        const own = Array.from(r2, (_, k) => harmonicFit(scores[component], anglesOf(family, k + 1)))
        assertClose(r2, expected, 1e-9, family.name)
        assertClose(own, expected, 1e-9, `harmonicFit of ${family.name}`)
      })
    },
  )

  it("finds the frequency and the family that scores are made of, mod 97", () => {
    for (const operation of ["add", "mul"] as const) {
      const families = familiesOf(operation, 97)
      families.forEach((family, f) => {
        const omega = 7 + f
        const results = readOut([wave(family, omega, 0.1)], families)
        const found = results[f]
        assert.strictEqual(found.bestFrequency, omega)
        assert.isAbove(found.bestR2, 0.97)
        assert.strictEqual(found.bestR2, found.r2[omega - 1])
        const others = found.r2.filter((_, k) => k !== omega - 1)
        assert.isBelow(Math.max(...others), 0.01)
      })
    }
  })

  it("explains a sum of squares by both tokens together and half of it by each", () => {
    const families = familiesOf("x2_y2", 97)
    const [, a, b, both] = readOut([wave(families[3], 9, 0)], families)
    assert.closeTo(a.r2[8], 0.5, 1e-10)
    assert.closeTo(b.r2[8], 0.5, 1e-10)
    assert.closeTo(both.r2[8], 1, 1e-10)
  })

  it("has no best frequency for constant scores", () => {
    const families = familiesOf("add", 5)
    const [{ r2, bestFrequency, bestR2 }] = readOut([new Float64Array(25).fill(0.3)], families)
    assert.isTrue(r2.every(Number.isNaN))
    assert.isNaN(bestFrequency)
    assert.isNaN(bestR2)
  })
})
