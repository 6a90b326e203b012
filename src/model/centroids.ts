/**
 * Linear centroids (experiment.md §5): μ_x(θ) = gradient of a scalar of the logits with respect to the summed
 * embeddings of both positions, and how far a displacement of a block of the parameters moves them.
 */
import * as tf from "@tensorflow/tfjs"
import { type Block, changeBlock, parametersOfBlock, rangesOf } from "./blocks.ts"
import { type Layout, type Parameters, unpack } from "./layout.ts"
import { embed, logitsOfEmbeddings, type Positions } from "./transformer.ts"

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

/** The scalar of every example, summed over the examples, at summed embeddings x. */
const summedScalar = (layout: Layout, p: Parameters, x: Positions, label: tf.Tensor, of: CentroidOf) => {
  const logits = logitsOfEmbeddings(layout, p, x)
  const [, count = 0] = logits.shape
  return tf.sum<tf.Scalar>(tf.mul(logitWeights(of, layout.shape, label, count), logits))
}

/** Gradient of a scalar of both positions' tensors [n, d] at x, [n, d] each. */
const gradientAt = (x: Positions, scalar: (x: Positions) => tf.Scalar): Positions => {
  const [position0, position1] = tf.grads((x0: tf.Tensor, x1: tf.Tensor) => scalar([x0, x1]))([...x])
  return [position0, position1]
}

/** Centroids of n examples as their parts at position 0 and 1, [n, d] each. */
const centroidParts = (layout: Layout, p: Parameters, { a, b, label }: Probes, of: CentroidOf): Positions =>
  gradientAt(embed(p, a, b), (x) => summedScalar(layout, p, x, label, of))

/** Centroids [n, 2d]: position 0, then position 1. */
export const centroids = (layout: Layout, p: Parameters, probes: Probes, of: CentroidOf): tf.Tensor =>
  tf.concat([...centroidParts(layout, p, probes, of)], 1)

/** θ displaced by `scale`·`direction` in the slots of a block only: theta [size], direction [block]. */
export const displace = (
  layout: Layout,
  block: Block,
  theta: tf.Tensor,
  direction: tf.Tensor,
  scale: tf.Tensor,
): tf.Tensor =>
  changeBlock(rangesOf(layout, block), theta, direction, (slots, part) => tf.add(slots, tf.mul(part, scale)))

/** Mean over probes of the squared length of their centroids' rates of change, a scalar. */
const energyOf = ([change0, change1]: Positions, { a }: Probes): tf.Tensor =>
  tf.div(tf.add(tf.sum(tf.square(change0)), tf.sum(tf.square(change1))), a.shape[0])

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
    centroidParts(layout, unpack(layout, displace(layout, block, theta, direction, scale)), probes, of)
  const [plus, minus] = [at(epsilon), at(tf.neg(epsilon))]
  const difference: Positions = [tf.sub(plus[0], minus[0]), tf.sub(plus[1], minus[1])]
  return tf.div(energyOf(difference, probes), tf.square(tf.mul(epsilon, 2)))
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
  // Embeddings are linear in their parameters, which reach the logits through x alone.
  const { "tok_emb.weight": tokens, pos_emb: positions, ...weightsAlong } = along
  const names = Object.keys(weightsAlong)
  const moving =
    tokens === undefined && positions === undefined
      ? []
      : embed(
          {
            "tok_emb.weight": tokens ?? tf.zerosLike(p["tok_emb.weight"]),
            pos_emb: positions ?? tf.zerosLike(p.pos_emb),
          },
          probes.a,
          probes.b,
        )
  const directional = (x: Positions) => {
    const scalar = (...inputs: Array<tf.Tensor>) => {
      const weights = Object.fromEntries(names.map((name, i) => [name, inputs[i]]))
      const [x0 = x[0], x1 = x[1]] = inputs.slice(names.length)
      return summedScalar(layout, { ...p, ...weights }, [x0, x1], probes.label, of)
    }
    const inputs = [...names.map((name) => p[name]), ...(moving.length === 0 ? [] : x)]
    const rates = [...names.map((name) => weightsAlong[name]), ...moving]
    const gradients = tf.grads(scalar)(inputs)
    return tf.addN<tf.Scalar>(gradients.map((gradient, i) => tf.sum<tf.Scalar>(tf.mul(gradient, rates[i]))))
  }
  return energyOf(gradientAt(embed(p, probes.a, probes.b), directional), probes)
}
