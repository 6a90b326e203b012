/**
 * The arms of experiment.md §6 in float64 and textbook linear algebra: a full SVD of the stacked window, a QR basis of
 * the random vectors. Shares nothing with `src/stages/arms.ts` but the configuration and the random draws.
 */
import { Matrix, QrDecomposition, SingularValueDecomposition } from "ml-matrix"
import { quickNormalsInto, stream } from "../../src/numerics/random.ts"
import type { InterventionConfig } from "../../src/stages/arms.ts"

export type Vector = ReadonlyArray<number>

export const minus = (a: Vector, b: Vector): Vector => a.map((value, i) => value - b[i])
export const inner = (a: Vector, b: Vector): number => a.reduce((sum, value, i) => sum + value * b[i], 0)
export const size = (a: Vector): number => Math.sqrt(inner(a, a))
const scaled = (a: Vector, length: number): Vector => a.map((value) => (value * length) / size(a))

/** Q Qᵀ g for orthonormal columns Q `[D, r]`. */
const along = (basis: Matrix, g: Vector): Vector =>
  basis.mmul(basis.transpose().mmul(Matrix.columnVector([...g]))).to1DArray()

/** What the top `rank` right singular vectors of the window's rows hold of g, and of the window's energy. */
export const alongTop = (window: ReadonlyArray<Vector>, rank: number, g: Vector) => {
  const columns = new Matrix(window.map((row) => [...row])).transpose()
  const svd = new SingularValueDecomposition(columns, { autoTranspose: true })
  const energies = svd.diagonal.map((sigma) => sigma ** 2)
  const total = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0)
  return {
    part: along(svd.leftSingularVectors.subMatrix(0, g.length - 1, 0, rank - 1), g),
    energyShare: total(energies.slice(0, rank)) / total(energies),
  }
}

/** What the span of the Gaussian vectors of step t holds of g. */
export const alongRandom = (seed: number, t: number, rank: number, g: Vector): Vector => {
  const draws = new Float32Array(rank * g.length)
  quickNormalsInto(stream(seed, "random-basis", t), draws)
  const columns = Matrix.from1DArray(rank, g.length, Array.from(draws)).transpose()
  return along(new QrDecomposition(columns).orthogonalMatrix, g)
}

const noise = (seed: number, t: number, length: number): Vector => {
  const draws = new Float32Array(length)
  quickNormalsInto(stream(seed, "noise", t), draws)
  return Array.from(draws)
}

/** A function (t, natural vector) -> modified vector; call it for t = 1, 2, …. */
export const referenceArm = (
  { arm, buffer, window: length, rank, warmup }: InterventionConfig,
  seed: number,
) => {
  let window: ReadonlyArray<Vector> = []

  const modified = (
    t: number,
    g: Vector,
  ): { readonly vector: Vector; readonly energyShare: number | null } => {
    const windowless = (vector: Vector) => ({ vector, energyShare: null })
    switch (arm) {
      case "keep-sed":
      case "remove-sed": {
        const { part, energyShare } = alongTop(window, rank, g)
        return { vector: arm === "keep-sed" ? part : minus(g, part), energyShare }
      }
      case "keep-random":
        return windowless(alongRandom(seed, t, rank, g))
      case "remove-random":
        return windowless(minus(g, alongRandom(seed, t, rank, g)))
      case "keep-random-norm-matched":
        return windowless(scaled(alongRandom(seed, t, rank, g), size(g)))
      case "noise":
        return windowless(scaled(noise(seed, t, g.length), size(g)))
      case "frozen":
      case "frozen-after-warmup":
      case "decay-only":
        return windowless(g.map(() => 0))
    }
  }

  return (t: number, g: Vector) => {
    const isNatural = t <= warmup && arm !== "frozen"
    const { vector, energyShare } = isNatural ? { vector: g, energyShare: null } : modified(t, g)
    window = [...window, buffer === "natural" ? g : vector].slice(-length)
    return { vector, energyShare, modified: !isNatural, window }
  }
}
