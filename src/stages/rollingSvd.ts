/**
 * Stage `rolling-svd`: at each measurement point, the thin SVD of the rows of the window there, not normalised, and not
 * centred but for an expanding window (experiment.md §4). Stores the spectrum and left singular vectors; directions are
 * formed from the rows where they are needed, which takes a thousandth of the space.
 */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { centredGram, rollingGram } from "../numerics/gram.ts"
import { type ThinSvd, thinSvdFromGram } from "../numerics/svd.ts"
import { measurementPoints, placements, windowAt } from "../numerics/windows.ts"
import { f64Tensor, putTable, putTensors } from "../services/artifacts.ts"
import { stage } from "../services/Stage.ts"
import { Count, RollingSvd, RowSource, Stride } from "./contracts.ts"
import { blockOfRows, loadRows, problemOfRows, strideOf } from "./rows.ts"

export const SvdConfig = Schema.Struct({
  /** W: rows in a window. Those of an expanding window are K + 2 or more, whatever W is. */
  window: Count(1000),
  /** K: leading directions kept; at most W. */
  rank: Count(1000),
  /** Which rows belong to the window at a point (`Placement` of windows.ts). */
  placement: Schema.Literals(placements),
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
  Schema.makeFilter(({ rows, svd }) => {
    if (rows.kind !== "step-update") return true
    const field = (["points", "every", "window", "placement"] as const).find(
      (name) => rows.steps[name] !== svd[name],
    )
    return field === undefined
      ? true
      : {
          path: ["svd", field],
          issue: `Expected ${rows.steps[field]}, for which the steps were captured, got ${svd[field]}`,
        }
  }),
)

/** The run is too short for the window that is asked for. */
export class TooFewRows extends Schema.TaggedError<TooFewRows>()("TooFewRows", {
  rows: Schema.Int,
  window: Schema.Int,
  placement: Schema.Literals(placements),
}) {
  override get message() {
    const { rows, window, placement } = this
    return `no measurement point of a run of ${rows} rows has a window of ${window} rows (${placement}); lower svd.window, or train longer or with more checkpoints`
  }
}

/** Leading singular values that the spectrum lists. */
const LISTED = 10

export const rollingSvd = stage({
  name: "rolling-svd",
  version: 2,
  module: import.meta.url,
  input: Input,
  output: RollingSvd,
  usesEngine: false,
  run: Effect.fn("rolling-svd")(function* ({ rows: source, svd }) {
    const { window: size, rank, placement, points, every } = svd
    const rows = yield* loadRows(source)
    const grams = rollingGram(rows.row)
    const least = placement === "expanding" ? rank + 2 : size
    const measured = measurementPoints(rows.steps.length - 1, every, points).flatMap((checkpoint) => {
      const window = windowAt(rows.at(checkpoint), least, placement, rows)
      if (window === undefined) return []
      const { first, count } = window
      const gram = grams.gram(first, count)
      return [
        {
          checkpoint,
          window,
          svd: thinSvdFromGram(placement === "expanding" ? centredGram(gram, count) : gram, count),
        },
      ]
    })
    if (measured.length === 0) {
      return yield* new TooFewRows({ rows: rows.count, window: least, placement })
    }
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
