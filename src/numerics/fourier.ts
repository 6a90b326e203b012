/**
 * Fourier read-out of scores over pairs (a, b): how much of their variance the waves of one frequency explain
 * (experiment.md §5). A yardstick of features that uses no singular vector of gradients or updates.
 */
import { discreteLogs, noLog } from "./discreteLog.ts"
import { isPrime, needsInverse, type Operation } from "./modular.ts"
import { mean } from "./statistics.ts"
import { thinSvdFromGram } from "./svd.ts"

/** Integers v(x) of each example x, whose waves are cos and sin of 2π ω v / period. */
export interface Family {
  readonly name: string
  readonly period: number
  /** One array `[n]` of residues 0 … period − 1, or two for a family of both tokens (`a&b`). */
  readonly variables: ReadonlyArray<Int32Array>
}

/** How well each frequency of a family explains one list of scores; made by {@link readOut}. */
export interface ReadOut {
  /** Index into the scores. */
  readonly component: number
  /** Name of the family. */
  readonly family: string
  /** R² at frequency ω is entry ω − 1, for ω = 1 … ⌊period / 2⌋. */
  readonly r2: Float64Array
  /** The ω of largest R², the lowest of equals; NaN where no R² is a number. */
  readonly bestFrequency: number
  readonly bestR2: number
}

/**
 * R² of ordinary least squares, with intercept, of `scores` `[n]` on cos and sin of each of the `angles`
 * (radians, `[n]` each): two regressors for one array, four for two. Regressors that are constant, or
 * combinations of others, add nothing. NaN for scores that are constant or not finite.
 */
export const harmonicFit = (scores: Float64Array, angles: ReadonlyArray<Float64Array>): number => {
  const columns = angles
    .flatMap((angle) => [angle.map((value) => Math.cos(value)), angle.map((value) => Math.sin(value))])
    .map(centred)
  const y = centred(scores)
  const gram = columns.flatMap((left) => columns.map((right) => product(left, right)))
  const cross = columns.map((column) => product(column, y))
  return explainedShare(pseudoInverseRoot(gram, columns.length, scores.length), cross, variation(scores, y))
}

/**
 * The families of experiment.md §5 for examples (a, b) → label: `a+b`, `a`, `b`, `a&b` and `y` with period p;
 * for `mul` also `dlog(a)+dlog(b)`, `dlog(a)`, `dlog(b)` and `dlog(a)&dlog(b)` with period p − 1, in which
 * multiplication is addition. 0 has no logarithm: where an example holds one, and for a modulus that is not
 * prime, the latter are left out.
 */
export const bases = (
  operation: Operation,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  label: ArrayLike<number>,
  modulus: number,
): ReadonlyArray<Family> => {
  const families = ofTokens(["a", "b"], Int32Array.from(a), Int32Array.from(b), modulus)
  const y = { name: "y", period: modulus, variables: [Int32Array.from(label)] }
  if (!needsInverse(operation) || !isPrime(modulus)) return [...families, y]
  const logs = discreteLogs(modulus)
  const logA = Int32Array.from(a, (residue) => logs[residue])
  const logB = Int32Array.from(b, (residue) => logs[residue])
  if (logA.includes(noLog) || logB.includes(noLog)) return [...families, y]
  return [...families, y, ...ofTokens(["dlog(a)", "dlog(b)"], logA, logB, modulus - 1)]
}

const ofTokens = (
  [nameA, nameB]: readonly [string, string],
  a: Int32Array,
  b: Int32Array,
  period: number,
): ReadonlyArray<Family> => [
  { name: `${nameA}+${nameB}`, period, variables: [a.map((value, i) => (value + b[i]) % period)] },
  { name: nameA, period, variables: [a] },
  { name: nameB, period, variables: [b] },
  { name: `${nameA}&${nameB}`, period, variables: [a, b] },
]

