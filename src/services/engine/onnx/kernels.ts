/**
 * What each TensorFlow.js kernel becomes in ONNX. A kernel does not compute: it adds nodes to the graph.
 *
 * To teach the tracer a new operation, add one entry here; its name is TensorFlow.js's kernel name.
 */
import * as tf from "@tensorflow/tfjs"
import { InverseDeviation, Linear, layerNormEpsilon, Normalize } from "../../../model/kernels.ts"
import { sizeOf } from "../../../model/Program.ts"
import type { ElementType, Graph, Name } from "./graph.ts"

/** A symbolic tensor: the name of its value in the graph, its static shape and element type. */
export interface Traced {
  readonly name: Name
  readonly shape: ReadonlyArray<number>
  readonly dtype: ElementType
}

/** Adds the nodes of one kernel call. `inputs` are in the order of the kernel's named inputs. */
export type Kernel = (
  graph: Graph,
  inputs: Readonly<Record<string, Traced>>,
  attributes: Readonly<Record<string, unknown>>,
) => Traced | ReadonlyArray<Traced>

type Shape = ReadonlyArray<number>

const one = (names: ReadonlyArray<Name>): Name => {
  const [name] = names
  if (name === undefined) throw new Error("an ONNX node has at least one output")
  return name
}

const ints = (graph: Graph, values: Shape): Name => graph.constant("int64", [values.length], values)

const broadcast = (a: Shape, b: Shape): Shape => tf.backend_util.assertAndGetBroadcastShape([...a], [...b])

const unary =
  (op: string): Kernel =>
  (graph, { x }) => ({ ...x, name: one(graph.node(op, [x.name])) })

const binary =
  (op: string, dtype?: ElementType): Kernel =>
  (graph, { a, b }) => ({
    name: one(graph.node(op, [a.name, b.name])),
    shape: broadcast(a.shape, b.shape),
    dtype: dtype ?? a.dtype,
  })

const reshape = (graph: Graph, x: Traced, shape: Shape): Traced =>
  x.shape.length === shape.length && x.shape.every((d, i) => d === shape[i])
    ? x
    : { ...x, shape, name: one(graph.node("Reshape", [x.name, ints(graph, shape)])) }

const cast = (graph: Graph, x: Traced, dtype: ElementType): Traced => {
  if (x.dtype === dtype) return x
  const to = { float32: 1, int32: 6, int64: 7, bool: 9 }[dtype]
  return { ...x, dtype, name: one(graph.node("Cast", [x.name], { to })) }
}

/** Axes as non-negative numbers; no axis means all of them. */
const axesOf = (axis: unknown, rank: number): ReadonlyArray<number> =>
  axis === undefined || axis === null
    ? Array.from({ length: rank }, (_, i) => i)
    : asArray(axis).map((a) => (a + rank) % rank)

const reduce =
  (op: string): Kernel =>
  (graph, { x }, { axis, keepDims }) => {
    const axes = axesOf(axis, x.shape.length)
    const keepdims = keepDims === true ? 1 : 0
    const shape = keepdims
      ? x.shape.map((d, i) => (axes.includes(i) ? 1 : d))
      : x.shape.filter((_, i) => !axes.includes(i))
    if (axes.every((i) => x.shape[i] === 1)) return reshape(graph, x, shape)
    return { name: one(graph.node(op, [x.name, ints(graph, axes)], { keepdims })), shape, dtype: x.dtype }
  }

const transposeIf = (condition: boolean, [rows, columns]: Shape): Shape =>
  condition ? [columns, rows] : [rows, columns]

/** Its last two axes exchanged. */
const transposed = (graph: Graph, x: Traced): Traced => {
  const rank = x.shape.length
  const perm = x.shape.map((_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i))
  return { ...x, shape: perm.map((i) => x.shape[i]), name: one(graph.node("Transpose", [x.name], { perm })) }
}

/** One two-dimensional product, which may carry leading axes of size one; or one for each member of an ensemble. */
const matMul: Kernel = (graph, { a, b }, { transposeA, transposeB }) => {
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2))
  const transA = transposeA === true
  const transB = transposeB === true
  const rows = transposeIf(transA, a.shape.slice(-2))[0]
  const columns = transposeIf(transB, b.shape.slice(-2))[1]
  const shape = [...batch, rows, columns]
  if (sizeOf(batch) === 1) {
    const left = reshape(graph, a, a.shape.slice(-2))
    const right = reshape(graph, b, b.shape.slice(-2))
    const name = one(
      graph.node("Gemm", [left.name, right.name], { transA: transA ? 1 : 0, transB: transB ? 1 : 0 }),
    )
    return reshape(graph, { name, shape: [rows, columns], dtype: "float32" }, shape)
  }
  // onnxruntime folds these into the product.
  const left = transA ? transposed(graph, a) : a
  const right = transB ? transposed(graph, b) : b
  return { name: one(graph.node("MatMul", [left.name, right.name])), shape, dtype: "float32" }
}

