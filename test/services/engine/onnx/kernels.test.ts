import { assert, describe, it, layer, vi } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Layer, Option } from "effect"
import { inverseDeviation, linear, normalize } from "../../../../src/model/kernels.ts"
import { f32, i32, program, type TensorSpec, type Tensors } from "../../../../src/model/Program.ts"
import { CodeFingerprint } from "../../../../src/services/CodeFingerprint.ts"
import { kernels } from "../../../../src/services/engine/onnx/kernels.ts"
import { OnnxEngine } from "../../../../src/services/engine/onnx/OnnxEngine.ts"
import { EngineFailure, type TensorEngine, UnsupportedOp } from "../../../../src/services/TensorEngine.ts"
import { assertClose } from "../../../model/close.ts"
import { eager, noise, run } from "../../../model/samples.ts"
import { amongOthers } from "../amongOthers.ts"

/** What the small programs compute with. */
const inputs = {
  x: f32(3, 4),
  y: f32(3, 4),
  positive: f32(3, 4),
  row: f32(4),
  cube: f32(2, 3, 4),
  w: f32(5, 4),
  b: f32(5),
  ids: i32(3),
  counts: i32(3, 4),
}
const values = {
  x: noise(1, 12, 2),
  y: noise(2, 12),
  positive: noise(3, 12).map((value) => value ** 2 + 0.1),
  row: noise(4, 4),
  cube: noise(5, 24),
  w: noise(6, 20),
  b: noise(7, 5),
  ids: Int32Array.of(2, 0, 2),
  counts: Int32Array.of(5, -3, 0, 1, 7, 7, 2, -9, 4, 0, 0, 6),
}

type Body = (tensors: Tensors<typeof inputs>) => ReadonlyArray<tf.Tensor>

