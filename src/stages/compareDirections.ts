/**
 * Stage `compare-directions`: how far the directions of two rolling SVDs of a run span the same subspace, such as those
 * of minibatch and of full-batch gradients (experiment.md §7, `rebuttal.full-batch-alignment`).
 */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { mean } from "../numerics/statistics.ts"
import { meanSquaredCosine } from "../numerics/subspace.ts"
import { ArtifactRef } from "../services/Artifact.ts"
import { putTable } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { stage } from "../services/Stage.ts"
import { RollingSvd, RowSource } from "./contracts.ts"
import { openDirections, requireOneBlock } from "./directions.ts"
import { blockOfRows, loadRows } from "./rows.ts"

const Side = Schema.Struct({ rows: RowSource, directions: RollingSvd })

const Input = Schema.Struct({ left: Side, right: Side }).check(
  Schema.makeFilter(({ left, right }) =>
    left.directions.rank === right.directions.rank
      ? true
      : `Expected as many directions on both sides, got ${left.directions.rank} and ${right.directions.rank}`,
  ),
)

const Alignment = Schema.Struct({
  points: Schema.Int,
  /** Mean over points of the mean squared cosine of the principal angles; null without points. */
  meanSquaredCosine: Schema.NullOr(Schema.Finite),
  /** 1 − that: the share of a direction of one side that lies outside of the other's span. */
  directionalVariance: Schema.NullOr(Schema.Finite),
})

export const DirectionComparison = Schema.Struct({
  /** Over the points at which both sides have all K directions. */
  ...Alignment.fields,
  /** Parquet, a row per point: checkpoint, step, squaredCosine. */
  series: ArtifactRef,
})
export type DirectionComparison = typeof DirectionComparison.Type

/** The two SVDs were measured at different checkpoints. */
export class DifferentPoints extends Schema.TaggedError<DifferentPoints>()("DifferentPoints", {
  left: Schema.Array(Schema.Int),
  right: Schema.Array(Schema.Int),
}) {
  override get message() {
    return `directions to compare were measured at different checkpoints: ${this.left.join(", ")} and ${this.right.join(", ")}`
  }
}

interface Point {
  readonly checkpoint: number
  readonly step: number
  readonly squaredCosine: number | null
}

const alignment = (points: ReadonlyArray<Point>): typeof Alignment.Type => {
  const cosines = points.flatMap(({ squaredCosine }) => (squaredCosine === null ? [] : [squaredCosine]))
  const average = cosines.length === 0 ? null : mean(cosines)
  return {
    points: cosines.length,
    meanSquaredCosine: average,
    directionalVariance: average === null ? null : 1 - average,
  }
}

const openSide = Effect.fnUntraced(function* ({ rows: source, directions }: typeof Side.Type) {
  const rows = yield* loadRows(source)
  return { steps: rows.steps, ...(yield* openDirections(directions, rows)) }
})

export const compareDirections = stage({
  name: "compare-directions",
  version: 2,
  module: import.meta.url,
  input: Input,
  output: DirectionComparison,
  usesEngine: false,
  run: Effect.fn("compare-directions")(function* (input) {
    const progress = yield* Progress
    yield* requireOneBlock({
      "left rows": blockOfRows(input.left.rows),
      "left directions": input.left.directions.block,
      "right rows": blockOfRows(input.right.rows),
      "right directions": input.right.directions.block,
    })
    const left = yield* openSide(input.left)
    const right = yield* openSide(input.right)
    if (left.points.join() !== right.points.join()) {
      return yield* new DifferentPoints({ left: left.points, right: right.points })
    }
    const { rank } = input.left.directions
    const points: Array<Point> = []
    for (const [i, checkpoint] of left.points.entries()) {
      const [one, other] = [yield* left.at(i), yield* right.at(i)]
      const complete = one.vectors.length === rank && other.vectors.length === rank
      points.push({
        checkpoint,
        step: left.steps[checkpoint],
        squaredCosine: complete ? meanSquaredCosine(one.vectors, other.vectors) : null,
      })
      yield* progress.step({ done: i + 1, total: left.points.length, unit: "point" })
    }
    const output: DirectionComparison = {
      ...alignment(points),
      series: yield* putTable(
        table({
          checkpoint: points.map(({ checkpoint }) => checkpoint),
          step: points.map(({ step }) => step),
          squaredCosine: points.map(({ squaredCosine }) => squaredCosine),
        }),
      ),
    }
    return output
  }),
})
