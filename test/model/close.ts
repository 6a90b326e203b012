/** How near two lists of numbers are, on the scale of the expected ones. */
import { assert } from "@effect/vitest"

type Numbers = ArrayLike<number>

/** Largest |actual − expected| over largest |expected|; infinite where lengths differ or a number is not finite. */
export const relativeError = (actual: Numbers, expected: Numbers): number => {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY
  let difference = 0
  let magnitude = 0
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i] - expected[i])
    if (!Number.isFinite(d)) return Number.POSITIVE_INFINITY
    difference = Math.max(difference, d)
    magnitude = Math.max(magnitude, Math.abs(expected[i]))
  }
  return difference === 0 ? 0 : difference / magnitude
}

export const assertClose = (actual: Numbers, expected: Numbers, tolerance: number, what = "values"): void => {
  assert.isAtMost(relativeError(actual, expected), tolerance, `relative error of ${what}`)
}

/** Equal element for element, to the last bit. */
export const assertSameBits = (actual: ArrayBufferView, expected: ArrayBufferView, what = "values"): void => {
  const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
    Buffer.from(buffer, byteOffset, byteLength)
  assert.isTrue(bytes(actual).equals(bytes(expected)), `${what} are bitwise equal`)
}
