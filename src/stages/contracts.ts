/**
 * What stages hand to each other, as Schemas. They stand apart from the stages that make them, so that a change of
 * how one stage computes changes the code fingerprint of that stage and of no other.
 */
import { Effect, Option, Schema, SchemaGetter } from "effect"
import { blocks } from "../model/blocks.ts"
import { operations } from "../numerics/modular.ts"
import { placements } from "../numerics/windows.ts"
import { ArtifactRef } from "../services/Artifact.ts"

/** An integer from 1 to `maximum`; every size has a maximum, so that a slip of the finger is an error at once. */
export const Count = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 1, maximum }))

/** A run's seed: every random stream is keyed by it. */
export const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 }))

/** What a model is trained on, one head for each; a task is a place in this list. */
export const Operations = Schema.NonEmptyArray(Schema.Literals(operations))
export type Operations = typeof Operations.Type

/** `true` labels, or `shuffled`: permuted over all pairs, so that there is nothing to generalise. */
export const Labels = Schema.Literals(["true", "shuffled"])

/** The data set of a run. */
export const Dataset = Schema.Struct({
  operations: Operations,
  labels: Labels,
  /**
   * Parquet, a-major: `a`, `b` int; a column of labels for each operation, named by `labelColumns` of pairs.ts;
   * `order` the pair's place in the shuffle; `train` bool.
   */
  pairs: ArtifactRef,
  modulus: Schema.Int,
  pairCount: Schema.Int,
  trainCount: Schema.Int,
})
export type Dataset = typeof Dataset.Type

export const ModelConfig = Schema.Struct({
  width: Count(4096),
  heads: Count(256),
  feedForward: Count(16_384),
  layers: Count(64),
}).check(
  Schema.makeFilter(({ width, heads }) =>
    width % heads === 0
      ? true
      : { path: ["heads"], issue: `Expected a divisor of width ${width}, got ${heads}` },
  ),
)

const BlockName = Schema.Literals(blocks)
type BlockName = typeof BlockName.Type

/**
 * The block of the parameters that rows and directions live in (`model/blocks.ts`). The paper's, `attention`, is left out
 * where it is stored, so inputs are written, and keys formed, as before there was another.
 */
export const Block = Schema.optionalKey(BlockName).pipe(
  Schema.decodeTo(BlockName, {
    decode: SchemaGetter.withDefault(Effect.succeed<BlockName>("attention")),
    encode: SchemaGetter.transformOptional(Option.filter((block: BlockName) => block !== "attention")),
  }),
)

const Step = Schema.NullOr(Schema.Int)

/** Loss and accuracy on all training and all test pairs. */
export const Evaluation = Schema.Struct({
  /** Mean cross-entropies, summed over tasks. */
  trainLoss: Schema.Finite,
  testLoss: Schema.Finite,
  /** The worst task's, so that what is asked of it is asked of every task; with one task, simply the accuracy. */
  trainAccuracy: Schema.Finite,
  testAccuracy: Schema.Finite,
  /** Each task's, in the order of the data set's operations. */
  taskTrainAccuracy: Schema.Array(Schema.Finite),
  taskTestAccuracy: Schema.Array(Schema.Finite),
})
export type Evaluation = typeof Evaluation.Type

/** The checkpoints of a trajectory, in order. */
export const Trajectory = Schema.Array(
  Schema.Struct({
    step: Schema.Int,
    /** [size] float32, the flat parameter vector. */
    theta: ArtifactRef,
    /** The optimiser's moments `first` and `second` [size] float32, at some checkpoints: what another training branches from. */
    moments: Schema.NullOr(ArtifactRef),
    evaluation: Evaluation,
  }),
)

/** When a run grokked, under each definition of experiment.md §3, and how it ended. */
export const Outcome = Schema.Struct({
  /** First step with test accuracy ≥ 0.5. Accuracies are those of the worst task: with several, every task's. */
  firstHalf: Step,
  /** First step with test accuracy ≥ the stop rule's. */
  firstThreshold: Step,
  /** The step at which the stop rule held, the paper's "grok step"; null if maxSteps came first. */
  stopStep: Step,
  finalTestAccuracy: Schema.Finite,
  finalTrainAccuracy: Schema.Finite,
})
export type Outcome = typeof Outcome.Type