/** A body for each kernel; all that it returns is compared. Boolean results are cast, for programs return none. */
const cases: Readonly<Record<string, Body>> = {
  Add: ({ x, y, row }) => [tf.add(x, y), tf.add(x, row), tf.add(row, x), tf.add(x, 1)],
  Sub: ({ x, y, row }) => [tf.sub(x, y), tf.sub(row, x), tf.sub(1, x)],
  Multiply: ({ x, y, row }) => [tf.mul(x, y), tf.mul(x, row), tf.mul(x, 3)],
  RealDiv: ({ x, positive, row }) => [tf.div(x, positive), tf.div(row, positive), tf.div(1, positive)],
  Maximum: ({ x, y, row }) => [tf.maximum(x, y), tf.maximum(x, row), tf.maximum(x, 0)],
  Minimum: ({ x, y, row }) => [tf.minimum(x, y), tf.minimum(x, row), tf.minimum(x, 0)],
  Equal: ({ x, counts }) => [
    tf.cast(tf.equal(counts, 7), "int32"),
    tf.cast(tf.equal(x, tf.maximum(x, 0)), "float32"),
  ],

  Neg: ({ x }) => [tf.neg(x)],
  Exp: ({ x }) => [tf.exp(x)],
  Log: ({ positive }) => [tf.log(positive)],
  Sqrt: ({ positive }) => [tf.sqrt(positive)],
  Sigmoid: ({ x }) => [tf.sigmoid(x), tf.sigmoid(tf.mul(x, 50))],
  Erf: ({ x }) => [tf.erf(x)],
  Square: ({ x }) => [tf.square(x)],
  Identity: ({ x }) => [tf.clone(x)],
  AddN: ({ x, y, positive }) => [tf.addN([x, y, positive]), tf.addN([x])],
  Cast: ({ x, counts }) => [
    tf.cast(x, "int32"),
    tf.cast(counts, "float32"),
    tf.cast(tf.cast(counts, "bool"), "int32"),
    tf.cast(tf.cast(x, "int32"), "float32"),
  ],

  Sum: ({ x, cube, counts }) => [
    tf.sum(x),
    tf.sum(x, 0),
    tf.sum(x, -1, true),
    tf.sum(cube, [0, 2]),
    tf.sum(cube, [1, 2], true),
    tf.sum(counts, 1),
  ],
  Mean: ({ x, cube }) => [tf.mean(x), tf.mean(x, 0), tf.mean(x, -1, true), tf.mean(cube, [0, 1])],
  Max: ({ x, cube, counts }) => [tf.max(x), tf.max(x, 0), tf.max(cube, -1, true), tf.max(counts, 0)],
  ArgMax: ({ x, cube, counts }) => [
    tf.argMax(x, -1),
    tf.argMax(x, 0),
    tf.argMax(cube, 1),
    tf.argMax(counts, -1), // with a tie: the first wins
  ],

  Reshape: ({ x, cube }) => [tf.reshape(x, [4, 3]), tf.reshape(cube, [-1, 2]), tf.reshape(x, [3, 4])],
  Transpose: ({ x, cube }) => [tf.transpose(x), tf.transpose(cube, [2, 0, 1]), tf.transpose(cube, [0, 1, 2])],
  Slice: ({ x, cube }) => [
    tf.slice(x, [1, 1], [2, 2]),
    tf.slice(x, [1, 0], [-1, -1]),
    tf.slice(cube, [0, 2, 1], [-1, 1, 3]),
    tf.slice(x, [0, 0], [3, 4]),
  ],
  SplitV: ({ x, cube }) => [...tf.split(x, 3), ...tf.split(x, [1, 3], 1), ...tf.split(cube, 2, -1)],
  Concat: ({ x, y, row }) => [
    tf.concat([x, y]),
    tf.concat([x, y, x], 1),
    tf.concat([x, y], -1),
    tf.concat([row, tf.slice(row, [0], [0])]),
  ],
  PadV2: ({ x, cube }) => [
    tf.pad(x, [
      [1, 0],
      [0, 2],
    ]),
    tf.pad(cube, [
      [0, 0],
      [2, 1],
      [0, 0],
    ]),
  ],
  Tile: ({ x, row }) => [tf.tile(x, [2, 1]), tf.tile(x, [1, 3]), tf.tile(row, [2])],
  ZerosLike: ({ x, counts }) => [tf.zerosLike(x), tf.zerosLike(counts)],

  GatherV2: ({ x, cube, ids, counts }) => [
    tf.gather(x, ids),
    tf.gather(cube, tf.minimum(ids, tf.scalar(1, "int32"))),
    tf.gather(counts, ids),
    tf.gather(x, tf.reshape(ids, [3, 1])),
  ],
  OneHot: ({ ids }) => [tf.oneHot(ids, 4, 1, 0, "float32")],
  UnsortedSegmentSum: ({ x, cube, ids }) => {
    const [three, two] = [tf.reshape<tf.Rank.R1>(ids, [3]), tf.tensor1d([3, 3], "int32")]
    return [tf.unsortedSegmentSum(x, three, 4), tf.unsortedSegmentSum(cube, two, 5)]
  },

  BatchMatMul: ({ x, y, cube }) => {
    const matrix = tf.reshape(tf.slice(cube, [0, 0, 0], [1, -1, -1]), [1, 3, 4])
    return [
      tf.matMul(x, tf.transpose(y)),
      tf.matMul(x, y, false, true),
      tf.matMul(x, y, true, false),
      tf.matMul(x, tf.transpose(y), true, true),
      tf.matMul(matrix, tf.reshape(y, [1, 3, 4]), false, true),
    ]
  },
  GrokscopeLinear: ({ x, w, b }) => [linear(x, w, b)],
  GrokscopeNormalize: ({ x, cube }) => [normalize(x), normalize(cube)],
  GrokscopeInverseDeviation: ({ x, cube }) => [inverseDeviation(x), inverseDeviation(cube)],
}

/** The shapes and types of a body's results, found by running it on the reference engine. */
const specsOf = (body: Body) =>
  Effect.gen(function* () {
    let specs: ReadonlyArray<TensorSpec> = []
    const inspect = (tensors: Tensors<typeof inputs>) => {
      specs = body(tensors).map(({ shape, dtype }) => (dtype === "int32" ? i32(...shape) : f32(...shape)))
      return {}
    }
    yield* run(program({ name: "inspect", inputs, outputs: {}, body: inspect }), values)
    return specs
  }).pipe(Effect.provide(eager))

const programOf = (name: string, body: Body, specs: ReadonlyArray<TensorSpec>) =>
  program({
    name,
    inputs,
    outputs: Object.fromEntries(specs.map((spec, i) => [`result${i}`, spec])),
    body: (tensors) => Object.fromEntries(body(tensors).map((result, i) => [`result${i}`, result])),
  })

/** Every kernel is watched; installed before the tracing backend takes the kernels up. */
const calls = new Map(Object.keys(kernels).map((name) => [name, vi.spyOn(kernels, name)]))

const onnx = OnnxEngine.layer({ threads: 1 }).pipe(Layer.provide(CodeFingerprint.layer))

it("every kernel has a case", () => {
  assert.sameMembers(Object.keys(cases), Object.keys(kernels))
})

