/**
 * `vmap`: from a function of tensors to the same function of many, in the sense of `jax.vmap`, gradients within it included.
 *
 * A backend of TensorFlow.js whose tensors each stand for a number of members, stacked along a leading axis that the function does
 * not see. An operation on them becomes one on the stack, computed by the backend that was selected before; what is
 * the same for all members stays a single tensor.
 */
import * as tf from "@tensorflow/tfjs"
import { InverseDeviation, Linear, Normalize } from "./kernels.ts"
import { mapSignature, type Signature, sizeOf, type Tensors } from "./Program.ts"

type Shape = ReadonlyArray<number>
type Attributes = tf.NamedAttrMap

/** What a tensor of the function stands for: a stack [members, ...shape], or one tensor [...shape] for all. */
interface Mapped {
  readonly tensor: tf.Tensor
  readonly shape: Shape
  readonly stacked: boolean
}

/** A result, by what the members see of it. */
type Rule = (
  inputs: Readonly<Record<string, Mapped>>,
  attributes: Attributes,
  members: number,
) => tf.Tensor | ReadonlyArray<tf.Tensor>

const run = (kernel: string, inputs: tf.NamedTensorMap, attributes: Attributes) =>
  tf.engine().runKernel<tf.Tensor | Array<tf.Tensor>>(kernel, inputs, attributes)

/** [members, ...shape], copied where it is not stacked. */
const stack = ({ tensor, shape, stacked }: Mapped, members: number): tf.Tensor =>
  stacked ? tensor : tf.tile(tf.reshape(tensor, [1, ...shape]), [members, ...shape.map(() => 1)])

/** Such that it broadcasts with members' tensors of a rank. */
const align = ({ tensor, shape, stacked }: Mapped, rank: number): tf.Tensor =>
  stacked && shape.length < rank
    ? tf.reshape(tensor, [tensor.shape[0], ...new Array<number>(rank - shape.length).fill(1), ...shape])
    : tensor

const asArray = (value: unknown): Array<number> => (Array.isArray(value) ? value : [Number(value)])

/** Axes of the stack for axes of a member of some rank; none are all. */
const inner = (axis: unknown, rank: number): Array<number> =>
  axis === undefined || axis === null
    ? Array.from({ length: rank }, (_, i) => i + 1)
    : asArray(axis).map((a) => ((a + rank) % rank) + 1)

/** Operations on each entry need not know of the stack. */
const asIs =
  (kernel: string): Rule =>
  ({ x }, attributes) =>
    run(kernel, { x: x.tensor }, attributes)

/** Operations along the last axis of a matrix: members' rows are one. */
const ofRows =
  (kernel: string): Rule =>
  ({ x }) => {
    const { shape } = x.tensor
    const rows = tf.reshape(x.tensor, [-1, shape[shape.length - 1]])
    const [result] = [run(kernel, { x: rows }, {})].flat()
    return tf.reshape(result, [...shape.slice(0, -1), result.shape[1] ?? 1])
  }

const elementwise =
  (kernel: string): Rule =>
  ({ a, b }) => {
    const rank = Math.max(a.shape.length, b.shape.length)
    return run(kernel, { a: align(a, rank), b: align(b, rank) }, {})
  }

const reduction =
  (kernel: string, axes = "axis"): Rule =>
  ({ x }, attributes) =>
    run(kernel, { x: x.tensor }, { ...attributes, [axes]: inner(attributes[axes], x.shape.length) })

const concat = (parts: ReadonlyArray<Mapped>, axis: unknown, members: number) => {
  const [at] = inner(axis, parts[0].shape.length)
  return tf.concat(
    parts.map((part) => stack(part, members)),
    at,
  )
}

/** Indices into `rows` entries of each member, as indices into the stack of all: those of member m begin at m · rows. */
const indicesOfStack = (indices: Mapped, rows: number, members: number): tf.Tensor => {
  const first = tf.tensor(
    Int32Array.from({ length: members }, (_, m) => m * rows),
    [members, ...indices.shape.map(() => 1)],
    "int32",
  )
  return tf.add(stack(indices, members), first)
}

/** The matrices [members, rows, columns] of a stack whose members may carry a leading axis of one. */
const matrices = (x: Mapped, members: number): tf.Tensor => {
  if (sizeOf(x.shape.slice(0, -2)) !== 1) throw new Error("BatchMatMul with more than one matrix a member")
  return tf.reshape(stack(x, members), [members, ...x.shape.slice(-2)])
}

