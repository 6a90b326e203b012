/**
 * Blocks of the parameters: the part of the flat vector θ that directions live in, rows are cut to and interventions
 * act on. A block is a list of ranges of θ; everything that knows a block knows it as that.
 *
 * The paper's is θ_attn, the attention weights of all layers without their biases (experiment.md §2). Its parts are
 * blocks too: a layer, one matrix of all layers, one matrix of a layer. The feed-forward weights and biases are another,
 * and so is the full vector θ.
 */
import * as tf from "@tensorflow/tfjs"
import { type Layout, layerPrefix } from "./layout.ts"

const matrices = ["Q", "K", "V", "O"] as const
type Matrix = (typeof matrices)[number]
/** Layers that have a name: the paper's two. */
const layers = ["layer-0", "layer-1"] as const

/**
 * `layer-0`: its attention weights; `K`: those of the keys in all layers; `mlp`: feed-forward weights and biases; `full`:
 * every parameter of the model.
 */
export const blocks = [
  "attention",
  ...layers,
  ...matrices,
  ...layers.flatMap((layer) => matrices.map((matrix) => `${layer}-${matrix}` as const)),
  "mlp",
  "full",
] as const
export type Block = (typeof blocks)[number]

/** Slots `from` … `to` − 1 of a flat vector. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** The range of one matrix, or of one feed-forward parameter, of a layer. */
interface Part extends Range {
  readonly layer: number
  readonly of: Matrix | "mlp"
}

/** Every part of the layers that a block can hold, in the order of the layout. */
const partsOf = ({ parameters, shape }: Layout): ReadonlyArray<Part> =>
  parameters.flatMap(({ name, offset, size }): ReadonlyArray<Part> => {
    const layer = Array.from({ length: shape.layers }, (_, i) => i).find((i) =>
      name.startsWith(`${layerPrefix(i)}.`),
    )
    if (layer === undefined) return []
    switch (name.slice(`${layerPrefix(layer)}.`.length)) {
      case "self_attn.in_proj_weight": {
        // Queries, keys and values are packed: a third of the rows each.
        const third = size / 3
        return (["Q", "K", "V"] as const).map((of, i) => {
          return { layer, of, from: offset + i * third, to: offset + (i + 1) * third }
        })
      }
      case "self_attn.out_proj.weight":
        return [{ layer, of: "O", from: offset, to: offset + size }]
      case "linear1.weight":
      case "linear1.bias":
      case "linear2.weight":
      case "linear2.bias":
        return [{ layer, of: "mlp", from: offset, to: offset + size }]
      default:
        return []
    }
  })

/** Whether a part of a layer belongs to a block. */
const holds = (block: Block, { layer, of }: Part): boolean => {
  if (of === "mlp" || block === "mlp") return of === block
  return ["attention", of, `layer-${layer}`, `layer-${layer}-${of}`].includes(block)
}

/** The ranges of a block, ascending and apart from each other; none where the model lacks its layer. */
export const rangesOf = (layout: Layout, block: Block): ReadonlyArray<Range> => {
  if (block === "full") return [{ from: 0, to: layout.size }]
  const ranges: Array<Range> = []
  for (const part of partsOf(layout)) {
    if (!holds(block, part)) continue
    const { from, to } = part
    const before = ranges.at(-1)
    if (before?.to === from) ranges[ranges.length - 1] = { from: before.from, to }
    else ranges.push({ from, to })
  }
  return ranges
}

const lengthOf = ({ from, to }: Range): number => to - from

/** Length of a vector of a block: that of its ranges together. */
export const sizeOfRanges = (ranges: ReadonlyArray<Range>): number =>
  ranges.reduce((size, range) => size + lengthOf(range), 0)

/** What is wrong with a block of a model of so many layers, or undefined. */
export const problemOfBlock = (block: Block, { layers }: { readonly layers: number }): string | undefined =>
  block.startsWith("layer-0") || !block.startsWith("layer-") || layers > 1
    ? undefined
    : `Expected a block of a model of one layer, got ${block}`

