/**
 * Stage `capture-gradients`: at every stride-th checkpoint, the unclipped gradient of an objective with respect to a block
 * of the parameters, θ_attn in the paper (experiment.md §4, "Gradient SED"): of one task, or summed over all tasks.
 */
import { Effect, Schema } from "effect"
import { problemOfBlock, rangesOf, sizeOfRanges } from "../model/blocks.ts"
import { blockGradient, blockLogitGradient } from "../model/programs.ts"
import { integers, permutation, stream } from "../numerics/random.ts"
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
import {
  batchOfStep,
  type Examples,
  fixedBatch,
  gridPairs,
  loadPairs,
  type Pairs,
  streamStep,
  take,
} from "./pairs.ts"
import { openTrajectory } from "./trajectory.ts"

/** Null objectives that a run has draws for. */
const MOST_OBJECTIVE_DRAWS = 100

export const CaptureConfig = Schema.Struct({
  /**
   * `mixed`: one fixed batch from the whole table, train and test (the published code); `grid`: one from all p² pairs, those
   * that the table leaves out included; `train`: one from the training pairs. `mixed-full`, `train-full`: all of them.
   * `step`: at the checkpoint of step t the minibatch of step t + 1, whose gradient moves θ_t.
   */
  batch: Schema.Literals(["mixed", "grid", "train", "mixed-full", "train-full", "step"]),
  /** Pairs of a batch. `mixed-full` and `train-full` have their own; `step` is the minibatch only where this is the training's. */
  batchSize: Count(65_536),
  /** Whose own objective, a place in the data set's `operations`; null is the sum over tasks, which is trained on. */
  task: Schema.NullOr(ProbeConfig.fields.task),
  /** Checkpoints from one captured gradient to the next. */
  stride: Stride,
  /**
   * What the gradient is of. `loss`: the mean cross-entropy. The others are null objectives, which have nothing to do with
   * the task: `random-logits`, the mean over the examples of one logit each, drawn at random; `permuted-labels`, the
   * cross-entropy with the labels permuted within the batch, which through the softmax still contains the logits that the
   * network predicts.
   */
  objective: Schema.Literals(["loss", "random-logits", "permuted-labels"]),
  /** Number of the random draw of a null objective. */
  objectiveDraw: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: MOST_OBJECTIVE_DRAWS - 1 })),
})
export type CaptureConfig = typeof CaptureConfig.Type

const Input = Schema.Struct({
  data: Dataset,
  run: TrainedRun,
  capture: CaptureConfig,
  block: Block,
  /** Of the fixed batch and of the null objective; of the training's minibatches for the batch `step`. */
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
  Schema.makeFilter(({ data, capture: { batch } }) =>
    // A pair outside of the table has no shuffled label.
    batch === "grid" && data.labels === "shuffled"
      ? { path: ["capture", "batch"], issue: "Expected mixed, because labels are shuffled, got grid" }
      : true,
  ),
)

/** The batch at the checkpoint of a training step. Each task has a fixed batch of its own. */
const batchAt = (
  data: Dataset,
  pairs: Pairs,
  { batch, batchSize, task }: CaptureConfig,
  seed: number,
): ((step: number) => Examples) => {
  const always = (examples: Examples) => () => examples
  switch (batch) {
    case "mixed":
      return always(fixedBatch(pairs.all, batchSize, task, seed))
    case "grid":
      return always(fixedBatch(gridPairs(data), batchSize, task, seed))
    case "train":
      return always(fixedBatch(pairs.train, batchSize, task, seed))
    case "mixed-full":
      return always(pairs.all)
    case "train-full":
      return always(pairs.train)
    case "step":
      return (step) => batchOfStep(pairs, seed, step + 1, batchSize)
  }
}

const sizeOfBatch = ({ pairCount, trainCount }: Dataset, { batch, batchSize }: CaptureConfig): number =>
  batch === "mixed-full" ? pairCount : batch === "train-full" ? trainCount : batchSize

/** What an objective makes of the labels of a batch of n examples; the same draw for every batch. */
const relabel = (
  { operations, modulus }: Dataset,
  { objective, objectiveDraw, task }: CaptureConfig,
  n: number,
  seed: number,
): ((examples: Examples) => Examples) => {
  const from = (name: "random-logits" | "permuted-labels") =>
    stream(seed, name, streamStep(task) * MOST_OBJECTIVE_DRAWS + objectiveDraw)
  switch (objective) {
    case "loss":
      return (examples) => examples
    case "random-logits": {
      const label = Int32Array.from(integers(from(objective), n * operations.length, modulus))
      return (examples) => ({ ...examples, label })
    }
    case "permuted-labels": {
      const order = permutation(from(objective), n)
      return (examples) => ({ ...examples, label: take(examples, order).label })
    }
  }
}

export const captureGradients = stage({
  name: "capture-gradients",
  version: 2,
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
        const batchOf = batchAt(data, pairs, capture, seed)
        const batchSize = sizeOfBatch(data, capture)
        const labelled = relabel(data, capture, batchSize, seed)
        const gradientOf = capture.objective === "random-logits" ? blockLogitGradient : blockGradient
        const program = yield* engine.compile(gradientOf(layout, batchSize, capture.task ?? undefined, block))
        const size = sizeOfRanges(rangesOf(layout, block))
        const { stride } = capture
        const count = Math.floor((steps.length - 1) / stride) + 1
        const gradients = new Float32Array(count * size)
        const losses = new Float32Array(count)
        for (let r = 0; r < count; r++) {
          const checkpoint = r * stride
          const { loss, gradient } = yield* program.run({
            theta: yield* theta(checkpoint),
            ...labelled(batchOf(steps[checkpoint])),
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