/**
 * For each list of scores (`[n]`, one of each principal component) and each family, the R² of
 * {@link harmonicFit} at every frequency. In order of components, then of families.
 *
 * *Details*: a wave has one value for each residue, so scores are summed by residue once, and a fit costs as
 * many steps as there are residues. Only the products of waves of two variables are summed over the examples,
 * which need not be a full grid.
 */
export const readOut = (
  scores: ReadonlyArray<Float64Array>,
  families: ReadonlyArray<Family>,
): ReadonlyArray<ReadOut> => {
  const byFamily = families.map((family) => readOutOf(scores, family))
  return scores.flatMap((_, component) => byFamily.map((ofComponents) => ofComponents[component]))
}

/** How well all frequencies of a family together explain scores; made by {@link jointRegression}. */
export interface JointRegression {
  /** Name of the family. */
  readonly family: string
  /** R² of ordinary least squares, with intercept, of scores `[n]`; NaN for scores that are constant or not finite. */
  readonly r2: (scores: Float64Array) => number
}

/**
 * The joint regression of experiment.md §5: one least-squares fit on cos and sin of every frequency ω = 1 … ⌊period / 2⌋ of
 * each variable of the family. It is solved once for the family; each list of scores then costs one pass over the examples.
 *
 * *Details*: frequencies are not independent where the examples are no full grid, so their single R² do not add up.
 */
export const jointRegression = ({ name, period, variables }: Family): JointRegression => {
  const counts = variables.map((residues) => sumsByResidue(residues, period, () => 1))
  const frequencies = Array.from({ length: Math.floor(period / 2) }, (_, i) => i + 1)
  const waves = variables.flatMap((_, variable) =>
    frequencies.flatMap((omega) =>
      [Math.cos, Math.sin].map((wave) => ({
        variable,
        values: centredWave(wave, omega, period, counts[variable]),
      })),
    ),
  )
  /** `[period * period]`: examples with residue i of one variable and j of another. */
  const together = (left: number, right: number): Float64Array => {
    const pairs = new Float64Array(period * period)
    const [rows, columns] = [variables[left], variables[right]]
    for (let x = 0; x < rows.length; x++) pairs[rows[x] * period + columns[x]] += 1
    return pairs
  }
  const tables = variables.map((_, left) => variables.map((_, right) => together(left, right)))
  /** The wave summed over the examples with each residue of another variable. */
  const projected = waves.map(({ variable, values }) =>
    tables.map((row) =>
      Float64Array.from({ length: period }, (_, i) =>
        product(row[variable].subarray(i * period, (i + 1) * period), values),
      ),
    ),
  )
  const gram = waves.flatMap((left) =>
    waves.map((_, right) => product(projected[right][left.variable], left.values)),
  )
  const root = pseudoInverseRoot(gram, waves.length, variables[0].length)
  return {
    family: name,
    r2: (scores) => {
      const y = centred(scores)
      const sums = variables.map((residues) => sumsByResidue(residues, period, (x) => y[x]))
      const cross = waves.map(({ variable, values }) => product(sums[variable], values))
      return explainedShare(root, cross, variation(scores, y))
    },
  }
}

const readOutOf = (scores: ReadonlyArray<Float64Array>, family: Family): ReadonlyArray<ReadOut> => {
  const { name, period, variables } = family
  const ys = scores.map(centred)
  const totals = scores.map((values, component) => variation(values, ys[component]))
  const sums = ys.map((y) => variables.map((residues) => sumsByResidue(residues, period, (x) => y[x])))
  const counts = variables.map((residues) => sumsByResidue(residues, period, () => 1))
  const r2 = scores.map(() => new Float64Array(Math.floor(period / 2)))
  for (let omega = 1; omega <= period / 2; omega++) {
    const waves = variables.flatMap((_, variable) =>
      [Math.cos, Math.sin].map((wave) => ({
        variable,
        values: centredWave(wave, omega, period, counts[variable]),
      })),
    )
    const gram = waves.flatMap((left) =>
      waves.map((right) =>
        left.variable === right.variable
          ? product(counts[left.variable], left.values, right.values)
          : productOverExamples(
              variables[left.variable],
              left.values,
              variables[right.variable],
              right.values,
            ),
      ),
    )
    const root = pseudoInverseRoot(gram, waves.length, variables[0].length)
    r2.forEach((entries, component) => {
      const cross = waves.map(({ variable, values }) => product(sums[component][variable], values))
      entries[omega - 1] = explainedShare(root, cross, totals[component])
    })
  }
  return r2.map((entries, component) => ({ component, family: name, r2: entries, ...best(entries) }))
}

