/**
 * The model in its plain form, written for comparison with PyTorch's modules line by line and not for speed:
 * what `src/model/transformer.ts` and `src/model/optimizer.ts` must equal. Nothing here is shared with them but the
 * names of the parameters. n examples, d wide, h heads, f wide feed-forward, p classes.
 */
import * as tf from "@tensorflow/tfjs"
import type { ModelShape, Parameters } from "../../src/model/layout.ts"
import type { OptimizerConfig } from "../../src/model/optimizer.ts"

/** x [..., in], w [out, in], b [out] -> [..., out] */
const linear = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor => {
  const rows = tf.reshape(x, [-1, w.shape[1] ?? 0])
  return tf.reshape(tf.add(tf.matMul(rows, w, false, true), b), [...x.shape.slice(0, -1), w.shape[0]])
}

/** Over the last axis, with its affine part applied after normalisation. */
export const layerNorm = (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor): tf.Tensor => {
  const mean = tf.mean(x, -1, true)
  const variance = tf.mean(tf.square(tf.sub(x, mean)), -1, true)
  const normed = tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5)))
  return tf.add(tf.mul(normed, gamma), beta)
}

/** x Φ(x) */
const gelu = (x: tf.Tensor): tf.Tensor => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.div(x, Math.sqrt(2))), 1))

/** Softmax attention of both positions over both positions: q, k, v [n, 2, d] -> [n, 2, d]. */
export const softmaxAttention = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, heads: number): tf.Tensor => {
  const [n, positions, d] = q.shape
  const byHead = (x: tf.Tensor) => tf.transpose(tf.reshape(x, [n, positions, heads, d / heads]), [0, 2, 1, 3])
  const scores = tf.div(tf.matMul(byHead(q), byHead(k), false, true), Math.sqrt(d / heads))
  const mixed = tf.matMul(tf.softmax(scores), byHead(v))
  return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [n, positions, d])
}

/** One pre-norm encoder layer: x [n, 2, d] -> [n, 2, d]. */
const encoderLayer = (p: Parameters, prefix: string, heads: number, x: tf.Tensor): tf.Tensor => {
  const at = (name: string) => p[`${prefix}.${name}`]
  const qkv = linear(
    layerNorm(x, at("norm1.weight"), at("norm1.bias")),
    at("self_attn.in_proj_weight"),
    at("self_attn.in_proj_bias"),
  )
  const [q, k, v] = tf.split(qkv, 3, -1)
  const attended = softmaxAttention(q, k, v, heads)
  const mid = tf.add(x, linear(attended, at("self_attn.out_proj.weight"), at("self_attn.out_proj.bias")))
  const hidden = linear(
    layerNorm(mid, at("norm2.weight"), at("norm2.bias")),
    at("linear1.weight"),
    at("linear1.bias"),
  )
  return tf.add(mid, linear(gelu(hidden), at("linear2.weight"), at("linear2.bias")))
}

