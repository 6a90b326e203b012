/**
 * How far apart two floating-point numbers are, in units in the last place of float32, the precision that engines compute
 * in: the number of float32 numbers from one to the other.
 */

const float = new Float32Array(1)
const bits = new Int32Array(float.buffer)

/** Place of a number, rounded to float32, in the order of all float32 numbers; both zeros are at 0. */
const placeOf = (value: number): number => {
  float[0] = value
  return bits[0] < 0 ? -(bits[0] & 0x7fffffff) : bits[0]
}

/**
 * Distance in ulps: 0 for the same number or two NaN, infinite between a NaN and anything else. Numbers that float32 cannot
 * tell apart, and zeros of either sign, are 1 apart: they are not the same.
 */
export const ulps = (a: number, b: number): number => {
  if (Object.is(a, b)) return 0
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.POSITIVE_INFINITY
  return Math.max(1, Math.abs(placeOf(a) - placeOf(b)))
}

/** The largest distance of two entries at the same place; infinite where lengths differ. */
export const mostUlps = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let most = 0
  for (let i = 0; i < a.length; i++) most = Math.max(most, ulps(a[i], b[i]))
  return most
}
