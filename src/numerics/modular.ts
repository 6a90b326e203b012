/** The operations of experiment.md §1 and what modular arithmetic needs to know about its modulus. */

export const operations = ["add", "sub", "mul", "x2_y2", "x2_xy_y2", "x3_xy"] as const
export type Operation = (typeof operations)[number]

const formulas: Record<Operation, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  x2_y2: (a, b) => a * a + b * b,
  x2_xy_y2: (a, b) => a * a + a * b + b * b,
  x3_xy: (a, b) => a * a * a + a * b,
}

/** `operation(a, b) mod p`, in 0..p−1. Exact for p below 2¹⁷ (a³ stays a safe integer). */
export const apply = (operation: Operation, a: number, b: number, modulus: number): number => {
  const value = formulas[operation](a, b) % modulus
  return value < 0 ? value + modulus : value
}

/** Multiplication is a group only on the residues that have an inverse: it leaves 0 out and needs a prime. */
export const needsInverse = (operation: Operation): boolean => operation === "mul"

/** The residues that pairs are made of to which all of the operations are applied. */
export const residues = (operations: ReadonlyArray<Operation>, modulus: number): ReadonlyArray<number> => {
  const first = operations.some(needsInverse) ? 1 : 0
  return Array.from({ length: modulus - first }, (_, i) => i + first)
}

export const isPrime = (n: number): boolean => {
  if (!Number.isInteger(n) || n < 2) return false
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false
  return true
}
