/**
 * Stage `train`: one run of AdamW until its stop rule (experiment.md §3), with full evaluation and a checkpoint
 * every `evaluateEvery` steps.
 *
 * The trajectory is a cursor: steps asked for and the stop rule are not part of its identity, so asking for more
 * continues it, and a killed run goes on from its last checkpoint with the same bits. Every checkpoint keeps its
 * parameters; the optimiser's moments are kept at every 500th step and at the newest checkpoint only.
 */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { stepScalars } from "../model/adamw.ts"
import { initialParameters } from "../model/initialise.ts"
import { makeLayout } from "../model/layout.ts"
import { trainSteps } from "../model/programs.ts"
import { type Accuracy, firstAtLeast, stopStep } from "../numerics/grokking.ts"
import { stream } from "../numerics/random.ts"
import { putJson, putTable } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { type Cursor, stage } from "../services/Stage.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import {
  type Checkpoint,
  dropMoments,
  loadState,
  resumable,
  storeState,
  type TrainingState,
} from "./checkpoints.ts"
import { Count, Dataset, ModelConfig, Seed, TrainedRun, Trajectory } from "./contracts.ts"
import { openEvaluation } from "./evaluation.ts"
import { concatenate, draw, type Examples, loadPairs, type Pairs } from "./pairs.ts"

const positive = Schema.isGreaterThan(0)
/** Random streams of a step number ~10⁶ times the draws of a step stay below 2³². */
const MOST_STEPS = 1_000_000
const Fraction = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const Decay = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1, exclusiveMaximum: true }))

