/**
 * The two-token transformer of experiment.md §2, read out at position 0, as pure TensorFlow.js functions.
 *
 * Activations keep the two positions as separate halves: x [2n, d] holds position 0 of all n examples, then
 * position 1, so every slice is contiguous. The algebra is rearranged where that saves work and changes
 * nothing beyond rounding; `test/model` holds each against the plain form:
 *
 * - only position 0 feeds the head, so the last layer computes queries and all that follows for it alone;
 * - the first layer sees only p tokens × 2 positions, so its norm and projections act on the 2p-row table;
 * - softmax over two positions is a sigmoid of the difference of scores, hence only the difference of the two
 *   keys is needed, which also takes the key bias out of the computation (its true gradient is zero);
 * - a norm's affine part moves into the projection that follows it: (x̂∘γ + β)Wᵀ + b = x̂(W∘γ)ᵀ + (Wβ + b).
 */
import * as tf from "@tensorflow/tfjs"
import { gelu, linear, normalize, sigmoid } from "./kernels.ts"
import { type Layout, layerPrefix, type ModelShape, type Parameters } from "./layout.ts"

/** What attention at one layer works on; n examples, d wide, m ∈ {1, 2} query positions. */
interface AttentionInputs {
  /** Queries of the m positions, [m·n, d]. */
  readonly queries: tf.Tensor
  /** Key at position 0 minus key at position 1, [n, d]. */
  readonly keyDifference: tf.Tensor
  /** Values at position 0 and 1, [n, d] each. */
  readonly values: readonly [tf.Tensor, tf.Tensor]
}

/**
 * Attention over two positions: v₁ + σ(q·(k₀ − k₁)/√d_head) · (v₀ − v₁) for each head. Returns [m·n, d].
 */
export const attend = (
  { queries, keyDifference, values: [v0, v1] }: AttentionInputs,
  heads: number,
): tf.Tensor => {
  const [n, d] = keyDifference.shape
  const [rows] = queries.shape
  const byHead = (x: tf.Tensor) => tf.reshape(x, [rows, heads, d / heads])
  /** The same for every query position. Copies are cheap; the gradient of a broadcast, a sum over an axis of two, is not. */
  const ofEach = (x: tf.Tensor) => byHead(rows === n ? x : tf.concat([x, x]))
  const scores = tf.sum(tf.mul(byHead(queries), ofEach(keyDifference)), -1)
  const weight = tf.reshape(sigmoid(tf.mul(scores, 1 / Math.sqrt(d / heads))), [rows, heads, 1])
  const mixed = tf.add(tf.mul(weight, ofEach(tf.sub(v0, v1))), ofEach(v1))
  return tf.reshape(mixed, [rows, d])
}

/** A LayerNorm (γ, β) folded into the projection (w, b) that follows it. */
const foldNorm = (w: tf.Tensor, b: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) => ({
  w: tf.mul(w, gamma),
  b: tf.add(tf.reshape(tf.matMul(w, tf.reshape(beta, [-1, 1])), [-1]), b),
})

/** LayerNorm followed by a projection: x [n, d], w [out, d] -> [n, out]. */
export const normLinear = (
  x: tf.Tensor,
  [gamma, beta]: readonly [tf.Tensor, tf.Tensor],
  [weight, bias]: readonly [tf.Tensor, tf.Tensor],
): tf.Tensor => {
  const { w, b } = foldNorm(weight, bias, gamma, beta)
  return linear(normalize(x), w, b)
}

/** The query, key and value projections of a layer, with norm1 folded in. */
const projections = (p: Parameters, prefix: string) => {
  const { w, b } = foldNorm(
    p[`${prefix}.self_attn.in_proj_weight`],
    p[`${prefix}.self_attn.in_proj_bias`],
    p[`${prefix}.norm1.weight`],
    p[`${prefix}.norm1.bias`],
  )
  const [wQ, wK, wV] = tf.split(w, 3)
  const [bQ, , bV] = tf.split(b, 3)
  return { wQ, wK, wV, bQ, bV }
}

const firstHalf = (x: tf.Tensor): tf.Tensor => tf.slice(x, [0, 0], [x.shape[0] / 2, -1])
const halves = (x: tf.Tensor): [tf.Tensor, tf.Tensor] => {
  const [first, second] = tf.split(x, 2)
  return [first, second]
}

