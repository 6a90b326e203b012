import { assert, describe, it } from "@effect/vitest"
import { Matrix, solve } from "ml-matrix"
import { discreteLogs } from "../../src/numerics/discreteLog.ts"
import { bases, type Family, harmonicFit, jointRegression, readOut } from "../../src/numerics/fourier.ts"
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

describe("jointRegression", () => {
  /** Of every frequency of every variable of the family, together. */
  const allAngles = (family: Family): Array<Float64Array> =>
    Array.from({ length: Math.floor(family.period / 2) }, (_, k) => anglesOf(family, k + 1)).flat()

  /** Share of the scores' variation that lies between residues: what any function of the residue can explain. */
  const betweenResidues = (scores: Float64Array, residues: Int32Array): number => {
    const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value) / values.length
    const all = Array.from(scores)
    const squares = all.map((score) => (score - mean(all)) ** 2)
    const between = all.map(
      (_, i) => (mean(all.filter((_, j) => residues[j] === residues[i])) - mean(all)) ** 2,
    )
    return mean(between) / mean(squares)
  }

  const scoresOf = (family: Family) => [
    normals(stream(1, "noise"), family.variables[0].length),
    wave(family, 2, 0.5),
  ]

  it.each([
    ["add", 11, 1],
    ["add", 11, 0.6],
    ["mul", 13, 1],
    ["mul", 13, 0.6],
    ["x2_y2", 12, 1],
    ["x2_y2", 12, 0.7],
  ] as const)(
    "agrees with least squares on all waves of a family at once (%s mod %i, %d of the pairs)",
    (operation, p, keep) => {
      for (const family of familiesOf(operation, p, keep)) {
        const { family: name, r2 } = jointRegression(family)
        assert.strictEqual(name, family.name)
        for (const scores of scoresOf(family)) {
          assert.closeTo(r2(scores), reference(scores, allAngles(family)), 1e-9, name)
        }
      }
    },
  )

  it.each([
    ["add", 11, 1],
    ["add", 11, 0.5],
    ["mul", 13, 1],
    ["mul", 13, 0.5],
    ["x2_y2", 12, 0.7],
  ] as const)(
    "of one variable explains what lies between its residues (%s mod %i, %d of the pairs)",
    (operation, p, keep) => {
      for (const family of familiesOf(operation, p, keep)) {
        if (family.variables.length > 1) continue
        for (const scores of scoresOf(family)) {
          const expected = betweenResidues(scores, family.variables[0])
          assert.closeTo(jointRegression(family).r2(scores), expected, 1e-10, family.name)
        }
      }
    },
  )

  it("of a & b has the 193 columns of the paper, and on its full grid explains what a and b do, added", () => {
    const [, a, b, both] = familiesOf("add", 97)
    assert.lengthOf([1, ...allAngles(both).flatMap(() => ["cos", "sin"])], 193)
    const scores = wave(both, 9, 2)
    const share = jointRegression(both).r2(scores)
    assert.closeTo(share, jointRegression(a).r2(scores) + jointRegression(b).r2(scores), 1e-10)
    assert.isAbove(share, 0.1)
    assert.isBelow(share, 0.5)
  })

  it("is the sum of single frequencies on a full grid, and not for mul, whose pairs leave 0 out", () => {
    for (const [operation, adds] of [
      ["add", true],
      ["mul", false],
    ] as const) {
      const families = familiesOf(operation, 13)
      const scores = normals(stream(1, "noise"), families[0].variables[0].length)
      const sums = readOut([scores], families).map(({ r2 }) => r2.reduce((sum, value) => sum + value))
      for (const [i, family] of families.slice(0, 4).entries()) {
        const gap = Math.abs(jointRegression(family).r2(scores) - sums[i])
        if (adds) assert.isBelow(gap, 1e-10, family.name)
        else assert.isAbove(gap, 1e-4, family.name)
      }
    }
  })

  it("explains any function of its variables whole, and never less than its best frequency", () => {
    for (const [operation, keep] of [
      ["add", 0.6],
      ["mul", 1],
    ] as const) {
      const families = familiesOf(operation, 13, keep)
      const z = normals(stream(3, "noise"), 26)
      for (const family of families) {
        const { variables } = family
        const any = Float64Array.from(variables[0], (_, x) =>
          variables.reduce((sum, residues, v) => sum + z[13 * v + residues[x]], 0),
        )
        assert.closeTo(jointRegression(family).r2(any), 1, 1e-10, family.name)
        const noisy = wave(family, 3, 1)
        const [{ bestR2 }] = readOut([noisy], [family])
        assert.isAtLeast(jointRegression(family).r2(noisy), bestR2 - 1e-12, family.name)
      }
    }
  })

  it("has no number for constant scores and for scores that are not finite", () => {
    const { r2 } = jointRegression(familiesOf("add", 5)[3])
    assert.isNaN(r2(new Float64Array(25).fill(0.3)))
    assert.isNaN(r2(normals(stream(1, "noise"), 25).with(3, Number.NaN)))
  })
})
