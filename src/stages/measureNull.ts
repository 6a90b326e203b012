/**
 * Stage `measure-null`: perturbation energies of random Gaussian unit directions, redrawn at each measurement
 * point (experiment.md §5). They are the denominators of every coupling ratio of a run, computed once for all.
 */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { evenlySpaced } from "../numerics/windows.ts"
import { putTable } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { stage } from "../services/Stage.ts"
import { Dataset, NullEnergies, ProbeConfig, Seed, TrainedRun } from "./contracts.ts"
import { MOST_DRAWS, randomDirection } from "./directions.ts"
import { openEnergies } from "./energies.ts"
import { openTrajectory } from "./trajectory.ts"

const Input = Schema.Struct({
  data: Dataset,
  run: TrainedRun,
  probe: ProbeConfig,
  /** Measurement points, evenly spaced over the run. */
  points: Schema.Int.check(Schema.isGreaterThan(0)),
  /** Random directions at each point. */
  draws: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: MOST_DRAWS })),
  seed: Seed,
})

export const measureNull = stage({
  name: "measure-null",
  version: 1,
  module: import.meta.url,
  input: Input,
  output: NullEnergies,
  usesEngine: true,
  run: ({ data, run, probe, points, draws, seed }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress
        const trajectory = yield* openTrajectory(run)
        const { layout, steps } = trajectory
        const energiesAt = yield* openEnergies(data, trajectory, { probe, seed })
        const checkpoints = evenlySpaced(steps.length - 1, points)
        const rows: Array<{ checkpoint: number; step: number; draw: number; energy: number }> = []
        for (const [i, checkpoint] of checkpoints.entries()) {
          const directions = Array.from({ length: draws }, (_, index) =>
            randomDirection(seed, checkpoint, index, layout.attentionSize),
          )
          const energies = yield* energiesAt(checkpoint, directions)
          rows.push(
            ...energies.map((energy, draw) => ({ checkpoint, step: steps[checkpoint], draw, energy })),
          )
          yield* progress.step({ done: i + 1, total: checkpoints.length, unit: "point" })
        }
        const columns = table({
          checkpoint: rows.map((row) => row.checkpoint),
          step: rows.map((row) => row.step),
          draw: rows.map((row) => row.draw),
          energy: rows.map((row) => row.energy),
        })
        return { probe, energies: yield* putTable(columns) }
      }),
    ),
})
