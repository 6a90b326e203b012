import { assert, describe, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import { composedKernels, Linear, linear, Normalize, normalize, scaledGelu } from "../../src/model/kernels.ts"
import { f32, program, type Signature, sizeOf } from "../../src/model/Program.ts"
import { assertClose } from "./close.ts"
import { eager, noise, run } from "./samples.ts"

const [n, d, out] = [5, 8, 6]

type Tensors = Record<string, tf.Tensor>
type Values = Readonly<Record<string, Float64Array>>

/** One of the model's own operations in three forms: its kernel, TensorFlow.js's operations, and float64. */
interface Operation {
  readonly name: string
  readonly inputs: Signature
  readonly fused: (inputs: Tensors) => tf.Tensor
  readonly composed: (inputs: Tensors) => tf.Tensor
  readonly float64: (inputs: Values) => Float64Array
  readonly shape: ReadonlyArray<number>
}

/** erf by its Maclaurin series, good to 1e-10 for |x| < 4. */
const erf = (x: number): number => {
  let term = x
  let sum = x
  for (let k = 1; k < 100; k++) {
    term *= (-x * x) / k
    sum += term / (2 * k + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}

const operations: ReadonlyArray<Operation> = [
  {
    name: "linear",
    inputs: { x: f32(n, d), w: f32(out, d), b: f32(out) },
    fused: ({ x, w, b }) => linear(x, w, b),
    composed: (inputs) => composedKernels[Linear](inputs)[0],
    float64: ({ x, w, b }) =>
      Float64Array.from({ length: n * out }, (_, i) => {
        const [row, column] = [Math.floor(i / out), i % out]
        const products = w.subarray(column * d, (column + 1) * d).map((wj, j) => wj * x[row * d + j])
        return products.reduce((sum, product) => sum + product, b[column])
      }),
    shape: [n, out],
  },
  {
    name: "normalize",
    inputs: { x: f32(n, d) },
    fused: ({ x }) => normalize(x),
    composed: (inputs) => composedKernels[Normalize](inputs)[0],
    float64: ({ x }) =>
      Float64Array.from(x, (value, i) => {
        const row = x.subarray(i - (i % d), i - (i % d) + d)
        const mean = row.reduce((sum, xj) => sum + xj) / d
        const variance = row.reduce((sum, xj) => sum + (xj - mean) ** 2, 0) / d
        return (value - mean) / Math.sqrt(variance + 1e-5)
      }),
    shape: [n, d],
  },
  {
    name: "scaledGelu",
    inputs: { x: f32(n, d) },
    fused: ({ x }) => scaledGelu(x),
    composed: ({ x }) => tf.mul(x, tf.add(tf.erf(x), 1)),
    float64: ({ x }) => x.map((value) => value * (1 + erf(value))),
    shape: [n, d],
  },
]

const valuesOf = (inputs: Signature): Readonly<Record<string, Float32Array>> =>
  Object.fromEntries(
    Object.entries(inputs).map(([key, { shape }]) => [key, noise(key.charCodeAt(0), sizeOf(shape), 1.2)]),
  )

const inFloat64 = (values: Readonly<Record<string, Float32Array>>): Values =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Float64Array.from(value)]))

/** The upstream gradient: a sum with unequal weights, so that no term cancels. */
const weights = (size: number) => noise(99, size)

/** Result and gradients of the weighted sum of the results. */
const differentiate = (
  { name, inputs, shape }: Operation,
  form: (inputs: Tensors) => tf.Tensor,
  values = valuesOf(inputs),
) => {
  const keys = Object.keys(inputs)
  const byKey = (tensors: ReadonlyArray<tf.Tensor>) =>
    Object.fromEntries(keys.map((key, i) => [key, tensors[i]]))
  const outputs: Signature = { ...inputs, result: f32(...shape) }
  return run(
    program({
      name,
      inputs: { ...inputs, upstream: f32(...shape) },
      outputs,
      body: ({ upstream, ...tensors }: Tensors) => {
        const f = (...xs: Array<tf.Tensor>) => tf.sum<tf.Scalar>(tf.mul(upstream, form(byKey(xs))))
        return { ...byKey(tf.grads(f)(keys.map((key) => tensors[key]))), result: form(tensors) }
      },
    }),
    { ...values, upstream: weights(sizeOf(shape)) },
  )
}

/** Central differences of the weighted sum in float64. */
const finiteDifferences = ({ inputs, float64, shape }: Operation, key: string): Float64Array => {
  const h = 1e-5
  const upstream = weights(sizeOf(shape))
  const values = inFloat64(valuesOf(inputs))
  const at = (i: number, displacement: number) =>
    float64({ ...values, [key]: values[key].with(i, values[key][i] + displacement) }).reduce(
      (sum, value, j) => sum + value * upstream[j],
      0,
    )
  return values[key].map((_, i) => (at(i, h) - at(i, -h)) / (2 * h))
}

layer(eager)("the model's own operations", (it) => {
  describe.each(operations)("$name", (operation) => {
    const keys = Object.keys(operation.inputs)

    it.effect("is what its definition says", () =>
      Effect.gen(function* () {
        const { result } = yield* differentiate(operation, operation.fused)
        assertClose(result, operation.float64(inFloat64(valuesOf(operation.inputs))), 1e-6)
      }),
    )

    it.effect("has the gradient of its composed form", () =>
      Effect.gen(function* () {
        const fused = yield* differentiate(operation, operation.fused)
        const composed = yield* differentiate(operation, operation.composed)
        for (const key of keys) assertClose(fused[key], composed[key], 1e-5, key)
      }),
    )

    it.effect("has the gradient of finite differences", () =>
      Effect.gen(function* () {
        const gradients = yield* differentiate(operation, operation.fused)
        for (const key of keys) assertClose(gradients[key], finiteDifferences(operation, key), 1e-5, key)
      }),
    )
  })

  it.effect("normalize of a constant row is zero, with a finite gradient", () =>
    Effect.gen(function* () {
      const [, operation] = operations
      const constant = { x: new Float32Array(n * d).fill(3) }
      const { result, x } = yield* differentiate(operation, operation.fused, constant)
      assertClose(result, new Float32Array(n * d), 0)
      assert.isTrue(Array.from(x).every(Number.isFinite))
    }),
  )
})
