/**
 * Stage `rolling-svd`: at each measurement point, the thin SVD of the W rows of the window there, not centred
 * and not normalised (experiment.md §4). Stores the spectrum and left singular vectors; directions are formed
 * from the rows where they are needed, which takes a thousandth of the space.
 */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { rollingGram } from "../numerics/gram.ts"
import { type ThinSvd, thinSvdFromGram } from "../numerics/svd.ts"
import { measurementPoints, windowAt } from "../numerics/windows.ts"
import { f64Tensor, putTable, putTensors } from "../services/artifacts.ts"
import { stage } from "../services/Stage.ts"
import { Count, RollingSvd, RowSource, Stride } from "./contracts.ts"
import { blockOfRows, loadRows, problemOfRows, strideOf } from "./rows.ts"

export const SvdConfig = Schema.Struct({
  /** W: rows in a window, W times the rows' stride in checkpoints. */
  window: Count(1000),
  /** K: leading directions kept; at most W. */
  rank: Count(1000),
  /** Which rows belong to the window at t: the next W, or the last W. */
  direction: Schema.Literals(["forward", "backward"]),
  /** Measurement points, evenly spaced over the run. */
  points: Count(2000),
  /** Measurement points are multiples of so many checkpoints; runs of one rule share their random directions. */
  every: Stride,
}).check(
  Schema.makeFilter(({ window, rank }) =>
    rank <= window ? true : { path: ["rank"], issue: `Expected at most the window ${window}, got ${rank}` },
  ),
)

const Input = Schema.Struct({
  rows: RowSource.check(Schema.makeFilter(problemOfRows)),
  svd: SvdConfig,
}).check(
  Schema.makeFilter(({ rows, svd: { every } }) => {
    const stride = strideOf(rows)
    return every % stride === 0
      ? true
      : { path: ["svd", "every"], issue: `Expected a multiple of the rows' stride ${stride}, got ${every}` }
  }),
)

/** Leading singular values that the spectrum lists. */
const LISTED = 10

export const rollingSvd = stage({
  name: "rolling-svd",
  version: 1,
  module: import.meta.url,
  input: Input,
  output: RollingSvd,
  usesEngine: false,
  run: Effect.fn("rolling-svd")(function* ({ rows: source, svd }) {
    const { window: size, rank, direction, points, every } = svd
    const rows = yield* loadRows(source)
    const grams = rollingGram(rows.row)
    const measured = measurementPoints(rows.steps.length - 1, every, points).map((checkpoint) => {
      const window = windowAt(checkpoint / rows.stride, size, direction, rows)
      return {
        checkpoint,
        window,
        svd: thinSvdFromGram(grams.gram(window.first, window.count), window.count),
      }
    })
    const energyShare = ({ singularValues }: ThinSvd, k: number) => {
      const energies = singularValues.map((sigma) => sigma * sigma)
      const sum = (xs: Float64Array) => xs.reduce((total, x) => total + x, 0)
      return energies.length < k ? null : sum(energies.subarray(0, k)) / sum(energies)
    }
    const sigmas = Array.from({ length: LISTED }, (_, k): [string, Array<number | null>] => [
      `sigma${k + 1}`,
      measured.map(({ svd }) => svd.singularValues[k] ?? null),
    ])
    const shares = [1, 3, LISTED].map((k): [string, Array<number | null>] => [
      `energyShare${k}`,
      measured.map(({ svd }) => energyShare(svd, k)),
    ])
    const spectrum = table({
      checkpoint: measured.map(({ checkpoint }) => checkpoint),
      step: measured.map(({ checkpoint }) => rows.steps[checkpoint]),
      firstRow: measured.map(({ window }) => window.first),
      rowCount: measured.map(({ window }) => window.count),
      fullWindow: measured.map(({ window }) => window.count === size),
      ...Object.fromEntries([...sigmas, ...shares]),
      sigma2OverSigma3: measured.map(({ svd: { singularValues: s } }) => (s.length < 3 ? null : s[1] / s[2])),
    })
    const vectors = measured.flatMap(({ window: { count }, svd: { singularValues, leftVectors } }, i) => {
      const kept = leftVectors.slice(0, rank)
      const left = new Float64Array(kept.length * count)
      for (const [k, u] of kept.entries()) left.set(u, k * count)
      return [
        [`sigma.${i}`, f64Tensor(singularValues)] as const,
        [`left.${i}`, f64Tensor(left, [kept.length, count])] as const,
      ]
    })
    return {
      block: blockOfRows(source),
      rank,
      spectrum: yield* putTable(spectrum),
      vectors: yield* putTensors(Object.fromEntries(vectors)),
    }
  }),
})
