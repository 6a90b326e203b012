/**
 * The parameters of the transformer as one flat float32 vector: name -> offset, shape, initialiser.
 *
 * Names, shapes and initialisers are those of the PyTorch modules in experiment.md §2. The attention weights
 * come first, so that θ_attn (packed QKV and output-projection weights of all layers, biases excluded) is the
 * contiguous prefix `[0, attentionSize)`; the rest follows in `state_dict` order.
 */
import * as tf from "@tensorflow/tfjs"
import { sizeOf } from "./Program.ts"

/** Sizes of a model. The paper's: modulus 97, one task or four, width 128, heads 4, feedForward 256, layers 2. */
export interface ModelShape {
  readonly modulus: number
  /** Read-out heads, one for each operation that the model is trained on. */
  readonly tasks: number
  readonly width: number
  /** Attention heads of a layer. */
  readonly heads: number
  readonly feedForward: number
  readonly layers: number
}

export type Initialiser =
  | { readonly kind: "normal"; readonly std: number }
  | { readonly kind: "uniform"; readonly bound: number }
  | { readonly kind: "constant"; readonly value: number }

export interface Parameter {
  readonly name: string
  readonly shape: ReadonlyArray<number>
  readonly offset: number
  readonly size: number
  readonly initialiser: Initialiser
}

export interface Layout {
  readonly shape: ModelShape
  readonly parameters: ReadonlyArray<Parameter>
  /** Length of the flat vector; 290,401 for the paper's model of one task, 327,940 for that of four. */
  readonly size: number
  /** Length of θ_attn; 131,072 for the paper's model. */
  readonly attentionSize: number
}

/** Parameter tensors by PyTorch name. */
export type Parameters = Readonly<Record<string, tf.Tensor>>

const normal = (std: number): Initialiser => ({ kind: "normal", std })
const uniform = (bound: number): Initialiser => ({ kind: "uniform", bound })
const constant = (value: number): Initialiser => ({ kind: "constant", value })

/** Xavier-uniform over the packed shape (PyTorch's `MultiheadAttention`). */
const xavierUniform = (fanOut: number, fanIn: number): Initialiser => uniform(Math.sqrt(6 / (fanIn + fanOut)))

type Declaration = readonly [name: string, shape: ReadonlyArray<number>, initialiser: Initialiser]

const attentionWeights = (d: number, prefix: string): ReadonlyArray<Declaration> => [
  [`${prefix}.self_attn.in_proj_weight`, [3 * d, d], xavierUniform(3 * d, d)],
  [`${prefix}.self_attn.out_proj.weight`, [d, d], uniform(1 / Math.sqrt(d))],
]

const layerRest = (d: number, f: number, prefix: string): ReadonlyArray<Declaration> => [
  [`${prefix}.self_attn.in_proj_bias`, [3 * d], constant(0)],
  [`${prefix}.self_attn.out_proj.bias`, [d], constant(0)],
  [`${prefix}.linear1.weight`, [f, d], uniform(1 / Math.sqrt(d))],
  [`${prefix}.linear1.bias`, [f], uniform(1 / Math.sqrt(d))],
  [`${prefix}.linear2.weight`, [d, f], uniform(1 / Math.sqrt(f))],
  [`${prefix}.linear2.bias`, [d], uniform(1 / Math.sqrt(f))],
  [`${prefix}.norm1.weight`, [d], constant(1)],
  [`${prefix}.norm1.bias`, [d], constant(0)],
  [`${prefix}.norm2.weight`, [d], constant(1)],
  [`${prefix}.norm2.bias`, [d], constant(0)],
]

export const layerPrefix = (layer: number): string => `encoder.layers.${layer}`

/** The layout of a model. The read-out heads of all tasks are stacked: rows task·p … task·p + p − 1 of `head`. */
export const makeLayout = (shape: ModelShape): Layout => {
  const { modulus: p, tasks, width: d, feedForward: f } = shape
  const prefixes = Array.from({ length: shape.layers }, (_, layer) => layerPrefix(layer))
  const attention = prefixes.flatMap((prefix) => attentionWeights(d, prefix))
  const rest: ReadonlyArray<Declaration> = [
    ["tok_emb.weight", [p, d], normal(1)],
    ["pos_emb", [2, d], normal(1 / Math.sqrt(d))],
    ...prefixes.flatMap((prefix) => layerRest(d, f, prefix)),
    ["ln.weight", [d], constant(1)],
    ["ln.bias", [d], constant(0)],
    ["head.weight", [tasks * p, d], uniform(1 / Math.sqrt(d))],
    ["head.bias", [tasks * p], uniform(1 / Math.sqrt(d))],
  ]
  let offset = 0
  const parameters = [...attention, ...rest].map(([name, shape, initialiser]) => {
    const size = sizeOf(shape)
    const parameter: Parameter = { name, shape, offset, size, initialiser }
    offset += size
    return parameter
  })
  const attentionSize = parameters.slice(0, attention.length).reduce((n, { size }) => n + size, 0)
  return { shape, parameters, size: offset, attentionSize }
}

/** Cuts the flat vector `theta` [size] into its parameter tensors. */
export const unpack = (layout: Layout, theta: tf.Tensor): Parameters => {
  const pieces = tf.split(
    theta,
    layout.parameters.map(({ size }) => size),
  )
  return Object.fromEntries(
    layout.parameters.map(({ name, shape }, i) => [name, tf.reshape(pieces[i], [...shape])]),
  )
}

/** Joins one tensor per parameter, in layout order, into a flat vector [size]. */
export const pack = (tensors: ReadonlyArray<tf.Tensor>): tf.Tensor =>
  tf.concat(tensors.map((tensor) => tf.reshape(tensor, [-1])))

/** The part of a flat host vector that holds one parameter; a view. */
export const view = (flat: Float32Array, { offset, size }: Parameter): Float32Array =>
  flat.subarray(offset, offset + size)

/** θ_attn, the attention weights as one vector [layout.attentionSize]; a view of `theta`. */
export const thetaAttn = (layout: Layout, theta: Float32Array): Float32Array =>
  theta.subarray(0, layout.attentionSize)

/** The parameters of `theta` by name; views. */
export const namedParameters = (layout: Layout, theta: Float32Array) =>
  layout.parameters.map((parameter) => ({ ...parameter, values: view(theta, parameter) }))
