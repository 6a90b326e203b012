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
  const placesOf = (train: boolean) => isTrain.flatMap((isTrainPair, i) => (isTrainPair === train ? [i] : []))
  const [trainPlaces, testPlaces] = [placesOf(true), placesOf(false)]
  return Effect.fnUntraced(function* (theta: Float32Array) {
    const { ys } = yield* program.run({ carry: {}, xs, constants: { theta } })
    /** Each task's mean over some pairs of values [padded·tasks]. */
    const averages = (values: ArrayLike<number>, places: ReadonlyArray<number>) =>
      Array.from({ length: tasks }, (_, task) => mean(places.map((i) => values[i * tasks + task])))
    const summed = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0)
    const taskTrainAccuracy = averages(ys.correct, trainPlaces)
    const taskTestAccuracy = averages(ys.correct, testPlaces)
    const evaluation: Evaluation = {
      trainLoss: summed(averages(ys.loss, trainPlaces)),
      testLoss: summed(averages(ys.loss, testPlaces)),
      trainAccuracy: Math.min(...taskTrainAccuracy),
      testAccuracy: Math.min(...taskTestAccuracy),
      taskTrainAccuracy,
      taskTestAccuracy,
    }
    return evaluation
  })
})
