/** Loss and accuracy of parameters on all training and all test pairs. */
import { Effect, Schema } from "effect"
import type { Layout } from "../model/layout.ts"
import { evaluateExamples } from "../model/programs.ts"
import { mean } from "../numerics/statistics.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import { type Pairs, take } from "./pairs.ts"

export const Evaluation = Schema.Struct({
  trainLoss: Schema.Finite,
  testLoss: Schema.Finite,
  trainAccuracy: Schema.Finite,
  testAccuracy: Schema.Finite,
})
export type Evaluation = typeof Evaluation.Type

/** Examples per step of the program; the last chunk is filled up with the first examples. */
const CHUNK = 1024

/** A function that evaluates parameters θ [layout.size], compiled once. */
export const openEvaluation = Effect.fn("openEvaluation")(function* (
  layout: Layout,
  { all, isTrain }: Pairs,
) {
  const engine = yield* TensorEngine
  const program = yield* engine.compileScan(evaluateExamples(layout, CHUNK))
  const count = all.a.length
  const padded = Math.ceil(count / CHUNK) * CHUNK
  const xs = take(
    all,
    Int32Array.from({ length: padded }, (_, i) => i % count),
  )
  return Effect.fnUntraced(function* (theta: Float32Array) {
    const { ys } = yield* program.run({ carry: {}, xs, constants: { theta } })
    const average = (values: ArrayLike<number>, train: boolean) =>
      mean(isTrain.flatMap((isTrainPair, i) => (isTrainPair === train ? [values[i]] : [])))
    const evaluation: Evaluation = {
      trainLoss: average(ys.loss, true),
      testLoss: average(ys.loss, false),
      trainAccuracy: average(ys.correct, true),
      testAccuracy: average(ys.correct, false),
    }
    return evaluation
  })
})
