import { assert, describe, it } from "@effect/vitest"
import { discreteLogs, primitiveRoot } from "../../src/numerics/discreteLog.ts"
import { isPrime } from "../../src/numerics/modular.ts"

describe("discrete logarithms", () => {
  // OEIS A001918: least positive primitive root of the n-th prime.
  it("have the smallest primitive root as their base, 5 for 97", () => {
    const primes = Array.from({ length: 98 }, (_, n) => n).filter(isPrime)
    assert.deepStrictEqual(
      primes.map(primitiveRoot),
      [1, 2, 2, 3, 2, 2, 3, 2, 5, 2, 3, 2, 6, 3, 5, 2, 2, 2, 2, 7, 5, 3, 2, 3, 5],
    )
  })

  it("turn multiplication into addition", () => {
    const logs = discreteLogs(97)
    assert.strictEqual(logs[0], -1)
    assert.strictEqual(logs[1], 0)
    assert.strictEqual(logs[5], 1)
    assert.strictEqual(new Set(logs).size, 97)
    for (let a = 1; a < 97; a++) {
      for (let b = 1; b < 97; b++) assert.strictEqual(logs[(a * b) % 97], (logs[a] + logs[b]) % 96)
    }
  })
})
