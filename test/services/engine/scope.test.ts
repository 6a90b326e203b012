import { assert, describe, it, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Layer } from "effect"
import { f32, program, scan } from "../../../src/model/Program.ts"
import { blockGradient, evaluateExamples } from "../../../src/model/programs.ts"
import { CodeFingerprint } from "../../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../../src/services/engine/onnx/OnnxEngine.ts"
import { TensorEngine } from "../../../src/services/TensorEngine.ts"
import { assertSameBits } from "../../model/close.ts"
import { eager, noise, randomExamples, randomTheta, run, runScan, smallLayout } from "../../model/samples.ts"

tf.env().set("IS_NODE", false) // or TensorFlow.js advertises its native backend

const onnx = OnnxEngine.layer({ threads: 1 }).pipe(Layer.provide(CodeFingerprint.layer))

const n = 8
const layout = smallLayout(2)
const theta = randomTheta(layout, 1)
const examples = randomExamples(layout, n, 2)

const gradient = run(blockGradient(layout, n), { theta, ...examples })
const evaluation = runScan(evaluateExamples(layout, n / 2), { carry: {}, xs: examples, constants: { theta } })

/** Fails in the middle of a gradient, with tensors alive on every level. */
const throwing = program({
  name: "throwing",
  inputs: { x: f32(3) },
  outputs: { y: f32(3) },
  body: ({ x }) => ({
    y: tf.grad((z) => {
      const squares = tf.square(tf.add(z, 1))
      if (squares.size > 0) throw new Error("thrown by the body")
      return squares
    })(tf.exp(x)),
  }),
})
const throws = run(throwing, { x: noise(1, 3) }).pipe(Effect.flip)

const wrongShape = run(
  { ...throwing, body: ({ x }) => ({ y: tf.concat([x, tf.exp(x)]) }) },
  { x: noise(1, 3) },
).pipe(Effect.flip)

const throwsInScan = runScan(
  scan({
    name: "throwing scan",
    carry: { total: f32() },
    xs: { x: f32() },
    constants: {},
    ys: { y: f32() },
    step: ({ total }, { x }) => {
      const next = tf.add(total, x)
      if (next.size > 0) throw new Error("thrown by the step")
      return { carry: { total: next }, y: { y: next } }
    },
  }),
  { carry: { total: noise(1, 1) }, xs: { x: noise(2, 3) }, constants: {} },
).pipe(Effect.flip)

const unsupported = run({ ...throwing, body: ({ x }) => ({ y: tf.tan(tf.exp(x)) }) }, { x: noise(1, 3) })

describe("the tracer, in a process that has not used TensorFlow.js", () => {
  it.effect("is selected only while it traces", () =>
    Effect.gen(function* () {
      yield* gradient
      assert.doesNotThrow(() => tf.tidy(() => tf.tensor1d([1, 2, 3])))
      assert.notStrictEqual(tf.getBackend(), "grokscope-trace")
    }).pipe(Effect.provide(onnx)),
  )
})

const outcomes = [
  { outcome: "a program", effect: gradient.pipe(Effect.asVoid) },
  { outcome: "a scan", effect: evaluation.pipe(Effect.asVoid) },
  { outcome: "a body that throws", effect: throws.pipe(Effect.asVoid) },
  { outcome: "a step that throws", effect: throwsInScan.pipe(Effect.asVoid) },
  { outcome: "a body that returns a wrong shape", effect: wrongShape.pipe(Effect.asVoid) },
]

describe.each([
  { engine: "eager", layerOf: eager, more: [] },
  {
    engine: "onnx",
    layerOf: onnx,
    more: [{ outcome: "an unsupported op", effect: unsupported.pipe(Effect.flip, Effect.asVoid) }],
  },
])("the engine $engine", ({ layerOf, more }) => {
  layer(layerOf)((it) => {
    it.effect.each([...outcomes, ...more])("keeps no tensor of TensorFlow.js after $outcome", ({ effect }) =>
      Effect.gen(function* () {
        tf.setBackend("cpu")
        const { numTensors, numDataBuffers } = tf.memory()
        yield* effect
        yield* effect
        assert.strictEqual(tf.memory().numTensors, numTensors)
        assert.strictEqual(tf.memory().numDataBuffers, numDataBuffers)
      }),
    )

    it.effect.each([...outcomes, ...more])(
      "leaves TensorFlow.js's backend as it was after $outcome",
      ({ effect }) =>
        Effect.gen(function* () {
          tf.setBackend("cpu")
          yield* effect
          assert.strictEqual(tf.getBackend(), "cpu")
          assert.deepStrictEqual(
            tf.tidy(() => tf.add([1, 2], 1).dataSync()),
            Float32Array.of(2, 3),
          )
        }),
    )

    it.effect("works on after a failure", () =>
      Effect.gen(function* () {
        const before = yield* gradient
        yield* throws
        const after = yield* gradient
        assertSameBits(after.gradient, before.gradient)
      }),
    )
  })
})

describe("a session of onnxruntime", () => {
  layer(onnx)((it) => {
    it.effect("is released with its scope: 50 of them need no more memory than a few", () =>
      Effect.gen(function* () {
        const side = 1000
        const matrix = f32(side, side)
        // An open session holds the intermediate results of its last run: some 600 MiB for 50 of them.
        const powers = program({
          name: "powers",
          inputs: { x: matrix },
          outputs: { trace: f32() },
          body: ({ x }) => {
            const square = tf.exp(tf.transpose(x))
            return { trace: tf.sum(tf.mul(square, tf.transpose(square))) }
          },
        })
        const x = noise(1, side * side, 0.01)
        const cycles = (count: number) => Effect.repeat(run(powers, { x }), { times: count - 1 })
        yield* cycles(25)
        const before = process.memoryUsage.rss()
        yield* cycles(50)
        const grown = (process.memoryUsage.rss() - before) / 2 ** 20
        assert.isBelow(grown, 200, "MiB")
      }),
    )

    it.effect("is an EngineFailure to run after its scope", () =>
      Effect.gen(function* () {
        const engine = yield* TensorEngine
        const executable = yield* engine
          .compile(
            program({
              name: "closed",
              inputs: { x: f32() },
              outputs: { y: f32() },
              body: ({ x }) => ({ y: tf.exp(x) }),
            }),
          )
          .pipe(Effect.scoped)
        const error = yield* executable.run({ x: noise(1, 1) }).pipe(Effect.flip)
        assert.strictEqual(error._tag, "EngineFailure")
      }),
    )
  })
})
