/**
 * The two-token transformer of experiment.md §2, read out at position 0, as pure TensorFlow.js functions.
 *
 * Activations of the two positions are tensors of their own, [n, d] for n examples each. The algebra is rearranged where that
 * saves work and changes nothing beyond rounding; `test/model` holds each against the plain form:
 *
 * - only position 0 feeds the head, so the last layer computes queries and all that follows for it alone;
 * - the first layer sees only p tokens × 2 positions, so its norm and projections act on the 2p-row table;
 * - softmax over two positions is a sigmoid of the difference of scores, hence only the difference of the two
 *   keys is needed, which also takes the key bias out of the computation (its true gradient is zero);
 * - a norm's affine part moves into the projection that follows it: (x̂∘γ + β)Wᵀ + b = x̂(W∘γ)ᵀ + (Wβ + b);
 * - the factors √2 of GELU move into the projections before and after it.
 */
import * as tf from "@tensorflow/tfjs"
import { linear, normalize, scaledGelu, sigmoid } from "./kernels.ts"
import { type Layout, layerPrefix, type ModelShape, type Parameters } from "./layout.ts"

/** A tensor [n, d] of each position. */
export type Positions = readonly [tf.Tensor, tf.Tensor]

/** What attention over two positions attends to, [n, d] each. */
interface Attended {
  /** Key at position 0 minus key at position 1. */
  readonly keyDifference: tf.Tensor
  /** Value at position 0 minus value at position 1. */
  readonly valueDifference: tf.Tensor
  /** Value at position 1. */
  readonly value: tf.Tensor
}

/** What attention at a layer works on. */
interface AttentionInputs extends Attended {
  /** Queries [n, d] of the positions that are needed: both, or position 0. */
  readonly queries: ReadonlyArray<tf.Tensor>
}

/** Attention of one query [n, d] over two positions: v₁ + σ(q·(k₀ − k₁)/√d_head) · (v₀ − v₁) for each head. Returns [n, d]. */
export const attend = (
  query: tf.Tensor,
  { keyDifference, valueDifference, value }: Attended,
  heads: number,
): tf.Tensor => {
  const [n, d = 0] = query.shape
  const byHead = (x: tf.Tensor) => tf.reshape(x, [n, heads, d / heads])
  const scores = tf.sum(byHead(tf.mul(query, keyDifference)), -1)
  const weight = tf.reshape(sigmoid(tf.mul(scores, 1 / Math.sqrt(d / heads))), [n, heads, 1])
  return tf.add(tf.reshape(tf.mul(weight, byHead(valueDifference)), [n, d]), value)
}

/** A LayerNorm (γ, β) folded into the projection (w, b) that follows it. */
const foldNorm = (
  [gamma, beta]: readonly [tf.Tensor, tf.Tensor],
  [w, b]: readonly [tf.Tensor, tf.Tensor],
) => ({
  w: tf.mul(w, gamma),
  b: tf.add(tf.reshape(tf.matMul(w, tf.reshape(beta, [-1, 1])), [-1]), b),
})

/** LayerNorm (γ, β) followed by a projection (w [out, d], b): a function from x [n, d] to [n, out]. */
export const normLinear = (
  norm: readonly [tf.Tensor, tf.Tensor],
  projection: readonly [tf.Tensor, tf.Tensor],
) => {
  const { w, b } = foldNorm(norm, projection)
  return (x: tf.Tensor): tf.Tensor => linear(normalize(x), w, b)
}

/** The query, key and value projections of a layer, with norm1 folded in. */
const projections = (p: Parameters, prefix: string) => {
  const { w, b } = foldNorm(
    [p[`${prefix}.norm1.weight`], p[`${prefix}.norm1.bias`]],
    [p[`${prefix}.self_attn.in_proj_weight`], p[`${prefix}.self_attn.in_proj_bias`]],
  )
  const [wQ, wK, wV] = tf.split(w, 3)
  const [bQ, , bV] = tf.split(b, 3)
  return { wQ, wK, wV, bQ, bV }
}

/** Attention inputs from activations; queries of position 0 only in the last layer. */
const attentionInputs = (p: Parameters, prefix: string, x: Positions, last: boolean): AttentionInputs => {
  const { wQ, wK, wV, bQ, bV } = projections(p, prefix)
  const [normed0, normed1] = x.map(normalize)
  const difference = tf.sub(normed0, normed1)
  return {
    queries: (last ? [normed0] : [normed0, normed1]).map((normed) => linear(normed, wQ, bQ)),
    keyDifference: tf.matMul(difference, wK, false, true),
    valueDifference: tf.matMul(difference, wV, false, true),
    value: linear(normed1, wV, bV),
  }
}

/** x/√2: GELU(x) is scaledGelu(x/√2)/√2. */
const scaled = (x: tf.Tensor): tf.Tensor => tf.mul(x, Math.SQRT1_2)

