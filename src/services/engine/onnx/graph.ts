/**
 * A builder of ONNX graphs: hash-consed (equal nodes exist once), with dead nodes dropped and
 * loop-invariant nodes hoisted. Pure data until `toModel` writes the protobuf.
 */
import { create, toBinary } from "@bufbuild/protobuf"
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "./proto/onnx_pb.js"

export type ElementType = "float32" | "int32" | "int64" | "bool"
export type Attribute = number | string | ReadonlyArray<number> | { readonly float: number }
export type Attributes = Readonly<Record<string, Attribute>>

/** A value of the graph: the name of an edge. */
export type Name = string

interface Node {
  readonly op: string
  readonly domain: string
  readonly inputs: ReadonlyArray<Name>
  readonly outputs: ReadonlyArray<Name>
  readonly attributes: Attributes
}

interface Constant {
  readonly type: ElementType
  readonly shape: ReadonlyArray<number>
  readonly bytes: Uint8Array
}

/** A named graph input or output. A string dimension is symbolic. */
export interface Port {
  readonly name: Name
  readonly type: ElementType
  readonly shape: ReadonlyArray<number | string>
}

/** The interface of a loop; the lists within `carry` and within `stacked` run in parallel. */
export interface LoopForm {
  readonly length: Port
  readonly iteration: Name
  readonly carry: {
    readonly initial: ReadonlyArray<Port>
    readonly input: ReadonlyArray<Port>
    readonly output: ReadonlyArray<Port>
    readonly result: ReadonlyArray<Name>
  }
  readonly captured: ReadonlyArray<Port>
  readonly stacked: {
    readonly entry: ReadonlyArray<Port>
    readonly output: ReadonlyArray<Port>
    readonly result: ReadonlyArray<Name>
  }
}

const elementTypes: Record<ElementType, TensorProto_DataType> = {
  float32: TensorProto_DataType.FLOAT,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  bool: TensorProto_DataType.BOOL,
}

export class Graph {
  readonly #nodes: Array<Node> = []
  readonly #nodeByForm = new Map<string, Node>()
  readonly #constants = new Map<Name, Constant>()
  readonly #constantByForm = new Map<string, Name>()
  /** Values that change from one loop step to the next, and everything computed from them. */
  readonly #varying = new Set<Name>()
  #count = 0

  /** Adds a node, or returns the outputs of an equal one. */
  node(
    op: string,
    inputs: ReadonlyArray<Name>,
    attributes: Attributes = {},
    { outputs = 1, domain = "" } = {},
  ): ReadonlyArray<Name> {
    const form = JSON.stringify([domain, op, inputs, outputs, Object.entries(attributes).sort()])
    const known = this.#nodeByForm.get(form)
    if (known !== undefined) return known.outputs
    const id = this.#count++
    const node: Node = {
      op,
      domain,
      inputs,
      attributes,
      outputs: Array.from({ length: outputs }, (_, i) => (i === 0 ? `${op}_${id}` : `${op}_${id}.${i}`)),
    }
    this.#nodes.push(node)
    this.#nodeByForm.set(form, node)
    if (inputs.some((name) => this.#varying.has(name))) {
      for (const output of node.outputs) this.#varying.add(output)
    }
    return node.outputs
  }

  /** Adds a constant, or returns an equal one. `values` are row-major. */
  constant(type: ElementType, shape: ReadonlyArray<number>, values: ArrayLike<number>): Name {
    const bytes = constantBytes(type, values)
    const form = `${type}[${shape.join()}]${Buffer.from(bytes).toString("base64")}`
    const known = this.#constantByForm.get(form)
    if (known !== undefined) return known
    const name = `const_${this.#count++}`
    this.#constants.set(name, { type, shape, bytes })
    this.#constantByForm.set(form, name)
    return name
  }

  /** Declares a value that differs from one loop step to the next. */
  varying(name: Name): Name {
    this.#varying.add(name)
    return name
  }

  /** The model that computes `results`, one for each output, from `inputs`. */
  toModel(
    inputs: ReadonlyArray<Port>,
    outputs: ReadonlyArray<Port>,
    results: ReadonlyArray<Name>,
  ): Uint8Array {
    const { nodes, constants } = this.#reachable(results)
    return serialize(graphProto("main", delivering(nodes, results, outputs), inputs, outputs, constants))
  }

  /**
   * The model that runs the graph as the body of an ONNX `Loop`. The body takes the iteration number, a
   * condition and the carry; it returns the condition, the next carry and one entry of each stacked output.
   * Everything that does not depend on the iteration stays outside of the body, which captures it by name.
   */
  toLoopModel({ length, iteration, carry, captured, stacked }: LoopForm): Uint8Array {
    const { nodes, constants } = this.#reachable([...carry.result, ...stacked.result])
    const isVarying = (node: Node) => node.outputs.some((name) => this.#varying.has(name))
    const condition: Port = { name: "condition", type: "bool", shape: [] }
    const next = [condition, ...carry.input, ...stacked.entry].map((port) => ({
      ...port,
      name: `next.${port.name}`,
    }))
    const body = graphProto(
      "step",
      delivering(nodes.filter(isVarying), [condition.name, ...carry.result, ...stacked.result], next),
      [{ name: iteration, type: "int64", shape: [] }, condition, ...carry.input],
      next,
      new Map(),
    )
    const outputs = [...carry.output, ...stacked.output]
    const loop = create(NodeProtoSchema, {
      opType: "Loop",
      name: "Loop",
      input: [length.name, "", ...carry.initial.map((port) => port.name)],
      output: outputs.map((port) => port.name),
      attribute: [
        create(AttributeProtoSchema, { name: "body", type: AttributeProto_AttributeType.GRAPH, g: body }),
      ],
    })
    const invariant = nodes.filter((node) => !isVarying(node)).map(nodeProto)
    const inputs = [length, ...carry.initial, ...captured]
    return serialize(graphProto("main", [...invariant, loop], inputs, outputs, constants))
  }

  /**
   * The nodes and constants that the named values depend on, sorted such that onnxruntime executes them in the order of the
   * trace, so that a gradient's products run while what they read is still in the cache.
   *
   * From the end of the graph, it runs first what the last of a node's producers (last in the list) needs. So nodes stand in the
   * list depth first, and what was traced last before what was traced first; but what needs nothing but inputs runs last.
   */
  #reachable(names: ReadonlyArray<Name>) {
    const positions = new Map(
      this.#nodes.flatMap((node, i) => node.outputs.map((name) => [name, i] as const)),
    )
    const isReady = this.#nodes.map(({ inputs }) => !inputs.some((name) => positions.has(name)))
    const seen = new Set<number>()
    const nodes: Array<Node> = []
    const visit = (wanted: ReadonlyArray<Name>): void => {
      const producers = wanted.flatMap((name) => positions.get(name) ?? [])
      producers.sort((i, j) => Number(isReady[j]) - Number(isReady[i]) || j - i)
      for (const i of producers) {
        if (seen.has(i)) continue
        seen.add(i)
        const node = this.#nodes[i]
        visit(node.inputs)
        nodes.push(node)
      }
    }
    visit(names)
    const needed = new Set([...names, ...nodes.flatMap((node) => node.inputs)])
    const constants = new Map([...this.#constants].filter(([name]) => needed.has(name)))
    return { nodes, constants }
  }
}

const constantBytes = (type: ElementType, values: ArrayLike<number>): Uint8Array => {
  switch (type) {
    case "float32":
      return new Uint8Array(Float32Array.from(values).buffer)
    case "int32":
      return new Uint8Array(Int32Array.from(values).buffer)
    case "int64":
      return new Uint8Array(BigInt64Array.from(Array.from(values), BigInt).buffer)
    case "bool":
      return Uint8Array.from(values)
  }
}

const attributeProto = (name: string, value: Attribute) => {
  if (typeof value === "string") {
    const s = new TextEncoder().encode(value)
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.STRING, s })
  }
  if (typeof value === "number") {
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) })
  }
  if ("float" in value) {
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.FLOAT, f: value.float })
  }
  const ints = value.map(BigInt)
  return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INTS, ints })
}

