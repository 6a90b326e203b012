/**
 * Stage `capture-gradients`: at every stride-th checkpoint, the unclipped gradient of the loss with respect to a block of
 * the parameters, θ_attn in the paper (experiment.md §4, "Gradient SED"): of the mean cross-entropy of one task, or of its
 * sum over all tasks.
 */
import { Effect, Schema } from "effect"
import { problemOfBlock, rangesOf, sizeOfRanges } from "../model/blocks.ts"
import { blockGradient } from "../model/programs.ts"
import { stream } from "../numerics/random.ts"
import { f32Tensor, putTensors } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { stage } from "../services/Stage.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import {
  Block,
  CapturedGradients,
  Count,
  Dataset,
  ProbeConfig,
  Seed,
  Stride,
  TrainedRun,
} from "./contracts.ts"
import { batchOfStep, draw, type Examples, loadPairs, type Pairs } from "./pairs.ts"
import { openTrajectory } from "./trajectory.ts"

export const CaptureConfig = Schema.Struct({
  /**
   * `mixed`: one fixed batch from the whole table, train and test (the published code); `train`: one from the training
   * pairs. `mixed-full`, `train-full`: all of them. `step`: at the checkpoint of step t the minibatch of step t + 1, whose
   * gradient moves θ_t.
   */
  batch: Schema.Literals(["mixed", "train", "mixed-full", "train-full", "step"]),
  /** Pairs of a batch. `mixed-full` and `train-full` have their own; `step` is the minibatch only where this is the training's. */
  batchSize: Count(65_536),
  /** Whose own loss, a place in the data set's `operations`; null is the loss that is trained on, summed over tasks. */
  task: Schema.NullOr(ProbeConfig.fields.task),
  /** Checkpoints from one captured gradient to the next. */
  stride: Stride,
})
export type CaptureConfig = typeof CaptureConfig.Type

const Input = Schema.Struct({
  data: Dataset,
  run: TrainedRun,
  capture: CaptureConfig,
  block: Block,
  seed: Seed,
}).check(
  Schema.makeFilter(({ block, run: { model } }) => problemOfBlock(block, model) ?? true),
  Schema.makeFilter(({ data, capture: { task } }) =>
    task === null || task < data.operations.length
      ? true
      : {
          path: ["capture", "task"],
          issue: `Expected a task below ${data.operations.length} or null, got ${task}`,
        },
  ),
)

/** The batch at the checkpoint of a training step. Each task has a fixed batch of its own (experiment.md §4). */
const batchAt = (pairs: Pairs, { batch, batchSize, task }: CaptureConfig, seed: number) => {
  const fixed = (from: Examples) => {
    const drawn = draw(from, stream(seed, "capture", task === null ? 0 : task + 1), batchSize)
    return () => drawn
  }
  switch (batch) {
    case "mixed":
      return fixed(pairs.all)
    case "train":
      return fixed(pairs.train)
    case "mixed-full":
      return () => pairs.all
    case "train-full":
      return () => pairs.train
    case "step":
      return (step: number) => batchOfStep(pairs, seed, step + 1, batchSize)
  }
}

const sizeOfBatch = ({ pairCount, trainCount }: Dataset, { batch, batchSize }: CaptureConfig): number =>
  batch === "mixed-full" ? pairCount : batch === "train-full" ? trainCount : batchSize

export const captureGradients = stage({
  name: "capture-gradients",
  version: 1,
  module: import.meta.url,
  input: Input,
  output: CapturedGradients,
  usesEngine: true,
  run: ({ data, run, capture, block, seed }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* TensorEngine
        const progress = yield* Progress
        const { layout, steps, theta } = yield* openTrajectory(run)
        const pairs = yield* loadPairs(data)
        const batchOf = batchAt(pairs, capture, seed)
        const batchSize = sizeOfBatch(data, capture)
        const program = yield* engine.compile(
          blockGradient(layout, batchSize, capture.task ?? undefined, block),
        )
        const size = sizeOfRanges(rangesOf(layout, block))
        const { stride } = capture
        const count = Math.floor((steps.length - 1) / stride) + 1
        const gradients = new Float32Array(count * size)
        const losses = new Float32Array(count)
        for (let r = 0; r < count; r++) {
          const checkpoint = r * stride
          const { loss, gradient } = yield* program.run({
            theta: yield* theta(checkpoint),
            ...batchOf(steps[checkpoint]),
          })
          gradients.set(gradient, r * size)
          losses.set(loss, r)
          yield* progress.step({ done: r + 1, total: count, unit: "gradient" })
        }
        return {
          stride,
          block,
          gradients: yield* putTensors({
            gradients: f32Tensor(gradients, [count, size]),
            loss: f32Tensor(losses),
          }),
        }
      }),
    ),
})