/** What follows attention in a layer: residual, norm2, MLP, residual. From x and attended, [n, d] of one position each. */
const afterAttention = (p: Parameters, prefix: string) => {
  const [wO, bO, gamma, beta, w1, b1, w2, b2] = [
    "self_attn.out_proj.weight",
    "self_attn.out_proj.bias",
    "norm2.weight",
    "norm2.bias",
    "linear1.weight",
    "linear1.bias",
    "linear2.weight",
    "linear2.bias",
  ].map((name) => p[`${prefix}.${name}`])
  const expand = normLinear([scaled(gamma), scaled(beta)], [w1, scaled(b1)])
  const contract = scaled(w2)
  return (x: tf.Tensor, attended: tf.Tensor): tf.Tensor => {
    const mid = tf.add(x, linear(attended, wO, bO))
    return tf.add(mid, linear(scaledGelu(expand(mid)), contract, b2))
  }
}

/** A layer: from activations of both positions to those of the positions that it has queries for. */
const layer = (
  p: Parameters,
  { heads }: ModelShape,
  index: number,
  x: Positions,
  { queries, ...attended }: AttentionInputs,
): ReadonlyArray<tf.Tensor> => {
  const finish = afterAttention(p, layerPrefix(index))
  return queries.map((query, position) => finish(x[position], attend(query, attended, heads)))
}

const isLast = ({ layers }: ModelShape, index: number): boolean => index === layers - 1

/** The layers after the first, then the final norm and the head: from what the first layer returns to logits [n, p]. */
const readOut = (p: Parameters, shape: ModelShape, first: ReadonlyArray<tf.Tensor>): tf.Tensor => {
  let [x0, x1] = first
  for (let index = 1; index < shape.layers; index++) {
    const x: Positions = [x0, x1]
    const inputs = attentionInputs(p, layerPrefix(index), x, isLast(shape, index))
    ;[x0, x1] = layer(p, shape, index, x, inputs)
  }
  return normLinear([p["ln.weight"], p["ln.bias"]], [p["head.weight"], p["head.bias"]])(x0)
}

/** The two halves of a table [2p, d]: rows of position 0, rows of position 1. */
const halves = (table: tf.Tensor): Positions => {
  const [position0, position1] = tf.split(table, 2)
  return [position0, position1]
}

/** The sum of token and position embedding for every token, [p, d] at each position. */
const embeddingTables = (p: Parameters): Positions => {
  const [position0, position1] = tf.split(p.pos_emb, 2)
  const tokens = p["tok_emb.weight"]
  return [tf.add(tokens, position0), tf.add(tokens, position1)]
}

/** Rows of the tables [p, d] of each position: those of a at position 0, those of b at position 1. a, b int32 [n]. */
const lookUp = ([table0, table1]: Positions, a: tf.Tensor, b: tf.Tensor): Positions => [
  tf.gather(table0, a),
  tf.gather(table1, b),
]

/** Summed embeddings of the pairs (a, b). a, b int32 [n]. */
export const embed = (p: Parameters, a: tf.Tensor, b: tf.Tensor): Positions =>
  lookUp(embeddingTables(p), a, b)

/** Attention inputs of the first layer from the embeddings' tables. */
const firstAttentionInputs = (
  p: Parameters,
  tables: Positions,
  a: tf.Tensor,
  b: tf.Tensor,
  last: boolean,
): AttentionInputs => {
  const { wQ, wK, wV, bQ, bV } = projections(p, layerPrefix(0))
  const normed = normalize(tf.concat([...tables]))
  const queries = lookUp(halves(linear(normed, wQ, bQ)), a, b)
  const [key0, key1] = lookUp(halves(tf.matMul(normed, wK, false, true)), a, b)
  const [value0, value1] = lookUp(halves(linear(normed, wV, bV)), a, b)
  return {
    queries: last ? [queries[0]] : queries,
    keyDifference: tf.sub(key0, key1),
    valueDifference: tf.sub(value0, value1),
    value: value1,
  }
}

/** Logits [n, p] of the pairs (a, b). a, b int32 [n]. */
export const logits = ({ shape }: Layout, p: Parameters, a: tf.Tensor, b: tf.Tensor): tf.Tensor => {
  const tables = embeddingTables(p)
  const inputs = firstAttentionInputs(p, tables, a, b, isLast(shape, 0))
  return readOut(p, shape, layer(p, shape, 0, lookUp(tables, a, b), inputs))
}

/** Logits [n, p] as a function of the summed embeddings x: what centroids are derivatives of. */
export const logitsOfEmbeddings = ({ shape }: Layout, p: Parameters, x: Positions): tf.Tensor => {
  const inputs = attentionInputs(p, layerPrefix(0), x, isLast(shape, 0))
  return readOut(p, shape, layer(p, shape, 0, x, inputs))
}
