/**
 * Linear centroids (experiment.md §5): μ_x(θ) = gradient of the correct-class logit with respect to the summed
 * embeddings of both positions, and how far a displacement of θ_attn moves them.
 */
import * as tf from "@tensorflow/tfjs"
import { type Layout, type Parameters, unpack } from "./layout.ts"
import { embed, logitsOfEmbeddings } from "./transformer.ts"

export interface Probes {
  readonly a: tf.Tensor
  readonly b: tf.Tensor
  readonly label: tf.Tensor
}

/** Centroids as halves [2n, d]: row i is the part of example i at position 0, row n + i that at position 1. */
const centroidHalves = (layout: Layout, p: Parameters, { a, b, label }: Probes): tf.Tensor => {
  const chosen = tf.oneHot(tf.cast(label, "int32"), layout.shape.modulus, 1, 0, "float32")
  const correctLogits = (x: tf.Tensor) => tf.sum(tf.mul(chosen, logitsOfEmbeddings(layout, p, x)))
  return tf.grad(correctLogits)(embed(p, a, b))
}

/** Centroids [n, 2d]: position 0, then position 1. */
export const centroids = (layout: Layout, p: Parameters, probes: Probes): tf.Tensor => {
  const [position0, position1] = tf.split(centroidHalves(layout, p, probes), 2)
  return tf.concat([position0, position1], 1)
}

/** θ displaced by `scale`·`direction` in its attention slots only: theta [size], direction [attentionSize]. */
export const displace = (
  layout: Layout,
  theta: tf.Tensor,
  direction: tf.Tensor,
  scale: tf.Tensor,
): tf.Tensor => {
  const [attention, rest] = tf.split(theta, [layout.attentionSize, layout.size - layout.attentionSize])
  return tf.concat([tf.add(attention, tf.mul(direction, scale)), rest])
}

/**
 * The perturbation energy A(v): mean over probes of ‖[μ(θ + εv) − μ(θ − εv)] / 2ε‖², a scalar.
 * `epsilon` is the displacement's length, a scalar.
 */
export const perturbationEnergy = (
  layout: Layout,
  theta: tf.Tensor,
  direction: tf.Tensor,
  epsilon: tf.Tensor,
  probes: Probes,
): tf.Tensor => {
  const at = (scale: tf.Tensor) =>
    centroidHalves(layout, unpack(layout, displace(layout, theta, direction, scale)), probes)
  const change = tf.div(tf.sub(at(epsilon), at(tf.neg(epsilon))), tf.mul(epsilon, 2))
  return tf.div(tf.sum(tf.square(change)), probes.a.shape[0])
}