const rules: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(
    ["Neg", "Exp", "Log", "Sqrt", "Sigmoid", "Erf", "Square", "Identity", "Cast", "ZerosLike"].map(
      (kernel) => [kernel, asIs(kernel)],
    ),
  ),
  ...Object.fromEntries(
    ["Add", "Sub", "Multiply", "RealDiv", "Maximum", "Minimum", "Equal"].map((kernel) => [
      kernel,
      elementwise(kernel),
    ]),
  ),
  AddN: (inputs, _, members) => tf.addN(Object.values(inputs).map((x) => stack(x, members))),

  Sum: reduction("Sum"),
  Mean: reduction("Mean"),
  Max: reduction("Max", "reductionIndices"),
  ArgMax: ({ x }, { axis }) => tf.argMax(x.tensor, inner(axis, x.shape.length)[0]),

  Reshape: ({ x }, { shape }, members) => {
    const wanted = asArray(shape)
    const known = sizeOf(wanted.filter((d) => d !== -1))
    return tf.reshape(x.tensor, [members, ...wanted.map((d) => (d === -1 ? sizeOf(x.shape) / known : d))])
  },
  Transpose: ({ x }, { perm }) => tf.transpose(x.tensor, [0, ...asArray(perm).map((axis) => axis + 1)]),
  Slice: ({ x }, { begin, size }) => tf.slice(x.tensor, [0, ...asArray(begin)], [-1, ...asArray(size)]),
  SplitV: ({ x }, { numOrSizeSplits, axis }) => {
    const sizes = Array.isArray(numOrSizeSplits) ? asArray(numOrSizeSplits) : Number(numOrSizeSplits)
    return tf.split(x.tensor, sizes, inner(axis, x.shape.length)[0])
  },
  Concat: (inputs, { axis }, members) =>
    concat(
      Object.values(inputs).filter(({ shape }) => sizeOf(shape) > 0),
      axis,
      members,
    ),
  PadV2: ({ x }, { paddings, ...attributes }) => {
    if (!Array.isArray(paddings)) throw new Error("PadV2 without paddings")
    return run("PadV2", { x: x.tensor }, { ...attributes, paddings: [[0, 0], ...paddings] })
  },
  Tile: ({ x }, { reps }) => tf.tile(x.tensor, [1, ...asArray(reps)]),

  GatherV2: ({ x, indices }, { axis, batchDims }, members) => {
    if (axis !== 0 || batchDims !== 0) throw new Error("GatherV2 along an axis other than 0")
    if (!x.stacked) return tf.gather(x.tensor, indices.tensor)
    const [rows, ...rest] = x.shape
    const all = tf.reshape(x.tensor, [members * rows, ...rest])
    return tf.gather(all, indicesOfStack(indices, rows, members))
  },
  OneHot: ({ indices }, attributes) => run("OneHot", { indices: indices.tensor }, attributes),
  /** A product with the one-hot matrix of the segments of each member. */
  UnsortedSegmentSum: ({ x, segmentIds }, { numSegments }, members) => {
    const segments = Number(numSegments)
    const oneHot = stack(
      {
        ...segmentIds,
        tensor: tf.oneHot(segmentIds.tensor, segments, 1, 0, "float32"),
        shape: [...segmentIds.shape, segments],
      },
      members,
    )
    const [rows, ...rest] = x.shape
    const entries = tf.reshape(stack(x, members), [members, rows, sizeOf(rest)])
    return tf.reshape(tf.matMul(oneHot, entries, true, false), [members, segments, ...rest])
  },

  BatchMatMul: ({ a, b }, { transposeA, transposeB }, members) => {
    const product = tf.matMul(
      matrices(a, members),
      matrices(b, members),
      transposeA === true,
      transposeB === true,
    )
    return tf.reshape(product, [members, ...a.shape.slice(0, -2), ...product.shape.slice(1)])
  },
  [Linear]: ({ x, w, b }, _, members) =>
    tf.add(tf.matMul(matrices(x, members), matrices(w, members), false, true), align(b, 2)),
  [Normalize]: ofRows(Normalize),
  [InverseDeviation]: ofRows(InverseDeviation),
}

/** Operations that members may use. */
export const mappedKernels: ReadonlyArray<string> = Object.keys(rules)

const BACKEND = "grokscope-vmap"

/** An operation on what is the same for all members. */
const same = (kernel: string, inputs: Readonly<Record<string, Mapped>>, attributes: Attributes) =>
  run(
    kernel,
    Object.fromEntries(Object.entries(inputs).map(([key, { tensor }]) => [key, tensor])),
    attributes,
  )

