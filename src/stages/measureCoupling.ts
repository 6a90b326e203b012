/**
 * Stage `measure-coupling`: how much more a SED direction moves the centroids than a random one does.
 *
 * R_k(t) = A(v_k, t) / median of A over the random directions at t; R̄(t) = mean of R_k over k (experiment.md §5).
 * Peak, mean and final value of R̄ are given over all points and over the points whose window is full: near an end
 * of the run the window is cut off, and a short window couples more strongly by itself.
 */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { interquartileRange, mean, median } from "../numerics/statistics.ts"
import { ArtifactRef } from "../services/Artifact.ts"
import { getTable, numbers, putTable } from "../services/artifacts.ts"
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
  /** max, mean and last of R̄(t); null where no point has a direction. */
  peak: Schema.NullOr(Schema.Finite),
  peakStep: Schema.NullOr(Schema.Int),
  mean: Schema.NullOr(Schema.Finite),
  final: Schema.NullOr(Schema.Finite),
})

export const Coupling = Schema.Struct({
  /** All measurement points, as published. */
  all: Summary,
  /** Points whose window holds all W rows. */
  fullWindows: Summary,
  /** Median over points of IQR / median of the denominators: how uncertain a ratio's scale is. */
  denominatorSpread: Schema.Finite,
  /** Parquet, a row per point: checkpoint, step, rows in window, R̄, R_1…R_K, median and IQR of denominators. */
  series: ArtifactRef,
})
export type Coupling = typeof Coupling.Type

interface Point {
  readonly checkpoint: number
  readonly step: number
  readonly rowCount: number
  readonly fullWindow: boolean
  readonly denominator: number
  readonly denominatorIqr: number
  readonly ratios: ReadonlyArray<number>
}

const meanRatio = ({ ratios }: Point): number | null => (ratios.length === 0 ? null : mean(ratios))

const summarise = (points: ReadonlyArray<Point>): typeof Summary.Type => {
  const measured = points.flatMap((point) => {
    const value = meanRatio(point)
    return value === null ? [] : [{ step: point.step, value }]
  })
  const last = measured.at(-1)
  if (last === undefined) return { points: 0, peak: null, peakStep: null, mean: null, final: null }
  const peak = measured.reduce((best, point) => (point.value > best.value ? point : best))
  return {
    points: measured.length,
    peak: peak.value,
    peakStep: peak.step,
    mean: mean(measured.map(({ value }) => value)),
    final: last.value,
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
        const rank = Math.max(...points.map(({ ratios }) => ratios.length))
        const ratioColumns = Array.from({ length: rank }, (_, k): [string, Array<number | null>] => [
          `R${k + 1}`,
          points.map(({ ratios }) => ratios[k] ?? null),
        ])
        const series = table({
          checkpoint: points.map(({ checkpoint }) => checkpoint),
          step: points.map(({ step }) => step),
          rowCount: points.map(({ rowCount }) => rowCount),
          fullWindow: points.map(({ fullWindow }) => fullWindow),
          meanR: points.map(meanRatio),
          ...Object.fromEntries(ratioColumns),
          denominator: points.map(({ denominator }) => denominator),
          denominatorIqr: points.map(({ denominatorIqr }) => denominatorIqr),
        })
        const result: Coupling = {
          all: summarise(points),
          fullWindows: summarise(points.filter(({ fullWindow }) => fullWindow)),
          denominatorSpread: median(points.map((point) => point.denominatorIqr / point.denominator)),
          series: yield* putTable(series),
        }
        return result
      }),
    ),
})
