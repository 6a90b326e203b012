/**
 * Stage `measure-coupling`: how much more a SED direction moves the centroids than a random one does.
 *
 * R_k(t) = A(v_k, t) / median of A over the random directions at t; R̄(t) = mean of R_k over k = 1..K
 * (experiment.md §5), defined where the window has K directions. It is summarised over all such points and over those
 * whose window is full: near an end of the run the window is cut off, and a short window couples more strongly by
 * itself.
 */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { interquartileRange, mean, median } from "../numerics/statistics.ts"
import { ArtifactRef } from "../services/Artifact.ts"
import { getTable, putTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import { Progress } from "../services/Progress.ts"
import { stage } from "../services/Stage.ts"
import { Dataset, NullEnergies, RollingSvd, RowSource, Seed } from "./contracts.ts"
import { openDirections } from "./directions.ts"
import { openEnergies } from "./energies.ts"
import { loadRows } from "./rows.ts"
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
  /** max, mean and last of R̄(t); null where no point has all K directions. */
  peak: Schema.NullOr(Schema.Finite),
  peakStep: Schema.NullOr(Schema.Int),
  mean: Schema.NullOr(Schema.Finite),
  final: Schema.NullOr(Schema.Finite),
  /** Mean of R̄(t) before and from the first step at which test accuracy reaches the stop rule's. */
  meanBefore: Schema.NullOr(Schema.Finite),
  meanAfter: Schema.NullOr(Schema.Finite),
})

export const Coupling = Schema.Struct({
  /** All measurement points that have K directions, cut-off windows included. */
  all: Summary,
  /** Points whose window holds all W rows. */
  fullWindows: Summary,
  /** Median over points of IQR / median of the denominators: how uncertain a ratio's scale is. */
  denominatorSpread: Schema.Finite,
  /** Parquet, a row per point: checkpoint, step, rows in window, R̄, R_1…R_K, median and IQR of denominators. */
  series: ArtifactRef,
})
export type Coupling = typeof Coupling.Type

/** What is measured at one point; `ratios` are R_1, R_2, … */
export interface Point {
  readonly checkpoint: number
  readonly step: number
  readonly rowCount: number
  readonly fullWindow: boolean
  readonly denominator: number
  readonly denominatorIqr: number
  readonly ratios: ReadonlyArray<number>
}

/** R̄ at a point, or null where the window does not have all `rank` directions. */
const meanRatio = ({ ratios }: Point, rank: number): number | null =>
  ratios.length < rank ? null : mean(ratios)

const meanOrNull = (values: ReadonlyArray<number>): number | null =>
  values.length === 0 ? null : mean(values)

/** Summary of R̄ over `points`; `grokked` is the step that parts before from after. */
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
  }
}

export const measureCoupling = stage({
  name: "measure-coupling",
  version: 1,
  module: import.meta.url,
  input: Input,
  output: Coupling,
  usesEngine: true,
  run: ({ data, rows: source, directions: stored, null: reference, seed }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress
        const trajectory = yield* openTrajectory(source.run)
        const rows = yield* loadRows(source)
        const directions = yield* openDirections(stored, rows)
        const energiesAt = yield* openEnergies(data, trajectory, { probe: reference.probe, seed })
        const nullTable = yield* getTable(reference.energies)
        const nullCheckpoints = numbers(nullTable, "checkpoint")
        const nullEnergies = numbers(nullTable, "energy")
        const denominatorsAt = (checkpoint: number) =>
          nullEnergies.filter((_, i) => nullCheckpoints[i] === checkpoint)

        const points: Array<Point> = []
        for (const i of directions.points.keys()) {
          const { checkpoint, window, fullWindow, vectors } = yield* directions.at(i)
          const denominators = denominatorsAt(checkpoint)
          const denominator = median(denominators)
          const energies = yield* energiesAt(checkpoint, vectors)
          points.push({
            checkpoint,
            step: rows.steps[checkpoint],
            rowCount: window.count,
            fullWindow,
            denominator,
            denominatorIqr: interquartileRange(denominators),
            ratios: energies.map((energy) => energy / denominator),
          })
          yield* progress.step({ done: i + 1, total: directions.points.length, unit: "point" })
        }
        const { rank } = stored
        const grokked = source.run.firstThreshold ?? Number.POSITIVE_INFINITY
        const ratioColumns = Array.from({ length: rank }, (_, k): [string, Array<number | null>] => [
          `R${k + 1}`,
          points.map(({ ratios }) => ratios[k] ?? null),
        ])
        const series = table({
          checkpoint: points.map(({ checkpoint }) => checkpoint),
          step: points.map(({ step }) => step),
          rowCount: points.map(({ rowCount }) => rowCount),
          fullWindow: points.map(({ fullWindow }) => fullWindow),
          meanR: points.map((point) => meanRatio(point, rank)),
          ...Object.fromEntries(ratioColumns),
          denominator: points.map(({ denominator }) => denominator),
          denominatorIqr: points.map(({ denominatorIqr }) => denominatorIqr),
        })
        const result: Coupling = {
          all: summarise(points, rank, grokked),
          fullWindows: summarise(
            points.filter(({ fullWindow }) => fullWindow),
            rank,
            grokked,
          ),
          denominatorSpread: median(points.map((point) => point.denominatorIqr / point.denominator)),
          series: yield* putTable(series),
        }
        return result
      }),
    ),
})
