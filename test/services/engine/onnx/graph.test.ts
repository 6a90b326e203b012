import { fromBinary } from "@bufbuild/protobuf"
import { assert, describe, it, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Layer } from "effect"
import { f32, i32, program, scan } from "../../../../src/model/Program.ts"
import { evaluateExamples } from "../../../../src/model/programs.ts"
import { CodeFingerprint } from "../../../../src/services/CodeFingerprint.ts"
import { programModel, scanModel } from "../../../../src/services/engine/onnx/compile.ts"
import { Graph, type Port } from "../../../../src/services/engine/onnx/graph.ts"
import { OnnxEngine } from "../../../../src/services/engine/onnx/OnnxEngine.ts"
import { type GraphProto, ModelProtoSchema } from "../../../../src/services/engine/onnx/proto/onnx_pb.js"
import { assertSameBits } from "../../../model/close.ts"
import { run, runScan, smallLayout } from "../../../model/samples.ts"

const port = (name: string): Port => ({ name, type: "float32", shape: [2] })

const decode = (model: Uint8Array): GraphProto =>
  fromBinary(ModelProtoSchema, model).graph ?? assert.fail("no graph")

const ops = ({ node }: GraphProto) => node.map(({ opType }) => opType)

/** The graph around a loop and the graph of its body. */
const decodeLoop = (model: Uint8Array) => {
  const outside = decode(model)
  const loop = outside.node.find(({ opType }) => opType === "Loop") ?? assert.fail("no loop")
  return { outside, body: loop.attribute[0].g ?? assert.fail("no body") }
}

describe("a graph", () => {
  it("holds equal nodes once", () => {
    const graph = new Graph()
    const exp = graph.node("Exp", ["x"])
    assert.deepStrictEqual(graph.node("Exp", ["x"]), exp)
    const sum = graph.node("Add", [...exp, ...graph.node("Exp", ["x"])])
    assert.deepStrictEqual(ops(decode(graph.toModel([port("x")], [port("y")], sum))), ["Exp", "Add"])
  })

  it("tells nodes apart by op, domain, inputs, attributes and number of outputs", () => {
    const graph = new Graph()
    const nodes = [
      graph.node("Split", ["x"], { axis: 0 }, { outputs: 2 }),
      graph.node("Split", ["x"], { axis: 0 }, { outputs: 3 }),
      graph.node("Split", ["x"], { axis: 1 }, { outputs: 2 }),
      graph.node("Split", ["y"], { axis: 0 }, { outputs: 2 }),
      graph.node("Split", ["x"], { axis: 0 }, { outputs: 2, domain: "com.microsoft" }),
      graph.node("Exp", ["x"]),
      graph.node("Sub", ["x", "y"]),
      graph.node("Sub", ["y", "x"]),
    ]
    assert.strictEqual(new Set(nodes.flat()).size, nodes.flat().length)
  })

  it("does not mind the order of attributes", () => {
    const graph = new Graph()
    assert.deepStrictEqual(
      graph.node("Gemm", ["a", "b"], { transA: 1, transB: 0 }),
      graph.node("Gemm", ["a", "b"], { transB: 0, transA: 1 }),
    )
  })

  it("holds equal constants once; type, shape and every bit count", () => {
    const graph = new Graph()
    const names = [
      graph.constant("float32", [1], [0]),
      graph.constant("float32", [1], [-0]),
      graph.constant("float32", [], [0]),
      graph.constant("int32", [1], [0]),
      graph.constant("int64", [1], [0]),
      graph.constant("bool", [1], [0]),
    ]
    assert.strictEqual(new Set(names).size, names.length)
    assert.strictEqual(graph.constant("float32", [1], [0]), names[0])
  })

  it("drops what no output needs", () => {
    const graph = new Graph()
    const needed = graph.node("Add", ["x", graph.constant("float32", [], [1])])
    graph.node("Mul", ["x", graph.constant("float32", [], [2])])
    const { node, initializer } = decode(graph.toModel([port("x")], [port("y")], needed))
    assert.deepStrictEqual(
      node.map(({ opType }) => opType),
      ["Add"],
    )
    assert.lengthOf(initializer, 1)
  })

  it("gives a result its output's name, and copies one that is an input or has another name already", () => {
    const graph = new Graph()
    const [exp] = graph.node("Exp", ["x"])
    const outputs = ["a", "b", "c"].map(port)
    const { node } = decode(graph.toModel([port("x")], outputs, [exp, "x", exp]))
    assert.deepStrictEqual(
      node.map(({ opType, input, output }) => [opType, ...input, ...output]),
      [
        ["Exp", "x", "a"],
        ["Identity", "x", "b"],
        ["Identity", "a", "c"],
      ],
    )
  })

  it("lists last what was traced first, and what needs inputs alone, where a node needs several", () => {
    const graph = new Graph()
    const [exp] = graph.node("Exp", ["x"])
    const [ready] = graph.node("Log", ["x"])
    const [first] = graph.node("Neg", [exp])
    const [second] = graph.node("Sqrt", [exp])
    const sum = graph.node("Sum", [ready, second, first])
    const model = decode(graph.toModel([port("x")], [port("y")], sum))
    assert.deepStrictEqual(ops(model), ["Log", "Exp", "Sqrt", "Neg", "Sum"])
  })
})

