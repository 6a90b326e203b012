/**
 * The model for one example in float64 and plain loops: a reference that shares nothing with TensorFlow.js, exact
 * enough to be differentiated twice by finite differences.
 */
import { type Layout, layerPrefix } from "../../src/model/layout.ts"

type Vector = Float64Array

/** Parameters by name, row-major. */
export type Weights = Readonly<Record<string, Vector>>

export const weightsOf = ({ parameters }: Layout, theta: Vector): Weights =>
  Object.fromEntries(
    parameters.map(({ name, offset, size }) => [name, theta.subarray(offset, offset + size)]),
  )

/** erf by its Maclaurin series, good to 1e-10 for |x| < 4. */
export const erf = (x: number): number => {
  let term = x
  let sum = x
  for (let k = 1; Math.abs(term) > 1e-17; k++) {
    term *= (-x * x) / k
    sum += term / (2 * k + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}

export const gelu = (x: number): number => (x * (1 + erf(x / Math.SQRT2))) / 2
export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

export const normalize = (x: Vector): Vector => {
  const mean = x.reduce((sum, value) => sum + value) / x.length
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length
  return x.map((value) => (value - mean) / Math.sqrt(variance + 1e-5))
}

const dot = (x: Vector, y: Vector): number => x.reduce((sum, value, i) => sum + value * y[i], 0)
const add = (x: Vector, y: Vector): Vector => x.map((value, i) => value + y[i])

/** w x + b: w [out, in], b [out]. */
const linear = (x: Vector, w: Vector, b: Vector): Vector =>
  b.map((bias, i) => bias + dot(x, w.subarray(i * x.length, (i + 1) * x.length)))

const affineNorm = (x: Vector, gamma: Vector, beta: Vector): Vector =>
  normalize(x).map((value, i) => value * gamma[i] + beta[i])

/** Softmax attention of each position over both: q, k, v are a vector [d] for each position. */
const attention = (q: Array<Vector>, k: Array<Vector>, v: Array<Vector>, heads: number): Array<Vector> => {
  const d = q[0].length
  const size = d / heads
  return q.map((query) =>
    Float64Array.from({ length: d }, (_, slot) => {
      const from = Math.floor(slot / size) * size
      const scores = k.map((key) =>
        Math.exp(dot(query.subarray(from, from + size), key.subarray(from, from + size)) / Math.sqrt(size)),
      )
      return (scores[0] * v[0][slot] + scores[1] * v[1][slot]) / (scores[0] + scores[1])
    }),
  )
}

/** Logits of one example at its summed embeddings, position 0 then position 1 [2d]. */
export const logits = (
  { shape: { width: d, heads, layers } }: Layout,
  w: Weights,
  embeddings: Vector,
): Vector => {
  let x = [embeddings.subarray(0, d), embeddings.subarray(d, 2 * d)]
  for (let i = 0; i < layers; i++) {
    const at = (name: string) => w[`${layerPrefix(i)}.${name}`]
    const qkv = x.map((position) =>
      linear(
        affineNorm(position, at("norm1.weight"), at("norm1.bias")),
        at("self_attn.in_proj_weight"),
        at("self_attn.in_proj_bias"),
      ),
    )
    const part = (index: number) => qkv.map((position) => position.subarray(index * d, (index + 1) * d))
    const attended = attention(part(0), part(1), part(2), heads)
    x = x.map((position, j) => {
      const mid = add(
        position,
        linear(attended[j], at("self_attn.out_proj.weight"), at("self_attn.out_proj.bias")),
      )
      const hidden = linear(
        affineNorm(mid, at("norm2.weight"), at("norm2.bias")),
        at("linear1.weight"),
        at("linear1.bias"),
      ).map(gelu)
      return add(mid, linear(hidden, at("linear2.weight"), at("linear2.bias")))
    })
  }
  return linear(affineNorm(x[0], w["ln.weight"], w["ln.bias"]), w["head.weight"], w["head.bias"])
}

/** Summed embeddings of a pair [2d]. */
export const embed = ({ shape: { width: d } }: Layout, w: Weights, a: number, b: number): Vector => {
  const tokens = w["tok_emb.weight"]
  const pair = [a, b].flatMap((token) => Array.from(tokens.subarray(token * d, (token + 1) * d)))
  return Float64Array.from(pair, (value, i) => value + w.pos_emb[i])
}