describe("the kernel", () => {
  const agrees = Effect.fnUntraced(function* <E, R>(
    name: string,
    body: Body,
    on: Layer.Layer<TensorEngine, E, R>,
  ) {
    const small = programOf(name, body, yield* specsOf(body))
    const expected = yield* run(small, values).pipe(Effect.provide(eager))
    const actual = yield* run(small, values).pipe(Effect.provide(on))
    for (const [key, result] of Object.entries(expected)) {
      assert.strictEqual(actual[key].constructor, result.constructor, key)
      assertClose(actual[key], result, 1e-6, key)
    }
  })

  it.effect.each(Object.entries(cases))("%s computes what TensorFlow.js does", ([name, body]) =>
    Effect.map(agrees(name, body, onnx), () =>
      assert.isNotEmpty(calls.get(name)?.mock.calls, `${name} was traced`),
    ),
  )

  it.effect.each(Object.entries(cases))("%s computes the same in an ensemble", ([name, body]) =>
    agrees(name, body, Layer.provide(amongOthers, onnx)),
  )
})

/** Uses of kernels beyond what they were written for. */
const unusual: Readonly<Record<string, Body>> = {
  "OneHot with values other than 0 and 1": ({ ids }) => [tf.oneHot(ids, 4, 2, -1, "float32")],
  "OneHot of integers": ({ ids }) => [tf.cast(tf.oneHot(ids, 4), "float32")],
  "Mean of integers": ({ x, counts }) => [tf.mul(x, tf.mean(counts))],
  "Sum over no axis": ({ x }) => [tf.sum(x, [])],
  "BatchMatMul of several matrices": ({ cube }) => {
    const first = tf.slice(cube, [0, 0, 0], [1, -1, -1])
    return [
      tf.matMul(cube, tf.square(cube), false, true),
      tf.matMul(cube, first, true, false),
      tf.matMul(first, tf.transpose(cube, [0, 2, 1])),
    ]
  },
  "PadV2 with another value": ({ row }) => [tf.pad(row, [[1, 2]], 3)],
  "GatherV2 along the last axis": ({ x, ids }) => [tf.gather(x, ids, 1)],
  "UnsortedSegmentSum of integers": ({ counts, ids }) => [
    tf.unsortedSegmentSum(counts, tf.reshape<tf.Rank.R1>(ids, [3]), 3),
  ],
}

layer(onnx)("a kernel agrees with TensorFlow.js or refuses, and never computes something else:", (it) => {
  it.effect.each(Object.entries(unusual))("%s", ([name, body]) =>
    Effect.gen(function* () {
      const small = programOf(name, body, yield* specsOf(body))
      const expected = yield* run(small, values).pipe(Effect.provide(eager))
      const actual = yield* run(small, values).pipe(Effect.option)
      if (Option.isNone(actual)) return
      for (const [key, result] of Object.entries(expected)) assertClose(actual.value[key], result, 1e-6, key)
    }),
  )
})

describe("what cannot be traced", () => {
  const failing = (body: (x: tf.Tensor) => tf.Tensor) =>
    run(
      program({
        name: "failing",
        inputs: { x: f32(3) },
        outputs: { y: f32(3) },
        body: ({ x }) => ({ y: body(x) }),
      }),
      { x: noise(1, 3) },
    ).pipe(Effect.flip)

  layer(onnx)((it) => {
    it.effect.each([
      { op: "Tan", body: (x: tf.Tensor) => tf.tan(x) },
      { op: "Cumsum", body: (x: tf.Tensor) => tf.cumsum(x) },
      { op: "Rsqrt", body: (x: tf.Tensor) => tf.grad((z) => tf.sum(tf.rsqrt(z)))(x) },
    ])("an op without a kernel is an UnsupportedOp: $op", ({ op, body }) =>
      Effect.gen(function* () {
        const error = yield* failing(body)
        assert.instanceOf(error, UnsupportedOp)
        assert.deepStrictEqual(
          { op: error.op, program: error.program, engine: error.engine },
          { op, program: "failing", engine: "onnx" },
        )
      }),
    )

    const outside = tf.tidy(() => {
      tf.env().set("IS_NODE", false) // or TensorFlow.js advertises its native backend
      tf.setBackend("cpu")
      return tf.keep(tf.tensor1d([1, 2, 3]))
    })

    it.effect.each([
      {
        what: "looking at a value",
        body: (x: tf.Tensor) => tf.mul(x, x.dataSync()[0]),
        says: "cannot look at values",
      },
      {
        what: "a tensor from outside",
        body: (x: tf.Tensor) => tf.mul(x, outside),
        says: "from outside of the trace",
      },
    ])("$what is an EngineFailure that says so", ({ body, says }) =>
      Effect.gen(function* () {
        const error = yield* failing(body)
        assert.instanceOf(error, EngineFailure)
        assert.include(error.message, says)
      }),
    )
  })
})
