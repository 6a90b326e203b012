/**
 * What stages hand to each other, as Schemas. They stand apart from the stages that make them, so that a change of
 * how one stage computes changes the code fingerprint of that stage and of no other.
 */
import { Schema } from "effect"
import { ArtifactRef } from "../services/Artifact.ts"

/** An integer from 1 to `maximum`; every size has a maximum, so that a slip of the finger is an error at once. */
export const Count = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 1, maximum }))

/** A run's seed: every random stream is keyed by it. */
export const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 }))

/** The data set of a run. */
export const Dataset = Schema.Struct({
  /** Parquet, a-major: `a`, `b`, `label` int; `order` the pair's place in the shuffle; `train` bool. */
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

/** safetensors: `gradients` [checkpoints, attentionSize] and `loss` [checkpoints], float32. */
export const CapturedGradients = Schema.Struct({ gradients: ArtifactRef })

/** Where the rows of a rolling SVD come from; `rows.ts` says what they are. */
export const RowSource = Schema.Union([
  Schema.Struct({ kind: Schema.tag("update"), run: TrainedRun }),
  Schema.Struct({ kind: Schema.tag("gradient"), run: TrainedRun, gradients: CapturedGradients }),
])
export type RowSource = typeof RowSource.Type

export const RollingSvd = Schema.Struct({
  /** K: directions at each point whose window has at least K rows. */
  rank: Schema.Int,
  /** Parquet, a row per point: checkpoint, step, first and count of the window's rows, σ₁…σ₁₀, energy shares. */
  spectrum: ArtifactRef,
  /** safetensors, per point i: `sigma.i` [count] and `left.i` [kept, count], float64. */
  vectors: ArtifactRef,
})
export type RollingSvd = typeof RollingSvd.Type

export const ProbeConfig = Schema.Struct({
  /** Pairs whose centroids are watched, drawn with replacement from all pairs, fixed for a run. */
  probes: Count(65_536),
  /** Length of the displacement as a share of ‖θ_attn(t)‖. */
  epsilon: Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThan(1)),
})

export const NullEnergies = Schema.Struct({
  probe: ProbeConfig,
  /** Parquet, a row per point and draw: checkpoint, step, draw, energy. */
  energies: ArtifactRef,
})
