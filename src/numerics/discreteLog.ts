/** Discrete logarithms modulo a prime, in which multiplication is addition modulo p − 1. */

/** What stands for the logarithm of 0, which has none. */
export const noLog = -1

/**
 * The smallest primitive root of a prime: a residue whose powers are all residues but 0. 5 for 97.
 *
 * *Gotchas*: the search does not end for a number that is not prime.
 */
export const primitiveRoot = (prime: number): number => {
  let root = 1
  while (powers(root, prime).size < prime - 1) root++
  return root
}

/** 1, g, g², … mod p, each once, in this order. */
const powers = (g: number, prime: number): Set<number> => {
  const seen = new Set<number>()
  for (let power = 1; !seen.has(power); power = (power * g) % prime) seen.add(power)
  return seen
}

/** Entry r `[prime]` is the k in 0 … prime − 2 with rootᵏ = r, for the smallest primitive root; −1 for r = 0. */
export const discreteLogs = (prime: number): Int32Array => {
  const logs = new Int32Array(prime).fill(noLog)
  let exponent = 0
  for (const power of powers(primitiveRoot(prime), prime)) logs[power] = exponent++
  return logs
}
