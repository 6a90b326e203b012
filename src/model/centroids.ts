/**
 * Linear centroids (experiment.md §5): μ_x(θ) = gradient of a scalar of the logits with respect to the summed
 * embeddings of both positions, and how far a displacement of a block of the parameters moves them.
 */
import * as tf from "@tensorflow/tfjs"
import { type Block, changeBlock, parametersOfBlock, rangesOf } from "./blocks.ts"
import { type Layout, type Parameters, unpack } from "./layout.ts"
import { embed, logitsOfEmbeddings } from "./transformer.ts"

/** Pairs as int32 [n]; `label` is the index of a logit: task·p + label of the task. */
export interface Probes {
  readonly a: tf.Tensor
  readonly b: tf.Tensor
  readonly label: tf.Tensor
}

/**
 * Which scalar of an example's logits its centroid is the gradient of: the logit that its label names, or the sum
 * of all logits of one task's head, J_f(x)ᵀ·1 (the Linear Centroids Hypothesis proper).
 */
export type CentroidOf =
  | { readonly kind: "correct-logit" }
  | { readonly kind: "logit-sum"; readonly task: number }

/** Weight of each logit in the scalar: [n, logits], or [1, logits] where it is the same for all examples. */
const logitWeights = (of: CentroidOf, { modulus }: Layout["shape"], label: tf.Tensor, logits: number) => {
  if (of.kind === "correct-logit") return tf.oneHot(tf.cast(label, "int32"), logits, 1, 0, "float32")
  const inHead = Array.from({ length: logits }, (_, i) => (Math.floor(i / modulus) === of.task ? 1 : 0))
  return tf.tensor(inHead, [1, logits], "float32")
}

/** The scalar of every example, summed over the examples, at summed embeddings x [2n, d]. */
const summedScalar = (layout: Layout, p: Parameters, x: tf.Tensor, label: tf.Tensor, of: CentroidOf) => {
  const logits = logitsOfEmbeddings(layout, p, x)
  const [, count = 0] = logits.shape
  return tf.sum<tf.Scalar>(tf.mul(logitWeights(of, layout.shape, label, count), logits))
}

/** Centroids as halves [2n, d]: row i is the part of example i at position 0, row n + i that at position 1. */
const centroidHalves = (layout: Layout, p: Parameters, { a, b, label }: Probes, of: CentroidOf): tf.Tensor =>
  tf.grad((x: tf.Tensor) => summedScalar(layout, p, x, label, of))(embed(p, a, b))

/** Centroids [n, 2d]: position 0, then position 1. */
export const centroids = (layout: Layout, p: Parameters, probes: Probes, of: CentroidOf): tf.Tensor => {
  const [position0, position1] = tf.split(centroidHalves(layout, p, probes, of), 2)
  return tf.concat([position0, position1], 1)
}

/** θ displaced by `scale`·`direction` in the slots of a block only: theta [size], direction [block]. */
export const displace = (
  layout: Layout,
  block: Block,
  theta: tf.Tensor,
  direction: tf.Tensor,
  scale: tf.Tensor,
): tf.Tensor =>
  changeBlock(rangesOf(layout, block), theta, direction, (slots, part) => tf.add(slots, tf.mul(part, scale)))

/** Mean over probes of the squared length of their centroids' rates of change [2n, d], a scalar. */
const energyOf = (change: tf.Tensor, { a }: Probes): tf.Tensor =>
  tf.div(tf.sum(tf.square(change)), a.shape[0])

/**
 * The perturbation energy A(v): mean over probes of ‖[μ(θ + εv) − μ(θ − εv)] / 2ε‖², a scalar.
 * `epsilon` is the displacement's length, a scalar.
 */
export const perturbationEnergy = (
  layout: Layout,
  block: Block,
  theta: tf.Tensor,
  direction: tf.Tensor,
  epsilon: tf.Tensor,
  probes: Probes,
  of: CentroidOf,
): tf.Tensor => {
  const at = (scale: tf.Tensor) =>
    centroidHalves(layout, unpack(layout, displace(layout, block, theta, direction, scale)), probes, of)
  return energyOf(tf.div(tf.sub(at(epsilon), at(tf.neg(epsilon))), tf.mul(epsilon, 2)), probes)
}

/**
 * The limit of {@link perturbationEnergy} for ε → 0: mean over probes of ‖∂μ(θ + sv)/∂s‖² at s = 0.
 *
 * Derivatives commute: with F the sum of the probes' scalars, ∂/∂s ∇ₓF = ∇ₓ⟨∇_θ F, v⟩. So only the outermost
 * derivative depends on the direction; a loop over directions computes ∇_θ F once.
 */
export const exactPerturbationEnergy = (
  layout: Layout,
  block: Block,
  theta: tf.Tensor,
  direction: tf.Tensor,
  probes: Probes,
  of: CentroidOf,
): tf.Tensor => {
  const p = unpack(layout, theta)
  const along = parametersOfBlock(layout, rangesOf(layout, block), direction)
  const names = Object.keys(along)
  const directional = (x: tf.Tensor) => {
    const scalar = (...weights: Array<tf.Tensor>) =>
      summedScalar(
        layout,
        { ...p, ...Object.fromEntries(names.map((name, i) => [name, weights[i]])) },
        x,
        probes.label,
        of,
      )
    const gradients = tf.grads(scalar)(names.map((name) => p[name]))
    return tf.addN(gradients.map((gradient, i) => tf.sum<tf.Scalar>(tf.mul(gradient, along[names[i]]))))
  }
  return energyOf(tf.grad(directional)(embed(p, probes.a, probes.b)), probes)
}