const best = (r2: Float64Array): Pick<ReadOut, "bestFrequency" | "bestR2"> => {
  let index = -1
  r2.forEach((value, i) => {
    if (!Number.isNaN(value) && (index < 0 || value > r2[index])) index = i
  })
  return index < 0
    ? { bestFrequency: Number.NaN, bestR2: Number.NaN }
    : { bestFrequency: index + 1, bestR2: r2[index] }
}

const sumsByResidue = (residues: Int32Array, period: number, value: (x: number) => number): Float64Array => {
  const sums = new Float64Array(period)
  for (let x = 0; x < residues.length; x++) sums[residues[x]] += value(x)
  return sums
}

/** `[period]`: the wave at each residue, less its mean over the examples. */
const centredWave = (
  wave: (angle: number) => number,
  omega: number,
  period: number,
  counts: Float64Array,
): Float64Array => {
  const values = Float64Array.from({ length: period }, (_, residue) =>
    wave((2 * Math.PI * ((omega * residue) % period)) / period),
  )
  const average = product(counts, values) / counts.reduce((sum, count) => sum + count, 0)
  return values.map((value) => value - average)
}

const productOverExamples = (
  leftResidues: Int32Array,
  left: Float64Array,
  rightResidues: Int32Array,
  right: Float64Array,
): number => {
  let sum = 0
  for (let x = 0; x < leftResidues.length; x++) sum += left[leftResidues[x]] * right[rightResidues[x]]
  return sum
}

/** `Σ_i u_i v_i`, or `Σ_i w_i u_i v_i`. */
const product = (u: Float64Array, v: Float64Array, w?: Float64Array): number => {
  let sum = 0
  if (w === undefined) for (let i = 0; i < u.length; i++) sum += u[i] * v[i]
  else for (let i = 0; i < u.length; i++) sum += u[i] * v[i] * w[i]
  return sum
}

const centred = (values: Float64Array): Float64Array => {
  const average = mean(values)
  return values.map((value) => value - average)
}

/** Σ (y − ȳ)², or NaN where it is nothing but rounding. */
const variation = (scores: Float64Array, y: Float64Array): number => {
  const total = product(y, y)
  return total > 1e-24 * product(scores, scores) ? total : Number.NaN
}

/**
 * Vectors r_k with `Σ_k r_k r_kᵀ` the pseudo-inverse of the Gram matrix `[size * size]` of centred regressors.
 * As cos² + sin² = 1, the squares of a wave add up to about n: what is below 1e-12 n is rounding.
 */
const pseudoInverseRoot = (
  gram: ReadonlyArray<number>,
  size: number,
  n: number,
): ReadonlyArray<Float64Array> => {
  const { singularValues, leftVectors } = thinSvdFromGram(Float64Array.from(gram), size)
  return leftVectors
    .map((u, k) => ({ u, sigma: singularValues[k] }))
    .filter(({ sigma }) => Number.isNaN(sigma) || sigma ** 2 > 1e-12 * n)
    .map(({ u, sigma }) => u.map((value) => value / sigma))
}

/** R² of the fit whose regressors have these products `cross` with the scores. At most 1 but for rounding. */
const explainedShare = (
  root: ReadonlyArray<Float64Array>,
  cross: ReadonlyArray<number>,
  total: number,
): number => {
  const explained = root.reduce(
    (sum, r) => sum + r.reduce((along, value, i) => along + value * cross[i], 0) ** 2,
    0,
  )
  return explained > total ? 1 : explained / total
}
