/**
 * How long a program's matrix products take alone: on the same engine, with the same shapes and transpositions, one after
 * another, each on operands of its own. What a program takes beyond that is everything else.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fromBinary } from "@bufbuild/protobuf"
import { Effect, Schema } from "effect"
import { InferenceSession, Tensor } from "onnxruntime-node"
import { median } from "../../src/numerics/statistics.ts"
import { Graph, type Port } from "../../src/services/engine/onnx/graph.ts"
import {
  type GraphProto,
  ModelProtoSchema,
  TensorProto_DataType,
} from "../../src/services/engine/onnx/proto/onnx_pb.js"
import { timed } from "../measured.ts"

const RUNS = 40

/** A matrix product: shapes of its operands, and whether each is transposed. */
interface Product {
  readonly shapes: readonly [ReadonlyArray<number>, ReadonlyArray<number>]
  readonly transA: number
  readonly transB: number
}

/** Entries of onnxruntime's profile that say what a node's operands were. */
const Executed = Schema.Struct({
  name: Schema.String,
  args: Schema.Struct({
    op_name: Schema.Literal("Gemm"),
    input_type_shape: Schema.Array(Schema.Record(Schema.String, Schema.Array(Schema.Int))),
  }),
})
const decodeProfile = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(Schema.Unknown)))
const isExecuted = Schema.is(Executed)

/** Zeros for every input of a model; a symbolic dimension is 1. */
const zeroFeeds = ({ input }: GraphProto) =>
  Object.fromEntries(
    input.map(({ name, type }) => {
      const tensor = type?.value.case === "tensorType" ? type.value.value : undefined
      const shape = (tensor?.shape?.dim ?? []).map(({ value }) =>
        value.case === "dimValue" ? Number(value.value) : 1,
      )
      const size = shape.reduce((product, d) => product * d, 1)
      const elemType = tensor?.elemType
      if (elemType === TensorProto_DataType.INT64) {
        return [name, new Tensor("int64", new BigInt64Array(size).fill(1n), shape)]
      }
      return elemType === TensorProto_DataType.INT32
        ? [name, new Tensor("int32", new Int32Array(size), shape)]
        : [name, new Tensor("float32", new Float32Array(size), shape)]
    }),
  )

/** The products of a model, from a profile of one run of it. */
const productsOf = async (model: Uint8Array): Promise<ReadonlyArray<Product>> => {
  const graph = fromBinary(ModelProtoSchema, model).graph
  const body = graph?.node.find(({ opType }) => opType === "Loop")?.attribute[0]?.g
  const attributes = new Map(
    [...(graph?.node ?? []), ...(body?.node ?? [])].map(({ name, attribute }) => [
      name,
      new Map(attribute.map((of) => [of.name, Number(of.i)])),
    ]),
  )
  const folder = mkdtempSync(join(tmpdir(), "grokscope-floor-"))
  try {
    const session = await InferenceSession.create(model, {
      intraOpNumThreads: 1,
      enableProfiling: true,
      profileFilePrefix: join(folder, "profile"),
      logSeverityLevel: 3,
    })
    if (graph !== undefined) await session.run(zeroFeeds(graph))
    session.endProfiling()
    const profile = readdirSync(folder).map((file) => readFileSync(join(folder, file), "utf8"))
    return decodeProfile(profile.join(""))
      .filter(isExecuted)
      .flatMap(({ name, args }) => {
        const of = attributes.get(name.replace(/_kernel_time$/, ""))
        const [a, b] = args.input_type_shape.map((operand) => Object.values(operand)[0])
        return of === undefined
          ? []
          : [{ shapes: [a, b] as const, transA: of.get("transA") ?? 0, transB: of.get("transB") ?? 0 }]
      })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A model of products alone. Of each result, a row goes on to the output, so that none can be left out. */
const floorModel = (products: ReadonlyArray<Product>) => {
  const graph = new Graph()
  const bound = (value: number) => graph.constant("int64", [1], [value])
  const ports = products.flatMap(
    ({ shapes }, i): Array<Port> => [
      { name: `a${i}`, type: "float32", shape: shapes[0] },
      { name: `b${i}`, type: "float32", shape: shapes[1] },
    ],
  )
  const sums = products.map(({ transA, transB }, i) => {
    const [product] = graph.node("Gemm", [`a${i}`, `b${i}`], { transA, transB })
    const [row] = graph.node("Slice", [product, bound(0), bound(1), bound(0)])
    return graph.node("ReduceSum", [row], { keepdims: 0 })[0]
  })
  return graph.toModel(ports, [{ name: "out", type: "float32", shape: [] }], graph.node("Sum", sums))
}

/** Milliseconds that the products of one step of a model take, the median of many runs. */
export const productsAlone = Effect.fn("productsAlone")(function* (model: Uint8Array, threads: number) {
  const products = floorModel(yield* Effect.promise(() => productsOf(model)))
  const session = yield* Effect.acquireRelease(
    Effect.promise(() =>
      InferenceSession.create(products, { intraOpNumThreads: threads, logSeverityLevel: 3 }),
    ),
    (opened) => Effect.promise(() => opened.release()),
  )
  const graph = fromBinary(ModelProtoSchema, products).graph
  const feeds = graph === undefined ? {} : zeroFeeds(graph)
  const times: Array<number> = []
  for (let i = 0; i < RUNS; i++) {
    times.push((yield* timed(Effect.promise(() => session.run(feeds)))).milliseconds)
  }
  return median(times)
})
