/**
 * Makes a model fit for GPUs: a shader binds a few buffers only (WebGPU promises eight), so a node that reads or writes more
 * becomes several. Nothing else changes, so the numbers stay the same.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
} from "./proto/onnx_pb.js"

/** Tensors that a node may read, or write, beside one other. */
const MOST = 7

const axisOf = ({ attribute }: NodeProto): bigint => attribute.find(({ name }) => name === "axis")?.i ?? 0n

/** What a rewriting needs of the model's constants. */
interface Constants {
  readonly integers: (name: string) => ReadonlyArray<bigint>
  /** The name of a constant [1]. */
  readonly scalar: (value: bigint) => string
}

const constantsOf = (main: GraphProto): Constants => {
  const known = new Map<bigint, string>()
  return {
    integers: (name) => {
      const tensor = main.initializer.find((initializer) => initializer.name === name)
      if (tensor === undefined) throw new Error(`the sizes ${name} of a Split are no constant`)
      return [...new BigInt64Array(Uint8Array.from(tensor.rawData).buffer)]
    },
    scalar: (value) => {
      const name = known.get(value) ?? `narrow_${value}`
      if (!known.has(value)) {
        known.set(value, name)
        const rawData = new Uint8Array(BigInt64Array.of(value).buffer)
        main.initializer.push(
          create(TensorProtoSchema, { name, dataType: TensorProto_DataType.INT64, dims: [1n], rawData }),
        )
      }
      return name
    },
  }
}

/** A slice for each output of a Split. */
const slicesOf = (node: NodeProto, { integers, scalar }: Constants): ReadonlyArray<NodeProto> => {
  const [x, sizes] = node.input
  const axis = scalar(axisOf(node))
  let start = 0n
  return integers(sizes).map((size, i) => {
    const [from, to] = [start, start + size]
    start = to
    return create(NodeProtoSchema, {
      opType: "Slice",
      name: `${node.name}.${i}`,
      input: [x, scalar(from), scalar(to), axis],
      output: [node.output[i]],
    })
  })
}

/** A tree of Concats. */
const treeOf = (node: NodeProto): ReadonlyArray<NodeProto> => {
  if (node.input.length <= MOST) return [node]
  const axis = create(AttributeProtoSchema, {
    name: "axis",
    type: AttributeProto_AttributeType.INT,
    i: axisOf(node),
  })
  const concat = (name: string, input: Array<string>, output: string) =>
    create(NodeProtoSchema, { opType: "Concat", name, input, output: [output], attribute: [axis] })
  const parts = Array.from({ length: Math.ceil(node.input.length / MOST) }, (_, i) =>
    concat(`${node.name}.${i}`, node.input.slice(i * MOST, (i + 1) * MOST), `${node.output[0]}.part${i}`),
  )
  const rest = concat(
    node.name,
    parts.flatMap(({ output }) => output),
    node.output[0],
  )
  return [...parts, ...treeOf(rest)]
}

const narrowed = (graph: GraphProto, constants: Constants): void => {
  graph.node = graph.node.flatMap((node) => {
    for (const { g } of node.attribute) if (g !== undefined) narrowed(g, constants)
    if (node.opType === "Split" && node.output.length > MOST) return slicesOf(node, constants)
    return node.opType === "Concat" ? treeOf(node) : [node]
  })
}

/** The model with no node that reads or writes more than a shader can bind. */
export const narrow = (model: Uint8Array): Uint8Array => {
  const proto = fromBinary(ModelProtoSchema, model)
  if (proto.graph !== undefined) narrowed(proto.graph, constantsOf(proto.graph))
  return toBinary(ModelProtoSchema, proto)
}
