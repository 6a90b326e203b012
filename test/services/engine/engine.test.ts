import { assert, describe, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Layer, type Scope } from "effect"
import { initialParameters } from "../../../src/model/initialise.ts"
import type { Layout } from "../../../src/model/layout.ts"
import { type OptimizerConfig, stepScalars } from "../../../src/model/optimizer.ts"
import { f32, i32, program, scan } from "../../../src/model/Program.ts"
import {
  blockGradient,
  evaluateExamples,
  perturbationEnergies,
  probeCentroids,
  trainSteps,
} from "../../../src/model/programs.ts"
import { integers, stream } from "../../../src/numerics/random.ts"
import { type EngineError, SignatureMismatch, TensorEngine } from "../../../src/services/TensorEngine.ts"
import { assertClose, assertSameBits } from "../../model/close.ts"
import {
  eager,
  noise,
  paperLayout,
  paperOptimiser,
  randomDirection,
  randomExamples,
  randomTheta,
  run,
  runScan,
  smallLayout,
} from "../../model/samples.ts"
import { amongOthers } from "./amongOthers.ts"
import { engines, onnx } from "./engines.ts"

type Outputs = Readonly<Record<string, Float32Array | Int32Array>>

/** A program of the model at fixed inputs. */
interface Case {
  readonly name: string
  readonly tolerance: number
  readonly outputs: Effect.Effect<Outputs, EngineError, TensorEngine>
}

/** Inputs of `count` training steps after the first `done`. */
const stepInputs = (
  { shape }: Layout,
  batchSize: number,
  done: number,
  count: number,
  config = paperOptimiser,
) => {
  const steps = Array.from({ length: count }, (_, i) => done + i + 1)
  const scalars = steps.map((t) => stepScalars(config, t))
  const tokens = (seed: number, perStep = batchSize) =>
    Int32Array.from(
      steps.flatMap((t) => Array.from(integers(stream(seed, "batch", t), perStep, shape.modulus))),
    )
  return {
    a: tokens(1),
    b: tokens(2),
    label: tokens(3, batchSize * shape.tasks),
    stepSize: Float32Array.from(scalars, (s) => s.stepSize),
    decay: Float32Array.from(scalars, (s) => s.decay),
    denominatorScale: Float32Array.from(scalars, (s) => s.denominatorScale),
  }
}

type State = Readonly<Record<"theta" | "first" | "second", Float32Array>>

const freshState = (theta: Float32Array): State => ({
  theta,
  first: new Float32Array(theta.length),
  second: new Float32Array(theta.length),
})

const n = 16

const train = (layout: Layout, state: State, done: number, count: number, config = paperOptimiser) =>
  runScan(trainSteps(layout, config, n), {
    carry: state,
    xs: stepInputs(layout, n, done, count, config),
    constants: {},
  })

const momentum: OptimizerConfig = { ...paperOptimiser, optimizer: "sgd", learningRate: 0.1 }

/** What several read-out heads and another optimiser change. */
const variants = (): ReadonlyArray<Case> => {
  const layout = smallLayout(2, 3)
  const theta = randomTheta(layout, 1)
  const examples = randomExamples(layout, n, 2)
  return [
    {
      name: "train-steps of three tasks by SGD",
      tolerance: 2e-5,
      outputs: train(layout, freshState(theta), 0, 5, momentum).pipe(
        Effect.map(({ carry, ys }) => ({ ...carry, ...ys })),
      ),
    },
    {
      name: "evaluate of three tasks",
      tolerance: 1e-5,
      outputs: runScan(evaluateExamples(layout, n / 2), {
        carry: {},
        xs: examples,
        constants: { theta },
      }).pipe(Effect.map(({ ys }) => ys)),
    },
    {
      name: "attention-gradient of all of three tasks",
      tolerance: 1e-5,
      outputs: run(blockGradient(layout, n), { theta, ...examples }),
    },
    {
      name: "attention-gradient of the second of three tasks",
      tolerance: 1e-5,
      outputs: run(blockGradient(layout, n, 1), { theta, ...examples }),
    },
  ]
}

