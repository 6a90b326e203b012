/**
 * The optimisers, on flat vectors, after clipping by the global norm, in the order of operations of PyTorch's
 * `clip_grad_norm_`, `AdamW` and `SGD`; and the schedules of their learning rate. Weight decay is decoupled in both.
 */
import * as tf from "@tensorflow/tfjs"

/** The learning rate over the steps: the same throughout, or a linear warm-up times a cosine down to 0. */
export type Schedule =
  | { readonly kind: "constant" }
  | {
      readonly kind: "warmup-cosine"
      /** Steps until the warm-up is over; 0 for none. */
      readonly warmup: number
      /** Steps until the cosine reaches 0, where it stays. */
      readonly period: number
    }

export interface OptimizerConfig {
  /** `sgd` is SGD with momentum β₁; it uses neither β₂ nor epsilon. */
  readonly optimizer: "adamw" | "sgd"
  readonly schedule: Schedule
  readonly learningRate: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
  /** Largest global gradient norm; larger gradients are scaled down to it. */
  readonly clipNorm: number
}

/** The learning rate of step `t`, counted from 1: for `warmup-cosine` lr·min(1, t/warmup)·½(1 + cos(π·min(1, t/period))). */
export const learningRateAt = (
  { learningRate, schedule }: Pick<OptimizerConfig, "learningRate" | "schedule">,
  t: number,
): number => {
  if (schedule.kind === "constant") return learningRate
  const cosine = (1 + Math.cos(Math.PI * Math.min(1, t / schedule.period))) / 2
  return learningRate * Math.min(1, t / schedule.warmup) * cosine
}

/** The scalars of one step that depend on its number; computed in double precision on the host. */
export interface StepScalars<A> {
  /** lr / (1 − β₁ᵗ) of AdamW, lr of SGD */
  readonly stepSize: A
  /** 1 − lr · weightDecay */
  readonly decay: A
  /** 1 / √(1 − β₂ᵗ) of AdamW; SGD does not use it */
  readonly denominatorScale: A
}

/** Scalars of step `t`, counted from 1. */
export const stepScalars = (config: OptimizerConfig, t: number): StepScalars<number> => {
  const rate = learningRateAt(config, t)
  const decay = 1 - rate * config.weightDecay
  if (config.optimizer === "sgd") return { stepSize: rate, decay, denominatorScale: 1 }
  return {
    stepSize: rate / (1 - config.beta1 ** t),
    decay,
    denominatorScale: 1 / Math.sqrt(1 - config.beta2 ** t),
  }
}

/** What an optimiser keeps from step to step, [size] each. SGD's momentum is `first`; it carries `second` unused. */
export interface Moments {
  readonly first: tf.Tensor
  readonly second: tf.Tensor
}

/** Scales `gradient` [size] to at most `clipNorm`; returns it with its norm before. */
export const clipByGlobalNorm = (gradient: tf.Tensor, clipNorm: number) => {
  const norm = tf.sqrt(tf.sum(tf.square(gradient)))
  const scale = tf.minimum(tf.div(clipNorm, tf.add(norm, 1e-6)), 1)
  return { clipped: tf.mul(gradient, scale), norm }
}

/** One step on flat vectors [size]: the parameters and moments after it. */
type OptimizerStep = (
  config: OptimizerConfig,
  scalars: StepScalars<tf.Tensor>,
  theta: tf.Tensor,
  moments: Moments,
  gradient: tf.Tensor,
) => { readonly theta: tf.Tensor; readonly moments: Moments }

/**
 * AdamW with decoupled weight decay (Loshchilov & Hutter 2019). With its bias corrections in the scalars, each pass over the
 * vectors being 0.5 % of a step: lr·m̂ / (√v̂ + ε) = (stepSize / denominatorScale)·m / (√v + ε / denominatorScale).
 */
const adamW: OptimizerStep = (
  { beta1, beta2, epsilon },
  { stepSize, decay, denominatorScale },
  theta,
  moments,
  gradient,
) => {
  const first = tf.add(tf.mul(moments.first, beta1), tf.mul(gradient, 1 - beta1))
  const second = tf.add(tf.mul(moments.second, beta2), tf.mul(tf.square(gradient), 1 - beta2))
  const denominator = tf.add(tf.sqrt(second), tf.div(epsilon, denominatorScale))
  const update = tf.mul(tf.div(first, denominator), tf.div(stepSize, denominatorScale))
  return { theta: tf.sub(tf.mul(theta, decay), update), moments: { first, second } }
}

/** SGD with momentum and decoupled weight decay: v ← β₁v + g, θ ← θ(1 − lr·decay) − lr·v. */
const sgd: OptimizerStep = ({ beta1 }, { stepSize, decay }, theta, { first: velocity, second }, gradient) => {
  const first = tf.add(tf.mul(velocity, beta1), gradient)
  return { theta: tf.sub(tf.mul(theta, decay), tf.mul(first, stepSize)), moments: { first, second } }
}

const steps = { adamw: adamW, sgd }

/** One step of the configured optimiser. */
export const optimizerStep: OptimizerStep = (config, ...rest) => steps[config.optimizer](config, ...rest)
