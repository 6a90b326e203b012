/**
 * Stage `capture-steps`: the updates of single training steps in the window of each measurement point, for an update SED
 * whose rows are steps instead of the ways from one checkpoint to the next (experiment.md §4, "per-step rows").
 *
 * The training is taken again from its kept states; batches and steps are those of the run, so every checkpoint on the way
 * is met bit for bit.
 */
import { Effect, Schema } from "effect"
import { blockOf, problemOfBlock, rangesOf, sizeOfRanges } from "../model/blocks.ts"
import { trainSteps } from "../model/programs.ts"
import { measurementPoints, placements, windowAt } from "../numerics/windows.ts"
import { f32Tensor, getJson, putJson, putTensors } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { stage } from "../services/Stage.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import { loadState, type TrainingState } from "./checkpoints.ts"
import {
  Block,
  CapturedSteps,
  Count,
  Dataset,
  Seed,
  StepWindows,
  Stride,
  TrainedRun,
  Trajectory,
} from "./contracts.ts"
import { loadPairs } from "./pairs.ts"
import { layoutOf, stepInputs, TrainConfig } from "./training.ts"

const Input = Schema.Struct({
  data: Dataset,
  run: TrainedRun,
  /** As the run was trained. */
  train: TrainConfig,
  /** Measurement points, evenly spaced over the run, multiples of `every` checkpoints. */
  points: Count(2000),
  every: Stride,
  /** W: steps in a window. */
  window: Count(1000),
  placement: Schema.Literals(placements),
  block: Block,
  /** The training's. */
  seed: Seed,
}).check(Schema.makeFilter(({ block, run: { model } }) => problemOfBlock(block, model) ?? true))

/** Steps that are taken at once where none of them is captured: the longest that a person waits after Ctrl-C. */
const CHUNK = 25

export const captureSteps = stage({
  name: "capture-steps",
  version: 1,
  module: import.meta.url,
  input: Input,
  output: CapturedSteps,
  usesEngine: true,
  run: ({ data, run, train, points, every, window, placement, block, seed }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* TensorEngine
        const progress = yield* Progress
        const layout = layoutOf(data, run.model)
        const pairs = yield* loadPairs(data)
        const program = yield* engine.compileScan(trainSteps(layout, train, train.batchSize))
        const ranges = rangesOf(layout, block)
        const size = sizeOfRanges(ranges)
        const trajectory = yield* getJson(Trajectory, run.trajectory)
        const { step: lastStep } = trajectory[trajectory.length - 1]
        const kept = trajectory.flatMap(({ step, theta, moments }) =>
          moments === null ? [] : [{ step, theta, moments }],
        )
        const firsts = measurementPoints(trajectory.length - 1, every, points).flatMap((checkpoint) => {
          const { step } = trajectory[checkpoint]
          const found = windowAt(step, window, placement, { count: lastStep, leaves: true })
          return found === undefined ? [] : [found.first]
        })

        let at = -1
        let state: TrainingState | undefined
        const advance = Effect.fnUntraced(function* (from: TrainingState, count: number) {
          const { carry } = yield* program.run({
            carry: from,
            xs: stepInputs(pairs, { train, seed }, at + 1, count),
            constants: {},
          })
          at += count
          state = carry
          return carry
        })
        /** The state at a step: from the newest kept state before it, or from where the last window ended. */
        const stateAt = Effect.fnUntraced(function* (step: number) {
          const newest = kept.findLast((entry) => entry.step <= step) ?? kept[0]
          let reached = state
          if (reached === undefined || at > step || newest.step > at) {
            reached = yield* loadState(newest)
            at = newest.step
          }
          while (at < step) reached = yield* advance(reached, Math.min(CHUNK, step - at))
          return reached
        })

        const windows: Array<(typeof StepWindows.Type)[number]> = []
        const wanted = [...new Set(firsts)]
        for (const [i, first] of wanted.entries()) {
          let reached = yield* stateAt(first)
          const updates = new Float32Array(window * size)
          for (let r = 0; r < window; r++) {
            const before = blockOf(ranges, reached.theta).slice()
            reached = yield* advance(reached, 1)
            blockOf(ranges, reached.theta).forEach((value, slot) => {
              updates[r * size + slot] = value - before[slot]
            })
          }
          windows.push({ first, updates: yield* putTensors({ updates: f32Tensor(updates, [window, size]) }) })
          yield* progress.step({ done: i + 1, total: wanted.length, unit: "window" })
        }
        return { block, points, every, window, placement, windows: yield* putJson(StepWindows, windows) }
      }),
    ),
})