/** Summed embeddings of the pairs (a, b): [n, 2, d]. */
export const embed = (p: Parameters, a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
  tf.add(tf.gather(p["tok_emb.weight"], tf.cast(tf.stack([a, b], 1), "int32")), p.pos_emb)

/** Logits [n, p] of summed embeddings x [n, 2, d]: both positions through every layer, then position 0 is read. */
export const readOut = ({ layers, heads }: ModelShape, p: Parameters, x: tf.Tensor): tf.Tensor => {
  let y = x
  for (let i = 0; i < layers; i++) y = encoderLayer(p, `encoder.layers.${i}`, heads, y)
  const position0 = tf.squeeze(tf.slice(y, [0, 0, 0], [-1, 1, -1]), [1])
  return linear(layerNorm(position0, p["ln.weight"], p["ln.bias"]), p["head.weight"], p["head.bias"])
}

/** Logits [n, p] of the pairs (a, b). */
export const logits = (shape: ModelShape, p: Parameters, a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
  readOut(shape, p, embed(p, a, b))

/** Mean over examples of −log softmax(logits)[label]; logits [n, p], label int32 [n]. */
export const loss = (logits: tf.Tensor, label: tf.Tensor): tf.Scalar => {
  const [, classes] = logits.shape
  const probability = tf.sum(
    tf.mul(tf.softmax(logits), tf.cast(tf.oneHot(label, classes ?? 0), "float32")),
    -1,
  )
  return tf.neg(tf.mean(tf.log(probability)))
}

/**
 * Mean cross-entropy of one task of several: logits [n, tasks·p] with the heads side by side, label int32 [n·tasks] with
 * the tasks of an example side by side.
 */
export const taskLoss = (logits: tf.Tensor, label: tf.Tensor, tasks: number, task: number): tf.Scalar => {
  const ownLogits = tf.split(logits, tasks, 1)[task]
  const places = Array.from({ length: logits.shape[0] }, (_, i) => i * tasks + task)
  return loss(ownLogits, tf.cast(tf.gather(label, tf.tensor1d(places, "int32")), "int32"))
}

/** Mean over examples of the logit of one task's head that its label names; shapes as for {@link taskLoss}. */
export const taskLogit = (logits: tf.Tensor, label: tf.Tensor, tasks: number, task: number): tf.Scalar => {
  const [n, outputs = 0] = logits.shape
  const places = (step: number, first: number) =>
    tf.tensor1d(
      Array.from({ length: n }, (_, i) => i * step + first),
      "int32",
    )
  const named = tf.cast(tf.gather(label, places(tasks, task)), "int32")
  return tf.mean(
    tf.gather(tf.reshape(logits, [-1]), tf.add(places(outputs, (task * outputs) / tasks), named)),
  )
}

/** What an optimiser keeps for each parameter tensor. */
export interface OptimiserState {
  readonly theta: ReadonlyArray<Float64Array>
  readonly first: ReadonlyArray<Float64Array>
  readonly second: ReadonlyArray<Float64Array>
}

export const initialState = (theta: ReadonlyArray<Float64Array>): OptimiserState => ({
  theta,
  first: theta.map(({ length }) => new Float64Array(length)),
  second: theta.map(({ length }) => new Float64Array(length)),
})

/** PyTorch's `clip_grad_norm_`: all gradients by one factor. */
const clip = (gradients: ReadonlyArray<Float64Array>, clipNorm: number): ReadonlyArray<Float64Array> => {
  const norm = Math.sqrt(gradients.reduce((sum, g) => g.reduce((partial, x) => partial + x * x, sum), 0))
  const factor = Math.min(clipNorm / (norm + 1e-6), 1)
  return gradients.map((g) => g.map((x) => x * factor))
}

/** Step t, counted from 1, of PyTorch's `AdamW` after clipping: tensor by tensor, in float64. */
export const adamWStep = (
  { learningRate, beta1, beta2, epsilon, weightDecay, clipNorm }: OptimizerConfig,
  state: OptimiserState,
  gradients: ReadonlyArray<Float64Array>,
  t: number,
): OptimiserState => {
  const clipped = clip(gradients, clipNorm)
  const first = state.first.map((m, i) => m.map((mj, j) => beta1 * mj + (1 - beta1) * clipped[i][j]))
  const second = state.second.map((v, i) => v.map((vj, j) => beta2 * vj + (1 - beta2) * clipped[i][j] ** 2))
  const theta = state.theta.map((w, i) =>
    w.map((wj, j) => {
      const mHat = first[i][j] / (1 - beta1 ** t)
      const vHat = second[i][j] / (1 - beta2 ** t)
      return wj - learningRate * weightDecay * wj - (learningRate * mHat) / (Math.sqrt(vHat) + epsilon)
    }),
  )
  return { theta, first, second }
}

/**
 * One step of PyTorch's `SGD` with momentum and no dampening after clipping, with the weights decayed beforehand by
 * 1 − lr · weight decay: tensor by tensor, in float64.
 */
export const sgdStep = (
  { learningRate, beta1, weightDecay, clipNorm }: OptimizerConfig,
  state: OptimiserState,
  gradients: ReadonlyArray<Float64Array>,
): OptimiserState => {
  const clipped = clip(gradients, clipNorm)
  const first = state.first.map((v, i) => v.map((vj, j) => beta1 * vj + clipped[i][j]))
  const theta = state.theta.map((w, i) =>
    w.map((wj, j) => {
      const decayed = wj - learningRate * weightDecay * wj
      return decayed - learningRate * first[i][j]
    }),
  )
  return { theta, first, second: state.second }
}