describe("a program's model", () => {
  it("has equal subexpressions once and nothing dead", () => {
    const model = programModel(
      program({
        name: "squares",
        inputs: { x: f32(2) },
        outputs: { y: f32(2) },
        body: ({ x }) => {
          tf.log(x)
          return { y: tf.add(tf.square(tf.exp(x)), tf.square(tf.exp(x))) }
        },
      }),
    )
    assert.deepStrictEqual(ops(decode(model)), ["Exp", "Mul", "Add"])
  })

  it("names inputs and outputs by their keys, with type and shape", () => {
    const model = programModel(
      program({
        name: "cast",
        inputs: { x: f32(2, 3) },
        outputs: { y: i32(2, 3) },
        body: ({ x }) => ({ y: tf.cast(x, "int32") }),
      }),
    )
    const describe = ({ name, type }: GraphProto["input"][number]) =>
      type?.value.case === "tensorType"
        ? [name, type.value.value.elemType, type.value.value.shape?.dim.map(({ value }) => value.value)]
        : [name]
    const { input, output } = decode(model)
    assert.deepStrictEqual(input.map(describe), [["in.x", 1, [2n, 3n]]])
    assert.deepStrictEqual(output.map(describe), [["out.y", 6, [2n, 3n]]])
  })

  it("is the same bytes every time", () => {
    const evaluate = evaluateExamples(smallLayout(2), 8)
    assertSameBits(scanModel(evaluate), scanModel(evaluate))
  })
})

describe("a scan's model", () => {
  it("computes outside of the loop what does not change from step to step", () => {
    const { outside, body } = decodeLoop(
      scanModel(
        scan({
          name: "scaled total",
          carry: { total: f32(2) },
          xs: { x: f32(2) },
          constants: { scale: f32() },
          ys: { y: f32(2) },
          step: ({ total }, { x }, { scale }) => {
            const scaled = tf.mul(x, tf.sqrt(tf.exp(scale)))
            return { carry: { total: tf.add(total, scaled) }, y: { y: scaled } }
          },
        }),
      ),
    )
    assert.deepStrictEqual(ops(outside), ["Exp", "Sqrt", "Loop"])
    assert.sameMembers(
      ops(body).filter((op) => op !== "Identity"),
      ["Gather", "Mul", "Add"],
    )
  })

  it("cuts and folds the parameters of an evaluation once, not once a chunk", () => {
    const { outside, body } = decodeLoop(scanModel(evaluateExamples(smallLayout(2), 8)))
    assert.include(ops(outside), "Split")
    const fromTheta = new Set(["constants.theta", ...outside.node.flatMap(({ output }) => output)])
    for (const { opType, input } of body.node) {
      const varying = input.some((name) => !fromTheta.has(name) && !name.startsWith("const_"))
      assert.isTrue(varying, `${opType} depends on the step`)
    }
  })
})

layer(OnnxEngine.layer({ threads: 1 }).pipe(Layer.provide(CodeFingerprint.layer)))("onnxruntime", (it) => {
  it.effect("returns inputs as outputs, and one value under two names", () =>
    Effect.gen(function* () {
      const x = Float32Array.of(1, 2)
      const result = yield* run(
        program({
          name: "renamed",
          inputs: { x: f32(2) },
          outputs: { x: f32(2), again: f32(2), twice: f32(2), alsoTwice: f32(2) },
          body: ({ x }) => {
            const twice = tf.mul(x, 2)
            return { x, again: x, twice, alsoTwice: twice }
          },
        }),
        { x },
      )
      const twice = Float32Array.of(2, 4)
      assert.deepStrictEqual(result, { x, again: x, twice, alsoTwice: twice })
    }),
  )

  it.effect("returns constants as outputs and as the next carry", () =>
    Effect.gen(function* () {
      const result = yield* runScan(
        scan({
          name: "constants",
          carry: { state: f32(2) },
          xs: { x: f32() },
          constants: {},
          ys: { constant: f32(2), state: f32(2) },
          step: ({ state }) => ({
            carry: { state: tf.tensor1d([7, 8]) },
            y: { constant: tf.tensor1d([7, 8]), state },
          }),
        }),
        { carry: { state: Float32Array.of(1, 2) }, xs: { x: new Float32Array(2) }, constants: {} },
      )
      assert.deepStrictEqual(result, {
        carry: { state: Float32Array.of(7, 8) },
        ys: { constant: Float32Array.of(7, 8, 7, 8), state: Float32Array.of(1, 2, 7, 8) },
      })
    }),
  )
})