const nodeProto = (node: Node): NodeProto =>
  create(NodeProtoSchema, {
    opType: node.op,
    domain: node.domain,
    name: node.outputs[0] ?? node.op,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: Object.entries(node.attributes).map(([name, value]) => attributeProto(name, value)),
  })

/**
 * The nodes, leaving `results` under the names of `outputs`: a node's output takes the first name that is wanted of it. What
 * no node of the graph produces, or is wanted by two names, is copied.
 */
const delivering = (
  nodes: ReadonlyArray<Node>,
  results: ReadonlyArray<Name>,
  outputs: ReadonlyArray<Port>,
): Array<NodeProto> => {
  const produced = new Set(nodes.flatMap((node) => node.outputs))
  const newNames = new Map<Name, Name>()
  const copied = results.flatMap((from, i) => {
    const to = outputs[i].name
    if (!produced.has(from) || newNames.has(from)) return [{ from, to }]
    newNames.set(from, to)
    return []
  })
  const renamed = (name: Name): Name => newNames.get(name) ?? name
  return [
    ...nodes.map((node) =>
      nodeProto({ ...node, inputs: node.inputs.map(renamed), outputs: node.outputs.map(renamed) }),
    ),
    ...copied.map(({ from, to }) =>
      create(NodeProtoSchema, { opType: "Identity", input: [renamed(from)], output: [to] }),
    ),
  ]
}

const valueInfo = ({ name, type, shape }: Port) =>
  create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: "tensorType",
        value: {
          elemType: elementTypes[type],
          shape: {
            dim: shape.map((d) => ({
              value:
                typeof d === "number"
                  ? { case: "dimValue" as const, value: BigInt(d) }
                  : { case: "dimParam" as const, value: d },
            })),
          },
        },
      },
    },
  })

const graphProto = (
  name: string,
  nodes: Array<NodeProto>,
  inputs: ReadonlyArray<Port>,
  outputs: ReadonlyArray<Port>,
  constants: ReadonlyMap<Name, Constant>,
): GraphProto =>
  create(GraphProtoSchema, {
    name,
    node: nodes,
    input: inputs.map(valueInfo),
    output: outputs.map(valueInfo),
    initializer: [...constants].map(([name, constant]) =>
      create(TensorProtoSchema, {
        name,
        dataType: elementTypes[constant.type],
        dims: constant.shape.map(BigInt),
        rawData: constant.bytes,
      }),
    ),
  })

const serialize = (graph: GraphProto): Uint8Array =>
  toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 10n,
      producerName: "grokscope",
      opsetImport: [
        { domain: "", version: 21n },
        { domain: "com.microsoft", version: 1n },
      ],
      graph,
    }),
  )
