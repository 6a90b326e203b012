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
import { evaluateExamples, trainSteps } from "../model/programs.ts"
import { type Accuracy, firstAtLeast, stopStep } from "../numerics/grokking.ts"
import { stream } from "../numerics/random.ts"
import { mean } from "../numerics/statistics.ts"
import { ArtifactRef } from "../services/Artifact.ts"
import { ArtifactStore } from "../services/ArtifactStore.ts"
import { f32Tensor, float32, getTensors, putJson, putTable, putTensors } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { stage } from "../services/Stage.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import { Dataset, Seed } from "./generateData.ts"
import { concatenate, draw, type Examples, loadPairs, type Pairs, take } from "./pairs.ts"

const positive = Schema.isGreaterThan(0)
const PositiveInt = Schema.Int.check(positive)
const Fraction = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const Decay = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1, exclusiveMaximum: true }))

export const ModelConfig = Schema.Struct({
  width: PositiveInt,
  heads: PositiveInt,
  feedForward: PositiveInt,
  layers: PositiveInt,
}).check(
  Schema.makeFilter(({ width, heads }) =>
    width % heads === 0
      ? true
      : { path: ["heads"], issue: `Expected a divisor of width ${width}, got ${heads}` },
  ),
)

export const TrainConfig = Schema.Struct({
  learningRate: Schema.Finite.check(positive),
  beta1: Decay,
  beta2: Decay,
  epsilon: Schema.Finite.check(positive),
  weightDecay: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  clipNorm: Schema.Finite.check(positive),
  batchSize: PositiveInt,
  maxSteps: PositiveInt,
  /** Steps between checkpoints; each evaluates all pairs. */
  evaluateEvery: PositiveInt,
  /** Stops once a test accuracy of `accuracy` was seen `count` times. */
  stop: Schema.Struct({ accuracy: Fraction, count: PositiveInt, consecutive: Schema.Boolean }),
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

const Step = Schema.NullOr(Schema.Int)

/** The checkpoints of a trajectory, in order. `theta` [size] float32 is the flat parameter vector. */
export const Trajectory = Schema.Array(Schema.Struct({ step: Schema.Int, theta: ArtifactRef }))

export const TrainedRun = Schema.Struct({
  model: Schema.Struct({ modulus: Schema.Int, ...ModelConfig.fields }),
  /** JSON, a `Trajectory`. */
  trajectory: ArtifactRef,
  checkpoints: Schema.Int,
  /** Parquet, a row per checkpoint: step, losses and accuracies on all training and all test pairs. */
  curve: ArtifactRef,
  /** Parquet, a row per step: loss of its batch, gradient norm before clipping. */
  losses: ArtifactRef,
  /** First step with test accuracy ≥ 0.5. */
  firstHalf: Step,
  /** First step with test accuracy ≥ the stop rule's. */
  firstThreshold: Step,
  /** The step at which the stop rule held, the paper's "grok step"; null if maxSteps came first. */
  stopStep: Step,
  finalTestAccuracy: Schema.Finite,
  finalTrainAccuracy: Schema.Finite,
})
export type TrainedRun = typeof TrainedRun.Type

const Evaluation = Schema.Struct({
  trainLoss: Schema.Finite,
  testLoss: Schema.Finite,
  trainAccuracy: Schema.Finite,
  testAccuracy: Schema.Finite,
})

/** An entry of the cursor. `losses` and `gradientNorms` are those of the steps since the entry before. */
const Checkpoint = Schema.Struct({
  step: Schema.Int,
  theta: ArtifactRef,
  moments: ArtifactRef,
  losses: Schema.Array(Schema.Finite),
  gradientNorms: Schema.Array(Schema.Finite),
  evaluation: Evaluation,
})
type Checkpoint = typeof Checkpoint.Type

/** Training diverged: a loss is not a number. */
export class Diverged extends Schema.TaggedError<Diverged>()("Diverged", { step: Schema.Int }) {
  override get message() {
    return `training diverged before step ${this.step}: the loss is not finite; lower train.learningRate`
  }
}

/** Moments are kept at multiples of this step, to branch and resume from. */
const KEYFRAME = 500

const EVALUATION_CHUNK = 1024

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

/** A function that evaluates parameters on all pairs. */
const evaluator = Effect.fn("train.evaluator")(function* (
  layout: ReturnType<typeof makeLayout>,
  { all, isTrain }: Pairs,
) {
  const engine = yield* TensorEngine
  const program = yield* engine.compileScan(evaluateExamples(layout, EVALUATION_CHUNK))
  const count = all.a.length
  const padded = Math.ceil(count / EVALUATION_CHUNK) * EVALUATION_CHUNK
  const xs = take(
    all,
    Int32Array.from({ length: padded }, (_, i) => i % count),
  )
  return Effect.fnUntraced(function* (theta: Float32Array) {
    const { ys } = yield* program.run({ carry: {}, xs, constants: { theta } })
    const average = (values: ArrayLike<number>, train: boolean) =>
      mean(isTrain.flatMap((isTrainPair, i) => (isTrainPair === train ? [values[i]] : [])))
    const evaluation: typeof Evaluation.Type = {
      trainLoss: average(ys.loss, true),
      testLoss: average(ys.loss, false),
      trainAccuracy: average(ys.correct, true),
      testAccuracy: average(ys.correct, false),
    }
    return evaluation
  })
})

/** The longest prefix of the entries whose parameters exist and whose last moments exist too. */
const resumable = Effect.fn("train.resumable")(function* (entries: ReadonlyArray<unknown>) {
  const store = yield* ArtifactStore
  let prefix: ReadonlyArray<Checkpoint> = []
  let last = 0
  for (const [i, entry] of entries.entries()) {
    const checkpoint = yield* Effect.option(Schema.decodeUnknownEffect(Checkpoint)(entry))
    if (checkpoint._tag === "None" || !(yield* store.has(checkpoint.value.theta))) break
    prefix = [...prefix, checkpoint.value]
    if (yield* store.has(checkpoint.value.moments)) last = i + 1
  }
  return prefix.slice(0, last)
})

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
        const { data, model, train: config, seed } = input
        const { evaluateEvery: every, batchSize, maxSteps } = config
        const engine = yield* TensorEngine
        const store = yield* ArtifactStore
        const progress = yield* Progress
        const layout = makeLayout({ modulus: data.modulus, ...model })
        const pairs = yield* loadPairs(data)
        const evaluate = yield* evaluator(layout, pairs)
        const steps = yield* engine.compileScan(trainSteps(layout, config, batchSize))

        const curveOf = (checkpoints: ReadonlyArray<Checkpoint>): ReadonlyArray<Accuracy> =>
          checkpoints.map(({ step, evaluation }) => ({ step, test: evaluation.testAccuracy }))
        /** A longer earlier run may go past the stop: what counts is the part up to it. */
        const untilStop = (checkpoints: ReadonlyArray<Checkpoint>) => {
          const end = stopStep(curveOf(checkpoints), config.stop) ?? maxSteps
          return checkpoints.filter(({ step }) => step <= end)
        }
        const finished = (checkpoints: ReadonlyArray<Checkpoint>) => {
          const last = checkpoints.at(-1)
          return (
            last !== undefined &&
            (last.step >= maxSteps || stopStep(curveOf(checkpoints), config.stop) !== null)
          )
        }

        const commit = Effect.fnUntraced(function* (
          checkpoints: ReadonlyArray<Checkpoint>,
          state: {
            readonly theta: Float32Array
            readonly first: Float32Array
            readonly second: Float32Array
          },
          block: Pick<Checkpoint, "step" | "losses" | "gradientNorms">,
        ) {
          const previous = checkpoints.at(-1)
          const checkpoint: Checkpoint = {
            ...block,
            theta: yield* putTensors({ theta: f32Tensor(state.theta) }),
            moments: yield* putTensors({ first: f32Tensor(state.first), second: f32Tensor(state.second) }),
            evaluation: yield* evaluate(state.theta),
          }
          yield* cursor.advance(block.step, checkpoint)
          if (previous !== undefined && previous.step % KEYFRAME !== 0) yield* store.drop(previous.moments)
          const { trainAccuracy, testAccuracy } = checkpoint.evaluation
          const loss = block.losses.at(-1) ?? checkpoint.evaluation.trainLoss
          yield* progress.step({
            done: block.step,
            total: maxSteps,
            unit: "step",
            note: `loss ${loss.toExponential(2)}  train ${trainAccuracy.toFixed(3)}  test ${testAccuracy.toFixed(3)}`,
          })
          return checkpoint
        })

        const checkpoints = [...(yield* resumable(cursor.entries))]
        let state: { theta: Float32Array; first: Float32Array; second: Float32Array }
        const newest = checkpoints.at(-1)
        if (newest === undefined) {
          const zeros = new Float32Array(layout.size)
          state = { theta: initialParameters(layout, seed), first: zeros, second: zeros }
          checkpoints.push(yield* commit(checkpoints, state, { step: 0, losses: [], gradientNorms: [] }))
        } else {
          const theta = yield* getTensors(newest.theta)
          const moments = yield* getTensors(newest.moments)
          state = {
            theta: yield* float32(theta, "theta"),
            first: yield* float32(moments, "first"),
            second: yield* float32(moments, "second"),
          }
        }

        while (!finished(checkpoints)) {
          const from = checkpoints.at(-1)?.step ?? 0
          const { carry, ys } = yield* steps.run({
            carry: state,
            xs: stepInputs(pairs, input, from + 1, every),
            constants: {},
          })
          const step = from + every
          if (!ys.loss.every(Number.isFinite)) return yield* new Diverged({ step })
          state = carry
          checkpoints.push(
            yield* commit(checkpoints, state, {
              step,
              losses: Array.from(ys.loss),
              gradientNorms: Array.from(ys.gradientNorm),
            }),
          )
        }

        const kept = untilStop(checkpoints)
        const curve = curveOf(kept)
        const lastEvaluation = kept[kept.length - 1].evaluation
        const evaluations = kept.map(({ evaluation }) => evaluation)
        const result: TrainedRun = {
          model: { modulus: data.modulus, ...model },
          trajectory: yield* putJson(
            Trajectory,
            kept.map(({ step, theta }) => ({ step, theta })),
          ),
          checkpoints: kept.length,
          curve: yield* putTable(
            table({
              step: kept.map(({ step }) => step),
              trainLoss: evaluations.map(({ trainLoss }) => trainLoss),
              testLoss: evaluations.map(({ testLoss }) => testLoss),
              trainAccuracy: evaluations.map(({ trainAccuracy }) => trainAccuracy),
              testAccuracy: evaluations.map(({ testAccuracy }) => testAccuracy),
            }),
          ),
          losses: yield* putTable(
            table({
              step: kept.flatMap(({ losses }) => losses).map((_, i) => i + 1),
              loss: kept.flatMap(({ losses }) => losses),
              gradientNorm: kept.flatMap(({ gradientNorms }) => gradientNorms),
            }),
          ),
          firstHalf: firstAtLeast(curve, 0.5),
          firstThreshold: firstAtLeast(curve, config.stop.accuracy),
          stopStep: stopStep(curve, config.stop),
          finalTestAccuracy: lastEvaluation.testAccuracy,
          finalTrainAccuracy: lastEvaluation.trainAccuracy,
        }
        return result
      }),
    ),
})