/** Runs code with a backend selected. */
const selected = <A>(backend: string, body: () => A): A => {
  const previous = tf.engine().backendName
  tf.setBackend(backend)
  try {
    return body()
  } finally {
    tf.setBackend(previous)
  }
}

class VmapBackend extends tf.KernelBackend {
  readonly #mapped = new Map<tf.DataId, Mapped>()
  /** How many members there are, and the backend that computes them; undefined outside of a map. */
  context: { readonly members: number; readonly backend: string } | undefined

  within(): { readonly members: number; readonly backend: string } {
    if (this.context === undefined) throw new Error("a tensor of a vmap was used outside of it")
    return this.context
  }

  add(tensor: tf.Tensor, stacked: boolean): tf.TensorInfo {
    const dataId = {}
    const shape = stacked ? tensor.shape.slice(1) : tensor.shape
    // Not freed with the operation that made it, but with the tensor that stands for it.
    this.#mapped.set(dataId, { tensor: tf.keep(tensor), shape, stacked })
    return { dataId, shape, dtype: tensor.dtype }
  }

  get(dataId: tf.DataId): Mapped {
    const mapped = this.#mapped.get(dataId)
    if (mapped === undefined) throw new Error("a tensor from outside of a vmap was used in it")
    return mapped
  }

  override write(values: tf.backend_util.BackendValues, shape: Array<number>, dtype: tf.DataType): tf.DataId {
    const numbers = ArrayBuffer.isView(values) ? values : Array.from(values, Number)
    const tensor = selected(this.within().backend, () => tf.tensor(numbers, shape, dtype))
    return this.add(tensor, false).dataId
  }
  override disposeData(dataId: tf.DataId): boolean {
    this.#mapped.get(dataId)?.tensor.dispose()
    return this.#mapped.delete(dataId)
  }
  override numDataIds(): number {
    return this.#mapped.size
  }
  override memory() {
    return { unreliable: true }
  }
  override floatPrecision(): 16 | 32 {
    return 32
  }
  override dispose(): void {}
}

let registered: VmapBackend | undefined

const vmapBackend = (): VmapBackend => {
  if (registered !== undefined) return registered
  const vmap = new VmapBackend()
  tf.registerBackend(BACKEND, () => vmap)
  for (const [kernelName, rule] of Object.entries(rules)) {
    tf.registerKernel({
      kernelName,
      backendName: BACKEND,
      kernelFunc: ({ inputs, attrs = {} }) => {
        const { members, backend } = vmap.within()
        const mapped: Record<string, Mapped> = {}
        for (const [key, info] of Object.entries(inputs)) {
          if (info !== undefined) mapped[key] = vmap.get(info.dataId)
        }
        const stacked = Object.values(mapped).some((one) => one.stacked)
        return selected(backend, () => {
          const result = stacked ? rule(mapped, attrs, members) : same(kernelName, mapped, attrs)
          return result instanceof tf.Tensor
            ? vmap.add(result, stacked)
            : result.map((one) => vmap.add(one, stacked))
        })
      },
    })
  }
  registered = vmap
  return vmap
}

/** Ways into a map and out of it. */
export interface Mapping {
  /** The tensors that members see of stacks along a leading axis. */
  readonly enter: <S extends Signature>(signature: S, stacks: Tensors<S>) => Tensors<S>
  /** The stacks of what members computed. */
  readonly leave: <S extends Signature>(signature: S, tensors: Tensors<S>) => Tensors<S>
}

/** Runs `body` once for a number of members; every operation in it is one of all of them. */
export const vmap = <A>(members: number, body: (mapping: Mapping) => A): A => {
  const engine = tf.engine()
  const backend = engine.backendName
  const mapped = vmapBackend()
  const mapping: Mapping = {
    enter: (signature, stacks) =>
      mapSignature(signature, (key) => {
        const copy = selected(backend, () => tf.clone(stacks[key]))
        return engine.makeTensorFromTensorInfo(mapped.add(copy, true), mapped)
      }),
    leave: (signature, tensors) =>
      mapSignature(signature, (key) =>
        selected(backend, () => tf.clone(stack(mapped.get(tensors[key].dataId), members))),
      ),
  }
  mapped.context = { members, backend }
  try {
    return selected(BACKEND, () => body(mapping))
  } finally {
    mapped.context = undefined
  }
}
