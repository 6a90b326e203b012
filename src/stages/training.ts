/**
 * What every stage that trains shares: the configuration, where a training starts, the inputs of its steps, when it
 * ends (experiment.md §3), and its tables.
 */
import { table } from "arquero"
import { Schema } from "effect"
import { initialParameters } from "../model/initialise.ts"
import { type Layout, makeLayout } from "../model/layout.ts"
import { stepScalars } from "../model/optimizer.ts"
import { type Accuracy, firstAtLeast, stopStep } from "../numerics/grokking.ts"
import type { Checkpoint, TrainingState } from "./checkpoints.ts"
import { Count, type Dataset, type ModelConfig, type Operations, type Outcome } from "./contracts.ts"
import { batchOfStep, concatenate, type Pairs } from "./pairs.ts"

const positive = Schema.isGreaterThan(0)
/** Random streams of a step number ~10⁶ times the draws of a step stay below 2³². */
const MOST_STEPS = 1_000_000
const Fraction = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const Decay = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1, exclusiveMaximum: true }))

/** The learning rate over the steps; `learningRateAt` of the model's optimizer.ts says how. */
const Schedule = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("constant") }),
  Schema.Struct({
    kind: Schema.Literal("warmup-cosine"),
    /** Steps of the linear warm-up; 0 for none. */
    warmup: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: MOST_STEPS })),
    /** Steps until the cosine is at 0, where it stays. */
    period: Count(MOST_STEPS),
  }),
]).annotate({ expected: 'kind "constant", or "warmup-cosine" with warmup and period' })

export const TrainConfig = Schema.Struct({
  /** AdamW, or SGD with momentum β₁; both with decoupled weight decay after clipping. */
  optimizer: Schema.Literals(["adamw", "sgd"]),
  schedule: Schedule,
  learningRate: Schema.Finite.check(positive),
  beta1: Decay,
  beta2: Decay,
  epsilon: Schema.Finite.check(positive),
  weightDecay: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  clipNorm: Schema.Finite.check(positive),
  batchSize: Count(65_536),
  maxSteps: Count(MOST_STEPS),
  /** Steps between checkpoints; each evaluates all pairs. */
  evaluateEvery: Count(10_000),
  /** When training stops (`StopRule` of grokking.ts): once a test accuracy of `accuracy` was seen `count` times. */
  stop: Schema.Struct({
    accuracy: Fraction,
    count: Count(MOST_STEPS),
    consecutive: Schema.Boolean,
    every: Count(MOST_STEPS),
    latched: Schema.Boolean,
  }),
}).check(
  Schema.makeFilter(({ maxSteps, evaluateEvery }) =>
    maxSteps % evaluateEvery === 0
      ? true
      : {
          path: ["maxSteps"],
          issue: `Expected a multiple of evaluateEvery ${evaluateEvery}, got ${maxSteps}`,
        },
  ),
)
export type TrainConfig = typeof TrainConfig.Type

/** Training diverged: a loss is not a number. */
export class Diverged extends Schema.TaggedError<Diverged>()("Diverged", { step: Schema.Int }) {
  override get message() {
    return `training diverged before step ${this.step}: the loss is not finite; lower train.learningRate`
  }
}

/** The layout of the model that a data set is learned with: one read-out head for each operation. */
export const layoutOf = ({ modulus, operations }: Dataset, model: typeof ModelConfig.Type): Layout =>
  makeLayout({ modulus, tasks: operations.length, ...model })

/** The state before the first step. */
export const initialState = (layout: Layout, seed: number): TrainingState => ({
  theta: initialParameters(layout, seed),
  first: new Float32Array(layout.size),
  second: new Float32Array(layout.size),
})

/** The inputs of the steps `first … first + count − 1`, counted from 1: what `trainSteps` scans over. */
export const stepInputs = (
  pairs: Pairs,
  { train: config, seed }: { readonly train: TrainConfig; readonly seed: number },
  first: number,
  count: number,
) => {
  const ts = Array.from({ length: count }, (_, i) => first + i)
  const scalars = ts.map((t) => stepScalars(config, t))
  return {
    ...concatenate(ts.map((t) => batchOfStep(pairs, seed, t, config.batchSize))),
    stepSize: Float32Array.from(scalars, (s) => s.stepSize),
    decay: Float32Array.from(scalars, (s) => s.decay),
    denominatorScale: Float32Array.from(scalars, (s) => s.denominatorScale),
  }
}

/** What an end and an outcome are read from. */
type Evaluated = Pick<Checkpoint, "step" | "evaluation">

const accuracies = (checkpoints: ReadonlyArray<Evaluated>): ReadonlyArray<Accuracy> =>
  checkpoints.map(({ step, evaluation }) => ({ step, tasks: evaluation.taskTestAccuracy }))

/** The step at which a training ends: where its stop rule holds, or maxSteps. */
export const endOf = ({ stop, maxSteps }: TrainConfig, checkpoints: ReadonlyArray<Evaluated>): number =>
  Math.min(stopStep(accuracies(checkpoints), stop) ?? maxSteps, maxSteps)

/** When a training grokked, under each definition, and how it ended. `checkpoints` are those up to its end. */
export const outcomeOf = ({ stop }: TrainConfig, checkpoints: ReadonlyArray<Evaluated>): Outcome => {
  const curve = accuracies(checkpoints)
  const { testAccuracy, trainAccuracy } = checkpoints[checkpoints.length - 1].evaluation
  return {
    firstHalf: firstAtLeast(curve, 0.5),
    firstThreshold: firstAtLeast(curve, stop.accuracy),
    stopStep: stopStep(curve, stop),
    finalTestAccuracy: testAccuracy,
    finalTrainAccuracy: trainAccuracy,
  }
}

/** How far a training is, as text. */
export const noteOn = ({ losses, evaluation }: Pick<Checkpoint, "losses" | "evaluation">): string => {
  const { trainLoss, trainAccuracy, testAccuracy } = evaluation
  const loss = (losses.at(-1) ?? trainLoss).toExponential(2)
  return `loss ${loss}  train ${trainAccuracy.toFixed(3)}  test ${testAccuracy.toFixed(3)}`
}

/** The table `curve` of a `TrainedRun`. */
export const curveTable = (checkpoints: ReadonlyArray<Evaluated>, operations: Operations) => {
  const ofTasks = operations.map((operation, task): [string, ReadonlyArray<number>] => [
    `testAccuracy_${operation}`,
    checkpoints.map(({ evaluation }) => evaluation.taskTestAccuracy[task]),
  ])
  return table({
    step: checkpoints.map(({ step }) => step),
    trainLoss: checkpoints.map(({ evaluation }) => evaluation.trainLoss),
    testLoss: checkpoints.map(({ evaluation }) => evaluation.testLoss),
    trainAccuracy: checkpoints.map(({ evaluation }) => evaluation.trainAccuracy),
    testAccuracy: checkpoints.map(({ evaluation }) => evaluation.testAccuracy),
    ...(operations.length > 1 ? Object.fromEntries(ofTasks) : {}),
  })
}

/** The table `losses` of a `TrainedRun`. */
export const lossTable = (checkpoints: ReadonlyArray<Checkpoint>) => {
  const loss = checkpoints.flatMap(({ losses }) => losses)
  return table({
    step: loss.map((_, i) => i + 1),
    loss,
    gradientNorm: checkpoints.flatMap(({ gradientNorms }) => gradientNorms),
  })
}