/** Rows of an identity matrix: ten times as fast as ONNX's `OneHot`. */
const oneHot = (graph: Graph, indices: Traced, depth: number): Traced => {
  const identity = Float32Array.from({ length: depth * depth }, (_, i) => (i % (depth + 1) === 0 ? 1 : 0))
  const rows = graph.constant("float32", [depth, depth], identity)
  const name = one(graph.node("Gather", [rows, indices.name], { axis: 0 }))
  return { name, shape: [...indices.shape, depth], dtype: "float32" }
}

/** One node gives both results; the graph holds it once. */
const layerNormalization = (graph: Graph, x: Traced) => {
  const axis = x.shape.length - 1
  const ones = graph.constant("float32", [x.shape[axis]], new Float32Array(x.shape[axis]).fill(1))
  const [normalized, , inverseDeviation] = graph.node(
    "LayerNormalization",
    [x.name, ones],
    { axis, epsilon: { float: layerNormEpsilon } },
    { outputs: 3 },
  )
  return { normalized, inverseDeviation }
}

export const kernels: Readonly<Record<string, Kernel>> = {
  Add: binary("Add"),
  Sub: binary("Sub"),
  Multiply: binary("Mul"),
  RealDiv: binary("Div"),
  Maximum: binary("Max"),
  Minimum: binary("Min"),
  Equal: binary("Equal", "bool"),

  Neg: unary("Neg"),
  Exp: unary("Exp"),
  Log: unary("Log"),
  Sqrt: unary("Sqrt"),
  Sigmoid: unary("Sigmoid"),
  Erf: unary("Erf"),
  Square: (graph, { x }) => ({ ...x, name: one(graph.node("Mul", [x.name, x.name])) }),
  Identity: (_, { x }) => x,

  AddN: (graph, inputs) => {
    const [first, ...rest] = Object.values(inputs)
    return {
      ...first,
      name: one(
        graph.node(
          "Sum",
          [first, ...rest].map((x) => x.name),
        ),
      ),
    }
  },
  Cast: (graph, { x }, { dtype }) => {
    if (dtype !== "float32" && dtype !== "int32" && dtype !== "bool") {
      throw new Error(`Cast to ${String(dtype)}`)
    }
    return cast(graph, x, dtype)
  },

  Sum: reduce("ReduceSum"),
  Mean: (graph, { x }, attributes) =>
    reduce("ReduceMean")(graph, { x: cast(graph, x, "float32") }, attributes),
  Max: (graph, { x }, { reductionIndices, keepDims }) =>
    reduce("ReduceMax")(graph, { x }, { axis: reductionIndices, keepDims }),
  ArgMax: (graph, { x }, { axis }) => {
    const [index] = axesOf(axis, x.shape.length)
    const name = one(graph.node("ArgMax", [x.name], { axis: index, keepdims: 0 }))
    const shape = x.shape.filter((_, i) => i !== index)
    return cast(graph, { name, shape, dtype: "int64" }, "int32")
  },

  Reshape: (graph, { x }, { shape }) => {
    if (!Array.isArray(shape)) throw new Error("Reshape without a shape")
    const known = sizeOf(shape.filter((d) => d !== -1))
    return reshape(
      graph,
      x,
      shape.map((d) => (d === -1 ? sizeOf(x.shape) / known : d)),
    )
  },
  Transpose: (graph, { x }, { perm }) => {
    if (!Array.isArray(perm)) throw new Error("Transpose without a permutation")
    if (perm.every((p, i) => p === i)) return x
    const name = one(graph.node("Transpose", [x.name], { perm }))
    return { ...x, name, shape: perm.map((p) => x.shape[p]) }
  },
  Slice: (graph, { x }, { begin, size }) => {
    const [starts, sizes] = tf.slice_util.parseSliceParams(
      { dataId: {}, dtype: "float32", shape: [...x.shape] },
      asArray(begin),
      asArray(size),
    )
    const axes = starts.map((_, i) => i).filter((i) => starts[i] !== 0 || sizes[i] !== x.shape[i])
    if (axes.length === 0) return x
    const name = one(
      graph.node("Slice", [
        x.name,
        ints(
          graph,
          axes.map((i) => starts[i]),
        ),
        ints(
          graph,
          axes.map((i) => starts[i] + sizes[i]),
        ),
        ints(graph, axes),
      ]),
    )
    return { ...x, name, shape: sizes }
  },
  SplitV: (graph, { x }, { numOrSizeSplits, axis }) => {
    const [index] = axesOf(axis, x.shape.length)
    const sizes: Array<number> = Array.isArray(numOrSizeSplits)
      ? numOrSizeSplits
      : Array.from({ length: Number(numOrSizeSplits) }, () => x.shape[index] / Number(numOrSizeSplits))
    const names = graph.node(
      "Split",
      [x.name, ints(graph, sizes)],
      { axis: index },
      { outputs: sizes.length },
    )
    return names.map((name, i) => ({ ...x, name, shape: x.shape.with(index, sizes[i]) }))
  },
  Concat: (graph, inputs, { axis }) => {
    const parts = Object.values(inputs).filter((x) => sizeOf(x.shape) > 0)
    const [first] = parts
    if (parts.length === 1) return first
    const [index] = axesOf(axis, first.shape.length)
    const name = one(
      graph.node(
        "Concat",
        parts.map((x) => x.name),
        { axis: index },
      ),
    )
    const total = parts.reduce((n, x) => n + x.shape[index], 0)
    return { ...first, name, shape: first.shape.with(index, total) }
  },
  PadV2: (graph, { x }, { paddings, constantValue }) => {
    if (!Array.isArray(paddings) || constantValue !== 0) throw new Error("PadV2 with a value other than 0")
    const before = paddings.map(([n]) => n)
    const after = paddings.map(([, n]) => n)
    const name = one(graph.node("Pad", [x.name, ints(graph, [...before, ...after])]))
    return { ...x, name, shape: x.shape.map((d, i) => d + before[i] + after[i]) }
  },
  Tile: (graph, { x }, { reps }) => {
    const repeats = asArray(reps)
    const name = one(graph.node("Tile", [x.name, ints(graph, repeats)]))
    return { ...x, name, shape: x.shape.map((d, i) => d * repeats[i]) }
  },
  ZerosLike: (graph, { x }) => ({
    ...x,
    name: graph.constant(x.dtype, x.shape, new Float32Array(sizeOf(x.shape))),
  }),

  GatherV2: (graph, { x, indices }, { axis, batchDims }) => {
    if (axis !== 0 || batchDims !== 0) throw new Error("GatherV2 along an axis other than 0")
    const name = one(graph.node("Gather", [x.name, indices.name], { axis: 0 }))
    return { ...x, name, shape: [...indices.shape, ...x.shape.slice(1)] }
  },
  OneHot: (graph, { indices }, { depth, onValue, offValue, dtype }) => {
    if (onValue !== 1 || offValue !== 0) throw new Error("OneHot with values other than 0 and 1")
    return cast(graph, oneHot(graph, indices, Number(depth)), dtype === "int32" ? "int32" : "float32")
  },
  /** A product with the one-hot matrix of the segments: deterministic, and fast at these shapes. */
  UnsortedSegmentSum: (graph, { x, segmentIds }, { numSegments }) => {
    const segments = oneHot(graph, segmentIds, Number(numSegments))
    const rows = reshape(graph, x, [x.shape[0], sizeOf(x.shape.slice(1))])
    const name = one(graph.node("Gemm", [segments.name, rows.name], { transA: 1 }))
    const sums: Traced = { name, shape: [Number(numSegments), rows.shape[1]], dtype: "float32" }
    return reshape(graph, sums, [Number(numSegments), ...x.shape.slice(1)])
  },

  BatchMatMul: matMul,
  [Linear]: (graph, { x, w, b }) => ({
    name: one(graph.node("Gemm", [x.name, w.name, b.name], { transB: 1 })),
    shape: [x.shape[0], w.shape[0]],
    dtype: "float32",
  }),
  [Normalize]: (graph, { x }) => ({ ...x, name: layerNormalization(graph, x).normalized }),
  [InverseDeviation]: (graph, { x }) => ({
    ...x,
    name: layerNormalization(graph, x).inverseDeviation,
    shape: x.shape.with(x.shape.length - 1, 1),
  }),
}

const asArray = (value: unknown): Array<number> => (Array.isArray(value) ? value : [Number(value)])