export const TrainedRun = Schema.Struct({
  /** The model's sizes; `modulus` and `tasks` (its number of heads) are those of its data set. */
  model: Schema.Struct({ modulus: Schema.Int, tasks: Schema.Int, ...ModelConfig.fields }),
  /** JSON, a `Trajectory`. */
  trajectory: ArtifactRef,
  checkpoints: Schema.Int,
  /**
   * Parquet, a row per checkpoint: step, losses (summed over tasks) and accuracies (of the worst task) on all training
   * and all test pairs; `testAccuracy_<operation>` too where there are several.
   */
  curve: ArtifactRef,
  /** Parquet, a row per step: loss of its batch, gradient norm before clipping. */
  losses: ArtifactRef,
  ...Outcome.fields,
})
export type TrainedRun = typeof TrainedRun.Type

/** The updates of the single training steps in the window of each measurement point. */
export const CapturedSteps = Schema.Struct({
  block: Block,
  /** The measurement points and windows that they were captured for: those of the rolling SVD. */
  points: Schema.Int,
  every: Schema.Int,
  window: Schema.Int,
  placement: Schema.Literals(placements),
  /** JSON, a `StepWindows`. */
  windows: ArtifactRef,
})
export type CapturedSteps = typeof CapturedSteps.Type

/** Windows of single steps, in ascending order of `first`. */
export const StepWindows = Schema.Array(
  Schema.Struct({
    /** Training step s that the first row leaves: θ(s + 1) − θ(s). */
    first: Schema.Int,
    /** safetensors: `updates` [W, block], float32. */
    updates: ArtifactRef,
  }),
)

export const CapturedGradients = Schema.Struct({
  /** Checkpoints from one captured gradient to the next: those at 0, stride, 2·stride, … were captured. */
  stride: Schema.Int,
  block: Block,
  /** safetensors: `gradients` [captured, block] and `loss` [captured], float32. */
  gradients: ArtifactRef,
})
export type CapturedGradients = typeof CapturedGradients.Type

/** Checkpoints from one row, gradient or measurement point to the next. */
export const Stride = Count(10_000)

/** Where the rows of a rolling SVD come from; `rows.ts` says what they are. */
export const RowSource = Schema.Union([
  Schema.Struct({ kind: Schema.tag("update"), run: TrainedRun, stride: Stride, block: Block }),
  Schema.Struct({ kind: Schema.tag("displacement"), run: TrainedRun, stride: Stride, block: Block }),
  Schema.Struct({ kind: Schema.tag("step-update"), run: TrainedRun, steps: CapturedSteps }),
  Schema.Struct({ kind: Schema.tag("gradient"), run: TrainedRun, gradients: CapturedGradients }),
  Schema.Struct({
    kind: Schema.tag("noisy-gradient"),
    run: TrainedRun,
    /** What noise is added to. */
    gradients: CapturedGradients,
    /** Captured on all training pairs and on each step's minibatch: their difference is the minibatch noise. */
    full: CapturedGradients,
    step: CapturedGradients,
    /** Variance of the added noise in units of the minibatch noise's. */
    multiple: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1e6 })),
    seed: Seed,
  }),
])
export type RowSource = typeof RowSource.Type

export const RollingSvd = Schema.Struct({
  /** Of its rows. */
  block: Block,
  /** K: directions at each point whose window has at least K rows. */
  rank: Schema.Int,
  /** Parquet, a row per point: checkpoint, step, number of the window's first row, rows, σ₁…σ₁₀, energy shares. */
  spectrum: ArtifactRef,
  /** safetensors, per point i: `sigma.i` [count] and `left.i` [kept, count], float64. */
  vectors: ArtifactRef,
})
export type RollingSvd = typeof RollingSvd.Type

export const ProbeConfig = Schema.Struct({
  /** Pairs whose centroids are watched, drawn with replacement, fixed for a run. */
  probes: Count(65_536),
  /** Length of the displacement as a share of the block's norm ‖θ_block(t)‖; 0 is its limit, the exact derivative. */
  epsilon: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThan(1)),
  /** What a centroid is the gradient of: the correct class's logit, or the sum of the head's logits. */
  centroid: Schema.Literals(["correct-logit", "logit-sum"]),
  /** What probes are drawn from: the data set's pairs, or all p² pairs, those that it leaves out included. */
  from: Schema.Literals(["table", "grid"]),
  /** Whose head and labels: a place in the data set's `operations`. */
  task: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: operations.length - 1 })),
})
export type ProbeConfig = typeof ProbeConfig.Type

export const NullEnergies = Schema.Struct({
  /** Of the random directions. */
  block: Block,
  probe: ProbeConfig,
  /** Parquet, a row per point and draw: checkpoint, step, draw, energy. */
  energies: ArtifactRef,
})
