/** Loss and accuracy of parameters on all training and all test pairs. */
import { Effect } from "effect"
import type { Layout } from "../model/layout.ts"
import { evaluateExamples } from "../model/programs.ts"
import { mean } from "../numerics/statistics.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import type { Evaluation } from "./contracts.ts"
import { type Pairs, take } from "./pairs.ts"

/** Examples per step of the program; the last chunk is filled up with the first examples. */
const CHUNK = 512

/** A function that evaluates parameters θ [layout.size], compiled once. */
export const openEvaluation = Effect.fn("openEvaluation")(function* (
  layout: Layout,
  { all, isTrain }: Pairs,
) {
  const engine = yield* TensorEngine
  const program = yield* engine.compileScan(evaluateExamples(layout, CHUNK))
  const { tasks } = layout.shape
  const count = all.a.length
  const padded = Math.ceil(count / CHUNK) * CHUNK
  const xs = take(
    all,
    Int32Array.from({ length: padded }, (_, i) => i % count),
  )
  return Effect.fnUntraced(function* (theta: Float32Array) {
    const { ys } = yield* program.run({ carry: {}, xs, constants: { theta } })
    /** Each task's mean over the training or the test pairs of values [padded·tasks]. */
    const averages = (values: ArrayLike<number>, train: boolean) =>
      Array.from({ length: tasks }, (_, task) =>
        mean(isTrain.flatMap((isTrainPair, i) => (isTrainPair === train ? [values[i * tasks + task]] : []))),
      )
    const summed = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0)
    const taskTrainAccuracy = averages(ys.correct, true)
    const taskTestAccuracy = averages(ys.correct, false)
    const evaluation: Evaluation = {
      trainLoss: summed(averages(ys.loss, true)),
      testLoss: summed(averages(ys.loss, false)),
      trainAccuracy: Math.min(...taskTrainAccuracy),
      testAccuracy: Math.min(...taskTestAccuracy),
      taskTrainAccuracy,
      taskTestAccuracy,
    }
    return evaluation
  })
})
