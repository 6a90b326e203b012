/**
 * AdamW with decoupled weight decay (Loshchilov & Hutter 2019) after clipping by the global norm, on flat
 * vectors, in the order of operations of PyTorch's `clip_grad_norm_` and `AdamW`.
 */
import * as tf from "@tensorflow/tfjs"

export interface AdamWConfig {
  readonly learningRate: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
  /** Largest global gradient norm; larger gradients are scaled down to it. */
  readonly clipNorm: number
}

/** The scalars of one step that depend on its number; computed in double precision on the host. */
export interface StepScalars<A> {
  /** learningRate / (1 − β₁ᵗ) */
  readonly stepSize: A
  /** 1 − learningRate · weightDecay */
  readonly decay: A
  /** 1 / √(1 − β₂ᵗ) */
  readonly denominatorScale: A
}

/** Scalars of step `t`, counted from 1. */
export const stepScalars = (config: AdamWConfig, t: number): StepScalars<number> => ({
  stepSize: config.learningRate / (1 - config.beta1 ** t),
  decay: 1 - config.learningRate * config.weightDecay,
  denominatorScale: 1 / Math.sqrt(1 - config.beta2 ** t),
})

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

/** One step on flat vectors [size]. */
export const adamW = (
  { beta1, beta2, epsilon }: AdamWConfig,
  { stepSize, decay, denominatorScale }: StepScalars<tf.Tensor>,
  theta: tf.Tensor,
  moments: Moments,
  gradient: tf.Tensor,
) => {
  const first = tf.add(tf.mul(moments.first, beta1), tf.mul(gradient, 1 - beta1))
  const second = tf.add(tf.mul(moments.second, beta2), tf.mul(tf.square(gradient), 1 - beta2))
  const denominator = tf.add(tf.mul(tf.sqrt(second), denominatorScale), epsilon)
  const next = tf.sub(tf.mul(theta, decay), tf.mul(tf.div(first, denominator), stepSize))
  return { theta: next, moments: { first, second } }
}