export const TrainConfig = Schema.Struct({
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
  /** Stops once a test accuracy of `accuracy` was seen `count` times. */
  stop: Schema.Struct({ accuracy: Fraction, count: Count(MOST_STEPS), consecutive: Schema.Boolean }),
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

export const TrainInput = Schema.Struct({
  data: Dataset,
  model: ModelConfig,
  train: TrainConfig,
  seed: Seed,
})
export type TrainInput = typeof TrainInput.Type

/** Training diverged: a loss is not a number. */
export class Diverged extends Schema.TaggedError<Diverged>()("Diverged", { step: Schema.Int }) {
  override get message() {
    return `training diverged before step ${this.step}: the loss is not finite; lower train.learningRate`
  }
}

/** The batch of step t (counted from 1): pairs of the training set, with replacement. */
export const batchOfStep = (pairs: Pairs, seed: number, t: number, size: number): Examples =>
  draw(pairs.train, stream(seed, "batch", t), size)

/** The inputs of the steps `first … first + count − 1`, counted from 1: what `trainSteps` scans over. */
export const stepInputs = (
  pairs: Pairs,
  { train: config, seed }: Pick<TrainInput, "train" | "seed">,
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

const curveOf = (checkpoints: ReadonlyArray<Checkpoint>): ReadonlyArray<Accuracy> =>
  checkpoints.map(({ step, evaluation }) => ({ step, test: evaluation.testAccuracy }))

/** Where the run ends: at its stop rule, or at maxSteps. */
const endOf = ({ stop, maxSteps }: TrainConfig, checkpoints: ReadonlyArray<Checkpoint>): number =>
  Math.min(stopStep(curveOf(checkpoints), stop) ?? maxSteps, maxSteps)

const noteOn = ({ losses, evaluation }: Checkpoint): string => {
  const { trainLoss, trainAccuracy, testAccuracy } = evaluation
  const loss = (losses.at(-1) ?? trainLoss).toExponential(2)
  return `loss ${loss}  train ${trainAccuracy.toFixed(3)}  test ${testAccuracy.toFixed(3)}`
}

/** All checkpoints up to the end of the run: those that the cursor has, then newly trained ones. */
const trainToEnd = Effect.fn("trainToEnd")(function* (input: TrainInput, cursor: Cursor) {
  const { data, model, train: config, seed } = input
  const engine = yield* TensorEngine
  const progress = yield* Progress
  const layout = makeLayout({ modulus: data.modulus, ...model })
  const pairs = yield* loadPairs(data)
  const evaluate = yield* openEvaluation(layout, pairs)
  const program = yield* engine.compileScan(trainSteps(layout, config, config.batchSize))

  const checkpoints = [...(yield* resumable(cursor.entries, config.evaluateEvery))]

  const commit = Effect.fnUntraced(function* (
    step: number,
    state: TrainingState,
    block: Pick<Checkpoint, "losses" | "gradientNorms">,
  ) {
    const evaluation = yield* evaluate(state.theta)
    const figures = [...block.losses, ...block.gradientNorms, ...Object.values(evaluation)]
    if (!figures.every(Number.isFinite)) return yield* new Diverged({ step })
    const previous = checkpoints.at(-1)
    const checkpoint: Checkpoint = { step, ...(yield* storeState(state)), ...block, evaluation }
    yield* cursor.advance(step, checkpoint)
    if (previous !== undefined) yield* dropMoments(previous)
    checkpoints.push(checkpoint)
    yield* progress.step({ done: step, total: config.maxSteps, unit: "step", note: noteOn(checkpoint) })
    return checkpoint
  })

  const zeros = new Float32Array(layout.size)
  const initial: TrainingState = { theta: initialParameters(layout, seed), first: zeros, second: zeros }
  let newest = checkpoints.at(-1) ?? (yield* commit(0, initial, { losses: [], gradientNorms: [] }))
  let state = newest.step === 0 ? initial : yield* loadState(newest)
  while (newest.step < endOf(config, checkpoints)) {
    const { carry, ys } = yield* program.run({
      carry: state,
      xs: stepInputs(pairs, input, newest.step + 1, config.evaluateEvery),
      constants: {},
    })
    state = carry
    newest = yield* commit(newest.step + config.evaluateEvery, state, {
      losses: Array.from(ys.loss),
      gradientNorms: Array.from(ys.gradientNorm),
    })
  }
  return checkpoints.filter(({ step }) => step <= endOf(config, checkpoints))
})

const curveTable = (checkpoints: ReadonlyArray<Checkpoint>) =>
  table({
    step: checkpoints.map(({ step }) => step),
    trainLoss: checkpoints.map(({ evaluation }) => evaluation.trainLoss),
    testLoss: checkpoints.map(({ evaluation }) => evaluation.testLoss),
    trainAccuracy: checkpoints.map(({ evaluation }) => evaluation.trainAccuracy),
    testAccuracy: checkpoints.map(({ evaluation }) => evaluation.testAccuracy),
  })

const lossTable = (checkpoints: ReadonlyArray<Checkpoint>) => {
  const loss = checkpoints.flatMap(({ losses }) => losses)
  return table({
    step: loss.map((_, i) => i + 1),
    loss,
    gradientNorm: checkpoints.flatMap(({ gradientNorms }) => gradientNorms),
  })
}

export const train = stage({
  name: "train",
  version: 1,
  module: import.meta.url,
  input: TrainInput,
  output: TrainedRun,
  usesEngine: true,
  identity: ({ train: { maxSteps: _, stop: __, ...train }, ...rest }) => ({ ...rest, train }),
  run: (input, cursor) =>
    Effect.scoped(
      Effect.gen(function* () {
        const checkpoints = yield* trainToEnd(input, cursor)
        const { stop } = input.train
        const curve = curveOf(checkpoints)
        const { testAccuracy, trainAccuracy } = checkpoints[checkpoints.length - 1].evaluation
        const trajectory = checkpoints.map(({ step, theta }) => ({ step, theta }))
        const run: TrainedRun = {
          model: { modulus: input.data.modulus, ...input.model },
          trajectory: yield* putJson(Trajectory, trajectory),
          checkpoints: checkpoints.length,
          curve: yield* putTable(curveTable(checkpoints)),
          losses: yield* putTable(lossTable(checkpoints)),
          firstHalf: firstAtLeast(curve, 0.5),
          firstThreshold: firstAtLeast(curve, stop.accuracy),
          stopStep: stopStep(curve, stop),
          finalTestAccuracy: testAccuracy,
          finalTrainAccuracy: trainAccuracy,
        }
        return run
      }),
    ),
})