/** The part of a flat host vector that a block is, [block]; a view where it is one range, else a copy. */
export const blockOf = (ranges: ReadonlyArray<Range>, flat: Float32Array): Float32Array => {
  const [first, ...rest] = ranges
  if (first !== undefined && rest.length === 0) return flat.subarray(first.from, first.to)
  const vector = new Float32Array(sizeOfRanges(ranges))
  let at = 0
  for (const range of ranges) {
    vector.set(flat.subarray(range.from, range.to), at)
    at += lengthOf(range)
  }
  return vector
}

/** Writes a vector [block] to its place in a flat host vector; the other slots stay as they are. */
export const setBlock = (ranges: ReadonlyArray<Range>, flat: Float32Array, vector: Float32Array): void => {
  let at = 0
  for (const range of ranges) {
    flat.set(vector.subarray(at, at + lengthOf(range)), range.from)
    at += lengthOf(range)
  }
}

/** The part of a flat tensor [size] that a block is, [block]. */
export const sliceBlock = (ranges: ReadonlyArray<Range>, flat: tf.Tensor): tf.Tensor => {
  const slices = ranges.map((range) => tf.slice(flat, [range.from], [lengthOf(range)]))
  return slices.length === 1 ? slices[0] : tf.concat(slices)
}

/** A tensor [block] cut into a tensor for each length; the lengths add up to its own. */
const cut = (vector: tf.Tensor, lengths: ReadonlyArray<number>): ReadonlyArray<tf.Tensor> =>
  lengths.length === 1 ? [vector] : tf.split(vector, [...lengths])

/**
 * A flat tensor [size] in which every range of a block is replaced by what `change` makes of it and of the same part of a
 * vector [block]; the other slots keep their bits.
 */
export const changeBlock = (
  ranges: ReadonlyArray<Range>,
  flat: tf.Tensor,
  vector: tf.Tensor,
  change: (slots: tf.Tensor, part: tf.Tensor) => tf.Tensor,
): tf.Tensor => {
  const parts = cut(vector, ranges.map(lengthOf))
  const inAndOut = ranges.flatMap((range, i) => [
    { length: range.from - (ranges[i - 1]?.to ?? 0), part: undefined },
    { length: lengthOf(range), part: parts[i] },
  ])
  const after = { length: flat.size - (ranges.at(-1)?.to ?? 0), part: undefined }
  const pieces = [...inAndOut, after].filter(({ length }) => length > 0)
  const slots = cut(
    flat,
    pieces.map(({ length }) => length),
  )
  return tf.concat(pieces.map(({ part }, i) => (part === undefined ? slots[i] : change(slots[i], part))))
}

/**
 * A vector [block] as tensors of the shape of the parameters that the block is in, by name; 0 where a parameter is
 * outside of the block.
 */
export const parametersOfBlock = (
  { parameters }: Layout,
  ranges: ReadonlyArray<Range>,
  vector: tf.Tensor,
): Readonly<Record<string, tf.Tensor>> => {
  /** The slots of each parameter that the block is in, relative to it. */
  const touched = parameters.flatMap((parameter) => {
    const { offset, size } = parameter
    const within = ranges.flatMap(({ from, to }) => {
      const inside = { from: Math.max(from - offset, 0), to: Math.min(to - offset, size) }
      return inside.from < inside.to ? [inside] : []
    })
    return within.length === 0 ? [] : [{ parameter, within }]
  })
  const lengths = touched.map(({ within }) => sizeOfRanges(within))
  const pieces = cut(vector, lengths)
  return Object.fromEntries(
    touched.map(({ parameter: { name, shape, size }, within }, i) => {
      const isWhole = lengths[i] === size
      const flat = isWhole ? pieces[i] : changeBlock(within, tf.zeros([size]), pieces[i], (_, part) => part)
      return [name, tf.reshape(flat, [...shape])]
    }),
  )
}
