/**
 * Stage `measure-null`: perturbation energies of random Gaussian unit directions, redrawn at each measurement
 * point (experiment.md §5). They are the denominators of every coupling ratio of a run, computed once for all.
 */
import { table } from "arquero"
import { Effect, Option, Schema } from "effect"
import { problemOfBlock, rangesOf, sizeOfRanges } from "../model/blocks.ts"
import { measurementPoints } from "../numerics/windows.ts"
import { putTable } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { stage } from "../services/Stage.ts"
import { Block, Count, Dataset, NullEnergies, ProbeConfig, Seed, Stride, TrainedRun } from "./contracts.ts"
import { MOST_DRAWS, randomDirection } from "./directions.ts"
import { openEnergies } from "./energies.ts"
import { problemOfProbes } from "./probes.ts"
import { openTrajectory } from "./trajectory.ts"

const Input = Schema.Struct({
  data: Dataset,
  run: TrainedRun,
  probe: ProbeConfig,
  /** Where the directions are drawn. */
  block: Block,
  /** Measurement points, evenly spaced over the run. */
  points: Count(2000),
  /** They are multiples of so many checkpoints. */
  every: Stride,
  /** Random directions at each point. */
  draws: Count(MOST_DRAWS),
  seed: Seed,
})
  .check(Schema.makeFilter(problemOfProbes))
  .check(Schema.makeFilter(({ block, run: { model } }) => problemOfBlock(block, model) ?? true))

/** An entry of the cursor: the energies of one measurement point. */
const PointEnergies = Schema.Struct({
  checkpoint: Schema.Int,
  step: Schema.Int,
  energies: Schema.Array(Schema.Finite),
})
type PointEnergies = typeof PointEnergies.Type

const energyTable = (points: ReadonlyArray<PointEnergies>) => {
  const rows = points.flatMap(({ checkpoint, step, energies }) =>
    energies.map((energy, draw) => ({ checkpoint, step, draw, energy })),
  )
  return table({
    checkpoint: rows.map(({ checkpoint }) => checkpoint),
    step: rows.map(({ step }) => step),
    draw: rows.map(({ draw }) => draw),
    energy: rows.map(({ energy }) => energy),
  })
}

export const measureNull = stage({
  name: "measure-null",
  version: 1,
  module: import.meta.url,
  input: Input,
  output: NullEnergies,
  usesEngine: true,
  run: ({ data, run, probe, block, points, every, draws, seed }, cursor) =>
    Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress
        const trajectory = yield* openTrajectory(run)
        const { layout, steps } = trajectory
        const energiesAt = yield* openEnergies(data, trajectory, { probe, block, seed })
        const size = sizeOfRanges(rangesOf(layout, block))
        const checkpoints = measurementPoints(steps.length - 1, every, points)
        const measured: Array<PointEnergies> = []
        for (const [i, checkpoint] of checkpoints.entries()) {
          const step = steps[checkpoint]
          const stored = Schema.decodeUnknownOption(PointEnergies)(cursor.entries[i])
          if (Option.isSome(stored) && stored.value.checkpoint === checkpoint) {
            measured.push(stored.value)
          } else {
            const directions = Array.from({ length: draws }, (_, index) =>
              randomDirection(seed, step, index, size),
            )
            const point = { checkpoint, step, energies: yield* energiesAt(checkpoint, directions) }
            yield* cursor.advance(i, point)
            measured.push(point)
          }
          yield* progress.step({ done: i + 1, total: checkpoints.length, unit: "point" })
        }
        return { block, probe, energies: yield* putTable(energyTable(measured)) }
      }),
    ),
})
