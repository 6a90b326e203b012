/**
 * Stage `capture-gradients`: at every checkpoint, the unclipped gradient of the mean cross-entropy with respect
 * to θ_attn on one batch that is fixed for the run (experiment.md §4, "Gradient SED").
 */
import { Effect, Schema } from "effect"
import { attentionGradient } from "../model/programs.ts"
import { stream } from "../numerics/random.ts"
import { f32Tensor, putTensors } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { stage } from "../services/Stage.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import { CapturedGradients, Count, Dataset, Seed, TrainedRun } from "./contracts.ts"
import { draw, loadPairs } from "./pairs.ts"
import { openTrajectory } from "./trajectory.ts"

export const CaptureConfig = Schema.Struct({
  /** Where the batch is drawn from: `mixed` is the whole table, train and test (the published code). */
  batch: Schema.Literals(["mixed", "train"]),
  batchSize: Count(65_536),
})

const Input = Schema.Struct({ data: Dataset, run: TrainedRun, capture: CaptureConfig, seed: Seed })

export const captureGradients = stage({
  name: "capture-gradients",
  version: 1,
  module: import.meta.url,
  input: Input,
  output: CapturedGradients,
  usesEngine: true,
  run: ({ data, run, capture, seed }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* TensorEngine
        const progress = yield* Progress
        const { layout, steps, theta } = yield* openTrajectory(run)
        const pairs = yield* loadPairs(data)
        const source = capture.batch === "mixed" ? pairs.all : pairs.train
        const batch = draw(source, stream(seed, "capture"), capture.batchSize)
        const program = yield* engine.compile(attentionGradient(layout, capture.batchSize))
        const gradients = new Float32Array(steps.length * layout.attentionSize)
        const losses = new Float32Array(steps.length)
        for (const i of steps.keys()) {
          const { loss, gradient } = yield* program.run({ theta: yield* theta(i), ...batch })
          gradients.set(gradient, i * layout.attentionSize)
          losses.set(loss, i)
          yield* progress.step({ done: i + 1, total: steps.length, unit: "checkpoint" })
        }
        return {
          gradients: yield* putTensors({
            gradients: f32Tensor(gradients, [steps.length, layout.attentionSize]),
            loss: f32Tensor(losses),
          }),
        }
      }),
    ),
})