/** Attention inputs from activations x [2n, d]; queries of position 0 only in the last layer. */
const attentionInputs = (p: Parameters, prefix: string, x: tf.Tensor, last: boolean): AttentionInputs => {
  const { wQ, wK, wV, bQ, bV } = projections(p, prefix)
  const normed = normalize(x)
  const [normed0, normed1] = halves(normed)
  return {
    queries: linear(last ? normed0 : normed, wQ, bQ),
    keyDifference: tf.matMul(tf.sub(normed0, normed1), wK, false, true),
    values: halves(linear(normed, wV, bV)),
  }
}

/** What follows attention in a layer: residual, norm2, MLP, residual. x, attended [m·n, d]. */
const afterAttention = (p: Parameters, prefix: string, x: tf.Tensor, attended: tf.Tensor): tf.Tensor => {
  const mid = tf.add(
    x,
    linear(attended, p[`${prefix}.self_attn.out_proj.weight`], p[`${prefix}.self_attn.out_proj.bias`]),
  )
  const hidden = gelu(
    normLinear(
      mid,
      [p[`${prefix}.norm2.weight`], p[`${prefix}.norm2.bias`]],
      [p[`${prefix}.linear1.weight`], p[`${prefix}.linear1.bias`]],
    ),
  )
  return tf.add(mid, linear(hidden, p[`${prefix}.linear2.weight`], p[`${prefix}.linear2.bias`]))
}

const layer = (
  p: Parameters,
  shape: ModelShape,
  index: number,
  x: tf.Tensor,
  inputs: (last: boolean) => AttentionInputs,
): tf.Tensor => {
  const last = index === shape.layers - 1
  return afterAttention(p, layerPrefix(index), last ? firstHalf(x) : x, attend(inputs(last), shape.heads))
}

/** The layers after the first, then the final norm and the head: x [2n, d] (or [n, d] after the last) -> [n, p]. */
const readOut = (p: Parameters, shape: ModelShape, x: tf.Tensor): tf.Tensor => {
  let y = x
  for (let index = 1; index < shape.layers; index++) {
    const input = y
    y = layer(p, shape, index, input, (last) => attentionInputs(p, layerPrefix(index), input, last))
  }
  return normLinear(y, [p["ln.weight"], p["ln.bias"]], [p["head.weight"], p["head.bias"]])
}

/** The sum of token and position embedding for every token at position 0, then at position 1: [2p, d]. */
const embeddingTable = (p: Parameters): tf.Tensor => {
  const [position0, position1] = tf.split(p.pos_emb, 2)
  const tokens = p["tok_emb.weight"]
  return tf.concat([tf.add(tokens, position0), tf.add(tokens, position1)])
}

/** Summed embeddings of the pairs (a, b): [2n, d]. a, b int32 [n]. */
export const embed = (p: Parameters, a: tf.Tensor, b: tf.Tensor): tf.Tensor => {
  const [table0, table1] = halves(embeddingTable(p))
  return tf.concat([tf.gather(table0, a), tf.gather(table1, b)])
}

/** Logits [n, p] of the pairs (a, b). a, b int32 [n]. */
export const logits = ({ shape }: Layout, p: Parameters, a: tf.Tensor, b: tf.Tensor): tf.Tensor => {
  const table = embeddingTable(p)
  const [table0, table1] = halves(table)
  const x = tf.concat([tf.gather(table0, a), tf.gather(table1, b)])
  return readOut(
    p,
    shape,
    layer(p, shape, 0, x, (last) => {
      const { wQ, wK, wV, bQ, bV } = projections(p, layerPrefix(0))
      const normed = normalize(table)
      const [q0, q1] = halves(linear(normed, wQ, bQ))
      const [k0, k1] = halves(tf.matMul(normed, wK, false, true))
      const [v0, v1] = halves(linear(normed, wV, bV))
      return {
        queries: last ? tf.gather(q0, a) : tf.concat([tf.gather(q0, a), tf.gather(q1, b)]),
        keyDifference: tf.sub(tf.gather(k0, a), tf.gather(k1, b)),
        values: [tf.gather(v0, a), tf.gather(v1, b)],
      }
    }),
  )
}

/** Logits [n, p] as a function of the summed embeddings x [2n, d]: what centroids are derivatives of. */
export const logitsOfEmbeddings = ({ shape }: Layout, p: Parameters, x: tf.Tensor): tf.Tensor =>
  readOut(
    p,
    shape,
    layer(p, shape, 0, x, (last) => attentionInputs(p, layerPrefix(0), x, last)),
  )