const modelPrograms = (layers: number): ReadonlyArray<Case> => {
  const layout = smallLayout(layers)
  const theta = randomTheta(layout, 1)
  const examples = randomExamples(layout, n, 2)
  return [
    {
      name: "train-steps",
      tolerance: 2e-5,
      outputs: train(layout, freshState(theta), 0, 5).pipe(
        Effect.map(({ carry, ys }) => ({ ...carry, ...ys })),
      ),
    },
    {
      name: "evaluate",
      tolerance: 1e-5,
      outputs: runScan(evaluateExamples(layout, n / 2), {
        carry: {},
        xs: examples,
        constants: { theta },
      }).pipe(Effect.map(({ ys }) => ys)),
    },
    {
      name: "attention-gradient",
      tolerance: 1e-5,
      outputs: run(blockGradient(layout, n), { theta, ...examples }),
    },
    {
      name: "centroids",
      tolerance: 1e-5,
      outputs: run(probeCentroids(layout, n), { theta, ...examples }),
    },
    {
      name: "perturbation-energies",
      tolerance: 2e-4,
      outputs: runScan(perturbationEnergies(layout, n), {
        carry: {},
        xs: {
          direction: Float32Array.from(
            [1, 2, 3].flatMap((seed) => Array.from(randomDirection(layout.attentionSize, seed))),
          ),
        },
        constants: { theta, epsilon: Float32Array.of(0.05), ...examples },
      }).pipe(Effect.map(({ ys }) => ys)),
    },
  ]
}

const cases = [1, 2, 3]
  .flatMap((layers) =>
    modelPrograms(layers).map((program) => ({ ...program, name: `${program.name} at ${layers} layers` })),
  )
  .concat(variants())

/** total' = total · factor + x; y = total' and the square of x. */
const runningTotal = scan({
  name: "running-total",
  carry: { total: f32(2) },
  xs: { x: f32(2) },
  constants: { factor: f32() },
  ys: { total: f32(2), square: f32(2) },
  step: ({ total }, { x }, { factor }) => {
    const next = tf.add(tf.mul(total, factor), x)
    return { carry: { total: next }, y: { total: next, square: tf.square(x) } }
  },
})

const halve = (total: Float32Array, x: Float32Array) =>
  runScan(runningTotal, { carry: { total }, xs: { x }, constants: { factor: Float32Array.of(0.5) } })

const shifted = program({
  name: "shifted",
  inputs: { x: f32(2, 3), shift: i32(3) },
  outputs: { y: f32(2, 3) },
  body: ({ x, shift }) => ({ y: tf.add(x, tf.cast(shift, "float32")) }),
})

/** What a caller without types can pass. */
const untyped = <A>(value: unknown): A => value as A

const mismatchOf = (effect: Effect.Effect<unknown, EngineError, TensorEngine | Scope.Scope>) =>
  effect.pipe(
    Effect.scoped,
    Effect.flip,
    Effect.map((error) => {
      assert.instanceOf(error, SignatureMismatch)
      const { program, tensor, wanted, given } = error
      return { program, tensor, wanted, given }
    }),
  )

