/**
 * Stage `measure-coupling`: how much more a SED direction moves the centroids than a random one does.
 *
 * R_k(t) = A(v_k, t) / median of A over the random directions at t; R̄(t) = mean of R_k over k = 1..K
 * (experiment.md §5), defined where the rows span K directions.
 */
import { table } from "arquero"
import { Effect, Option, Schema } from "effect"
import { interquartileRange, mean, median } from "../numerics/statistics.ts"
import { ArtifactRef } from "../services/Artifact.ts"
import { getTable, putTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import { Progress } from "../services/Progress.ts"
import { stage } from "../services/Stage.ts"
import { Dataset, NullEnergies, RollingSvd, RowSource, Seed } from "./contracts.ts"
import { openDirections, requireOneBlock } from "./directions.ts"
import { openEnergies } from "./energies.ts"
import { blockOfRows, loadRows } from "./rows.ts"
import { openTrajectory } from "./trajectory.ts"

const Input = Schema.Struct({
  data: Dataset,
  rows: RowSource,
  directions: RollingSvd,
  null: NullEnergies,
  seed: Seed,
})

const Summary = Schema.Struct({
  points: Schema.Int,
  /** max, mean and last of the ratio; null where no point has one. */
  peak: Schema.NullOr(Schema.Finite),
  peakStep: Schema.NullOr(Schema.Int),
  mean: Schema.NullOr(Schema.Finite),
  final: Schema.NullOr(Schema.Finite),
  /** Mean of the ratio before and from the first step at which test accuracy reaches the stop rule's. */
  meanBefore: Schema.NullOr(Schema.Finite),
  meanAfter: Schema.NullOr(Schema.Finite),
  /** Share of the points at which the ratio is above 1: the directions move centroids more than random ones. */
  shareAboveOne: Schema.NullOr(Schema.Finite),
})

export const Coupling = Schema.Struct({
  /** R̄, the mean over K directions. */
  ...Summary.fields,
  /** R₁, the leading direction's. */
  first: Summary,
  /** Median over points of IQR / median of the denominators: how uncertain a ratio's scale is. */
  denominatorSpread: Schema.Finite,
  /** Parquet, a row per point: checkpoint, step, rows in window, R̄, R_1…R_K, median and IQR of denominators. */
  series: ArtifactRef,
})
export type Coupling = typeof Coupling.Type

/** What is measured at one point, an entry of the cursor; `ratios` are R_1, R_2, … */
export const Point = Schema.Struct({
  checkpoint: Schema.Int,
  step: Schema.Int,
  rowCount: Schema.Int,
  denominator: Schema.Finite,
  denominatorIqr: Schema.Finite,
  ratios: Schema.Array(Schema.Finite),
})
export type Point = typeof Point.Type

/** Mean of the first `rank` ratios at a point, or null where its window has fewer directions. */
const meanRatio = ({ ratios }: Point, rank: number): number | null =>
  ratios.length < rank ? null : mean(ratios.slice(0, rank))

const meanOrNull = (values: ReadonlyArray<number>): number | null =>
  values.length === 0 ? null : mean(values)

/** Summary of the mean of R_1 … R_rank over `points`; `grokked` is the step that parts before from after. */
export const summarise = (
  points: ReadonlyArray<Point>,
  rank: number,
  grokked: number,
): typeof Summary.Type => {
  const measured = points.flatMap((point) => {
    const value = meanRatio(point, rank)
    return value === null ? [] : [{ step: point.step, value }]
  })
  const valuesWhere = (holds: (step: number) => boolean) =>
    measured.filter(({ step }) => holds(step)).map(({ value }) => value)
  const peak = measured.reduce<(typeof measured)[number] | null>(
    (best, point) => (best === null || point.value > best.value ? point : best),
    null,
  )
  return {
    points: measured.length,
    peak: peak?.value ?? null,
    peakStep: peak?.step ?? null,
    mean: meanOrNull(valuesWhere(() => true)),
    final: measured.at(-1)?.value ?? null,
    meanBefore: meanOrNull(valuesWhere((step) => step < grokked)),
    meanAfter: meanOrNull(valuesWhere((step) => step >= grokked)),
    shareAboveOne: meanOrNull(measured.map(({ value }) => (value > 1 ? 1 : 0))),
  }
}

const seriesTable = (points: ReadonlyArray<Point>, rank: number) => {
  const ratios = Array.from({ length: rank }, (_, k): [string, Array<number | null>] => [
    `R${k + 1}`,
    points.map(({ ratios }) => ratios[k] ?? null),
  ])
  return table({
    checkpoint: points.map(({ checkpoint }) => checkpoint),
    step: points.map(({ step }) => step),
    rowCount: points.map(({ rowCount }) => rowCount),
    meanR: points.map((point) => meanRatio(point, rank)),
    ...Object.fromEntries(ratios),
    denominator: points.map(({ denominator }) => denominator),
    denominatorIqr: points.map(({ denominatorIqr }) => denominatorIqr),
  })
}

export const measureCoupling = stage({
  name: "measure-coupling",
  version: 2,
  module: import.meta.url,
  input: Input,
  output: Coupling,
  usesEngine: true,
  run: ({ data, rows: source, directions: stored, null: reference, seed }, cursor) =>
    Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress
        const block = blockOfRows(source)
        yield* requireOneBlock({ rows: block, directions: stored.block, null: reference.block })
        const trajectory = yield* openTrajectory(source.run)
        const rows = yield* loadRows(source)
        const directions = yield* openDirections(stored, rows)
        const energiesAt = yield* openEnergies(data, trajectory, { probe: reference.probe, block, seed })
        const nullTable = yield* getTable(reference.energies)
        const nullCheckpoints = numbers(nullTable, "checkpoint")
        const nullEnergies = numbers(nullTable, "energy")

        const measure = Effect.fnUntraced(function* (i: number) {
          const { checkpoint, window, vectors } = yield* directions.at(i)
          const denominators = nullEnergies.filter((_, j) => nullCheckpoints[j] === checkpoint)
          const denominator = median(denominators)
          const energies = yield* energiesAt(checkpoint, vectors)
          const point: Point = {
            checkpoint,
            step: rows.steps[checkpoint],
            rowCount: window.count,
            denominator,
            denominatorIqr: interquartileRange(denominators),
            ratios: energies.map((energy) => energy / denominator),
          }
          yield* cursor.advance(i, point)
          return point
        })

        const points: Array<Point> = []
        for (const [i, checkpoint] of directions.points.entries()) {
          const known = Schema.decodeUnknownOption(Point)(cursor.entries[i])
          const isKnown = Option.isSome(known) && known.value.checkpoint === checkpoint
          points.push(isKnown ? known.value : yield* measure(i))
          yield* progress.step({ done: i + 1, total: directions.points.length, unit: "point" })
        }
        const { rank } = stored
        const grokked = source.run.firstThreshold ?? Number.POSITIVE_INFINITY
        const result: Coupling = {
          ...summarise(points, rank, grokked),
          first: summarise(points, 1, grokked),
          denominatorSpread: median(points.map((point) => point.denominatorIqr / point.denominator)),
          series: yield* putTable(seriesTable(points, rank)),
        }
        return result
      }),
    ),
})
