/** Quantiles of the standard normal distribution. */

/** Numerator and denominator, ascending powers, of the approximation around the median. */
const centre = {
  numerator: [
    3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987,
    67265.7709270087, 33430.57558358813, 2509.0809287301227,
  ],
  denominator: [
    1, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271,
    28729.085735721943, 5226.495278852854,
  ],
}

/** The same for the tails. */
const tail = {
  numerator: [
    1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684,
    0.2417807251774506, 0.022723844989269184, 0.0007745450142783414,
  ],
  denominator: [
    1, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
    0.0005475938084995345, 1.0507500716444169e-9,
  ],
}

/**
 * Φ⁻¹(p) to about 1e-15 of its value (PPND16 of Wichura 1988, algorithm AS 241), for p in
 * [1.4e-11, 1 − 1.4e-11]: the approximation of the far tails is left out. NaN for other p. The published
 * coefficients have more digits than float64 holds.
 */
export const normalQuantile = (p: number): number => {
  const q = p - 0.5
  if (Math.abs(q) <= 0.425) return q * ratio(centre, 0.180625 - q * q)
  const r = Math.sqrt(-Math.log(Math.min(p, 1 - p)))
  return r <= 5 ? Math.sign(q) * ratio(tail, r - 1.6) : Number.NaN
}

const ratio = ({ numerator, denominator }: typeof centre, x: number): number =>
  polynomial(numerator, x) / polynomial(denominator, x)

const polynomial = (coefficients: ReadonlyArray<number>, x: number): number =>
  coefficients.reduceRight((value, coefficient) => value * x + coefficient, 0)