describe.each(engines)("the engine $name", ({ engine }) => {
  layer(engine)((it) => {
    const agrees = Effect.fn("agrees")(function* (actual: Case["outputs"], { outputs, tolerance }: Case) {
      const expected = yield* outputs.pipe(Effect.provide(eager))
      const computed = yield* actual
      assert.sameMembers(Object.keys(computed), Object.keys(expected))
      for (const [key, values] of Object.entries(expected)) {
        assert.strictEqual(computed[key].constructor, values.constructor)
        assertClose(computed[key], values, tolerance, key)
      }
    })

    it.effect.each(cases)("computes $name", (program) => agrees(program.outputs, program))

    it.effect.each(cases)("computes $name in an ensemble of three", (program) =>
      agrees(program.outputs.pipe(Effect.provide(amongOthers)), program),
    )

    it.effect.each(modelPrograms(2))("computes the same bits twice: $name", ({ outputs }) =>
      Effect.gen(function* () {
        const [first, second] = [yield* outputs, yield* outputs]
        for (const [key, values] of Object.entries(first)) assertSameBits(second[key], values, key)
      }),
    )

    it.effect("computes the same bits twice with one executable", () =>
      Effect.gen(function* () {
        const layout = smallLayout(2)
        const { compile } = yield* TensorEngine
        const centroids = yield* compile(probeCentroids(layout, n))
        const inputs = { theta: randomTheta(layout, 1), ...randomExamples(layout, n, 2) }
        const first = yield* centroids.run(inputs)
        yield* centroids.run({ ...inputs, theta: randomTheta(layout, 7) })
        const second = yield* centroids.run(inputs)
        assertSameBits(second.centroids, first.centroids)
      }),
    )

    describe("a scan", () => {
      it.effect("of no steps returns its carry and empty ys", () =>
        Effect.gen(function* () {
          const result = yield* halve(Float32Array.of(3, 4), new Float32Array(0))
          assert.deepStrictEqual(result, {
            carry: { total: Float32Array.of(3, 4) },
            ys: { total: new Float32Array(0), square: new Float32Array(0) },
          })
        }),
      )

      it.effect("of one step", () =>
        Effect.gen(function* () {
          const result = yield* halve(Float32Array.of(2, 4), Float32Array.of(5, 6))
          assert.deepStrictEqual(result, {
            carry: { total: Float32Array.of(6, 8) },
            ys: { total: Float32Array.of(6, 8), square: Float32Array.of(25, 36) },
          })
        }),
      )

      it.effect("of seven steps stacks one entry of ys per step, in order", () =>
        Effect.gen(function* () {
          const x = Float32Array.from({ length: 14 }, (_, i) => i)
          const { carry, ys } = yield* halve(new Float32Array(2), x)
          const totals = [0, 1]
          for (let i = 2; i < 14; i++) totals.push(totals[i - 2] / 2 + x[i])
          assert.deepStrictEqual(ys, { total: Float32Array.from(totals), square: x.map((xi) => xi ** 2) })
          assert.deepStrictEqual(carry.total, Float32Array.from(totals.slice(-2)))
        }),
      )

      it.effect("of five steps and then two is one of seven, to the bit", () =>
        Effect.gen(function* () {
          const layout = smallLayout(2)
          const state = freshState(randomTheta(layout, 1))
          const whole = yield* train(layout, state, 0, 7)
          const before = yield* train(layout, state, 0, 5)
          const after = yield* train(layout, before.carry, 5, 2)
          assertSameBits(after.carry.theta, whole.carry.theta, "theta")
          assertSameBits(after.carry.first, whole.carry.first, "first moment")
          assertSameBits(after.carry.second, whole.carry.second, "second moment")
          assertSameBits(after.ys.loss, whole.ys.loss.subarray(5), "losses")
        }),
      )

      it.effect("hands on constants and entries of xs as they are", () =>
        Effect.gen(function* () {
          const swap = scan({
            name: "swap",
            carry: { left: f32(2), right: f32(2) },
            xs: { x: f32(2) },
            constants: { factor: f32() },
            ys: { x: f32(2), same: f32(2), factor: f32() },
            step: ({ left, right }, { x }, { factor }) => ({
              carry: { left: right, right: left },
              y: { x, same: x, factor },
            }),
          })
          const x = Float32Array.of(1, 2, 3, 4, 5, 6)
          const result = yield* runScan(swap, {
            carry: { left: Float32Array.of(1, 1), right: Float32Array.of(2, 2) },
            xs: { x },
            constants: { factor: Float32Array.of(9) },
          })
          assert.deepStrictEqual(result, {
            carry: { left: Float32Array.of(2, 2), right: Float32Array.of(1, 1) },
            ys: { x, same: x, factor: Float32Array.of(9, 9, 9) },
          })
        }),
      )
    })

    describe("fails with SignatureMismatch on", () => {
      const x = noise(1, 6)
      const shift = Int32Array.of(1, 2, 3)

      it.effect.each([
        { what: "a missing tensor", inputs: { x }, tensor: "shift", wanted: "int32[3]", given: "undefined" },
        {
          what: "a wrong element type",
          inputs: { x, shift: Float32Array.of(1, 2, 3) },
          tensor: "shift",
          wanted: "int32[3]",
          given: "Float32Array of 3 entries",
        },
        {
          what: "a wrong length",
          inputs: { x: noise(1, 5), shift },
          tensor: "x",
          wanted: "float32[2,3]",
          given: "Float32Array of 5 entries",
        },
        {
          what: "an array that is not typed",
          inputs: { x: Array.from(x), shift },
          tensor: "x",
          wanted: "float32[2,3]",
          given: "object",
        },
      ])("$what", ({ inputs, tensor, wanted, given }) =>
        Effect.gen(function* () {
          const mismatch = yield* mismatchOf(run(shifted, untyped(inputs)))
          assert.deepStrictEqual(mismatch, { program: "shifted", tensor, wanted, given })
        }),
      )

      it.effect.each([
        { what: "a wrong shape", y: (x: tf.Tensor) => ({ y: tf.transpose(x) }), given: "float32[3,2]" },
        { what: "a wrong dtype", y: (x: tf.Tensor) => ({ y: tf.cast(x, "int32") }), given: "int32[2,3]" },
        { what: "no tensor", y: () => untyped<{ y: tf.Tensor }>({}), given: "missing" },
      ])("a body that returns $what", ({ y, given }) =>
        Effect.gen(function* () {
          const mismatch = yield* mismatchOf(run({ ...shifted, body: (inputs) => y(inputs.x) }, { x, shift }))
          assert.deepStrictEqual(mismatch, { program: "shifted", tensor: "y", wanted: "float32[2,3]", given })
        }),
      )

      it.effect.each([
        {
          what: "a carry of the wrong length",
          inputs: { carry: { total: noise(1, 3) } },
          tensor: "total",
          wanted: "float32[2]",
          given: "Float32Array of 3 entries",
        },
        {
          what: "a missing constant",
          inputs: { constants: {} },
          tensor: "factor",
          wanted: "float32[]",
          given: "undefined",
        },
        {
          what: "xs that are no whole number of steps",
          inputs: { xs: { x: noise(1, 3) } },
          tensor: "x",
          wanted: "float32[steps,2]",
          given: "Float32Array of 3 entries",
        },
      ])("a scan with $what", ({ inputs, tensor, wanted, given }) =>
        Effect.gen(function* () {
          const valid = {
            carry: { total: noise(1, 2) },
            xs: { x: noise(1, 4) },
            constants: { factor: noise(1, 1) },
          }
          const mismatch = yield* mismatchOf(runScan(runningTotal, untyped({ ...valid, ...inputs })))
          assert.deepStrictEqual(mismatch, { program: "running-total", tensor, wanted, given })
        }),
      )

      it.effect("xs of unequal numbers of steps", () =>
        Effect.gen(function* () {
          const product = scan({
            name: "product",
            carry: {},
            xs: { left: f32(), right: f32(2) },
            constants: {},
            ys: { product: f32(2) },
            step: (_, { left, right }) => ({ carry: {}, y: { product: tf.mul(left, right) } }),
          })
          const xs = { left: noise(1, 3), right: noise(2, 8) }
          const mismatch = yield* mismatchOf(runScan(product, { carry: {}, xs, constants: {} }))
          assert.deepStrictEqual(mismatch, {
            program: "product",
            tensor: "right",
            wanted: "float32[3,2]",
            given: "Float32Array of 8 entries",
          })
        }),
      )

      it.effect("a step that returns a carry of another shape", () =>
        Effect.gen(function* () {
          const grow = {
            ...runningTotal,
            step: ({ total }: { readonly total: tf.Tensor }, { x }: { readonly x: tf.Tensor }) => ({
              carry: { total: tf.concat([total, x]) },
              y: { total, square: x },
            }),
          }
          const inputs = {
            carry: { total: noise(1, 2) },
            xs: { x: noise(1, 4) },
            constants: { factor: noise(1, 1) },
          }
          assert.deepStrictEqual(yield* mismatchOf(runScan(grow, inputs)), {
            program: "running-total",
            tensor: "total",
            wanted: "float32[2]",
            given: "float32[4]",
          })
        }),
      )
    })

    it.effect("takes views into larger arrays", () =>
      Effect.gen(function* () {
        const large = noise(1, 20)
        const { y } = yield* run(shifted, {
          x: large.subarray(7, 13),
          shift: new Int32Array(9).subarray(2, 5),
        })
        assert.deepStrictEqual(y, large.slice(7, 13))
      }),
    )

    it.effect("returns arrays of its own, also where a result is an input", () =>
      Effect.gen(function* () {
        const same = { ...shifted, body: ({ x }: { readonly x: tf.Tensor }) => ({ y: x }) }
        const x = noise(1, 6)
        const { y } = yield* run(same, { x, shift: new Int32Array(3) })
        assert.deepStrictEqual(y, x)
        assert.notStrictEqual(y.buffer, x.buffer)
      }),
    )
  })
})

describe("onnx at the paper's size", () => {
  layer(Layer.empty)((it) => {
    it.effect("computes the same bits on one thread and on two", () =>
      Effect.gen(function* () {
        const steps = (threads: number) =>
          runScan(trainSteps(paperLayout, paperOptimiser, 512), {
            carry: freshState(initialParameters(paperLayout, 42)),
            xs: stepInputs(paperLayout, 512, 0, 3),
            constants: {},
          }).pipe(Effect.provide(onnx(threads)))
        const one = yield* steps(1)
        const two = yield* steps(2)
        assertSameBits(two.ys.loss, one.ys.loss, "losses")
        assertSameBits(two.carry.theta, one.carry.theta, "theta")
        assertSameBits(two.carry.first, one.carry.first, "first moment")
        assertSameBits(two.carry.second, one.carry.second, "second moment")
      }),
    )
  })
})
