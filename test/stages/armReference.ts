/**
 * The arms of experiment.md §6 in float64 and textbook linear algebra: a full SVD of the stacked window, the projection onto the
 * line that a random subspace shares with the plane of g and a random vector. Shares nothing with `src/stages/arms.ts` but
 * the configuration, the random draws, and how much of g a random subspace holds.
 */
import { Matrix, QrDecomposition, SingularValueDecomposition } from "ml-matrix"
import { randomProjection } from "../../src/numerics/projection.ts"
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

/** What a random subspace of step t holds of g: it is drawn around g (`randomProjection`), and comes as a QR basis here. */
export const alongRandom = (seed: number, t: number, rank: number, g: Vector): Vector => {
  const [drawn, kept] = [new Float32Array(g.length), new Float32Array(g.length)]
  const source = stream(seed, "random-basis", t)
  quickNormalsInto(source, drawn)
  randomProjection(rank, g.length)(Float32Array.from(g), source, kept)
  const share = inner(Array.from(kept), g) / inner(g, g)
  const { orthogonalMatrix } = new QrDecomposition(new Matrix([[...g], [...drawn]]).transpose())
  const [onG, across] = [orthogonalMatrix.getColumn(0), orthogonalMatrix.getColumn(1)]
  const sign = (axis: Vector, of: Vector) => Math.sign(inner(axis, of))
  const line = onG.map(
    (value, i) =>
      Math.sqrt(share) * sign(onG, g) * value +
      Math.sqrt(1 - share) * sign(across, Array.from(drawn)) * across[i],
  )
  return along(Matrix.columnVector(line), g)
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
