import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  apply,
  isPrime,
  needsInverse,
  type Operation,
  operations,
  residues,
} from "../../src/numerics/modular.ts"

/** The formulas of experiment.md §1 over the integers. */
const exact: Record<Operation, (a: bigint, b: bigint) => bigint> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  x2_y2: (a, b) => a ** 2n + b ** 2n,
  x2_xy_y2: (a, b) => a ** 2n + a * b + b ** 2n,
  x3_xy: (a, b) => a ** 3n + a * b,
}

/** The representative of `value` in 0..p−1. */
const mod = (value: bigint, p: bigint): number => Number(((value % p) + p) % p)

const moduliAndPairs = fc
  .integer({ min: 2, max: 997 })
  .chain((p) => fc.tuple(fc.constant(p), fc.nat(p - 1), fc.nat(p - 1)))

describe("apply", () => {
  it.each<[Operation, number]>([
    ["add", 1],
    ["sub", 5],
    ["mul", 1],
    ["x2_y2", 6],
    ["x2_xy_y2", 0],
    ["x3_xy", 0],
  ])("%s of 3 and 5 mod 7 is %i", (operation, expected) => {
    assert.strictEqual(apply(operation, 3, 5, 7), expected)
  })

  it("wraps a negative difference around", () => {
    assert.strictEqual(apply("sub", 0, 1, 97), 96)
    assert.strictEqual(apply("sub", 0, 96, 97), 1)
  })

  it("gives 0, never −0", () => {
    for (const operation of operations) {
      for (const a of [0, 1, 3]) assert.isFalse(Object.is(apply(operation, a, a, 3), -0), `${operation} ${a}`)
    }
  })

  it.each(operations)("%s agrees with integers of any size, on all pairs of 97", (operation) => {
    for (let a = 0; a < 97; a++) {
      for (let b = 0; b < 97; b++) {
        assert.strictEqual(apply(operation, a, b, 97), mod(exact[operation](BigInt(a), BigInt(b)), 97n))
      }
    }
  })

  it.each(operations)("%s agrees with integers of any size, for every modulus up to 997", (operation) => {
    fc.assert(
      fc.property(moduliAndPairs, ([p, a, b]) => {
        const value = apply(operation, a, b, p)
        assert.strictEqual(value, mod(exact[operation](BigInt(a), BigInt(b)), BigInt(p)))
      }),
      { numRuns: 500, examples: [[[997, 996, 996]], [[997, 0, 996]], [[997, 996, 0]]] },
    )
  })
})

describe("residues", () => {
  it("are 0..p−1, and 1..p−1 where every one needs an inverse", () => {
    assert.deepStrictEqual(residues(["add"], 5), [0, 1, 2, 3, 4])
    assert.deepStrictEqual(residues(["mul"], 5), [1, 2, 3, 4])
    assert.deepStrictEqual(operations.filter(needsInverse), ["mul"])
  })

  it("of several operations are those of all: 0 is left out as soon as one needs inverses", () => {
    assert.deepStrictEqual(residues(["add", "sub"], 5), [0, 1, 2, 3, 4])
    assert.deepStrictEqual(residues(["add", "sub", "mul", "x2_y2"], 5), [1, 2, 3, 4])
  })

  it("of mul are a group: each row of its table is a permutation", () => {
    const units = residues(["mul"], 11)
    for (const a of units) {
      assert.deepStrictEqual(
        units.map((b) => apply("mul", a, b, 11)).sort((x, y) => x - y),
        units,
      )
    }
  })
})

describe("isPrime", () => {
  it("finds the 25 primes below 100", () => {
    const primes = Array.from({ length: 100 }, (_, n) => n).filter(isPrime)
    assert.deepStrictEqual(
      primes,
      [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97],
    )
  })

  it("agrees with the sieve of Eratosthenes up to 997", () => {
    const composite = new Set<number>()
    for (let n = 2; n <= 997; n++)
      for (let multiple = 2 * n; multiple <= 997; multiple += n) composite.add(multiple)
    for (let n = 2; n <= 997; n++) assert.strictEqual(isPrime(n), !composite.has(n), `${n}`)
  })

  it.each([-7, 0, 1, 2.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses %d", (n) => {
    assert.isFalse(isPrime(n))
  })

  it.each([4, 9, 25, 49, 121, 961])("is not fooled by the square %i", (n) => {
    assert.isFalse(isPrime(n))
  })
})
