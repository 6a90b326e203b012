/** The exact perturbation energy differentiates the gradients of the model's operations once more. */
import { describe, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Layer } from "effect"
import { linear, normalize, scaledGelu, sigmoid } from "../../src/model/kernels.ts"
import { f32, program, type Signature, sizeOf } from "../../src/model/Program.ts"
import { attend } from "../../src/model/transformer.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../src/services/engine/onnx/OnnxEngine.ts"
import { assertClose } from "./close.ts"
import * as float64 from "./float64.ts"
import { eager, noise, run } from "./samples.ts"

const [n, d, out] = [3, 6, 4]

type Values = Readonly<Record<string, Float64Array>>

interface Operation {
  readonly name: string
  readonly inputs: Signature
  readonly result: number
  readonly tensors: (inputs: Record<string, tf.Tensor>) => tf.Tensor
  readonly float64: (inputs: Values) => ArrayLike<number>
}

const row = (x: Float64Array, i: number, width: number) => x.subarray(i * width, (i + 1) * width)

const operations: ReadonlyArray<Operation> = [
  {
    name: "linear",
    inputs: { x: f32(n, d), w: f32(out, d) },
    result: n * out,
    tensors: ({ x, w }) => linear(x, w, tf.ones([out])),
    float64: ({ x, w }) =>
      Array.from({ length: n * out }, (_, i) =>
        row(w, i % out, d).reduce((sum, wj, j) => sum + wj * row(x, Math.floor(i / out), d)[j], 1),
      ),
  },
  {
    name: "normalize",
    inputs: { x: f32(n, d) },
    result: n * d,
    tensors: ({ x }) => normalize(x),
    float64: ({ x }) => [0, 1, 2].flatMap((i) => Array.from(float64.normalize(row(x, i, d)))),
  },
  {
    name: "scaledGelu",
    inputs: { x: f32(n, d) },
    result: n * d,
    tensors: ({ x }) => scaledGelu(x),
    float64: ({ x }) => x.map((z) => Math.SQRT2 * float64.gelu(Math.SQRT2 * z)),
  },
  {
    name: "sigmoid",
    inputs: { x: f32(n, d) },
    result: n * d,
    tensors: ({ x }) => sigmoid(x),
    float64: ({ x }) => x.map(float64.sigmoid),
  },
  {
    name: "attention",
    inputs: { q: f32(n, d), k: f32(n, d), v0: f32(n, d), v1: f32(n, d) },
    result: n * d,
    tensors: ({ q, k, v0, v1 }) =>
      attend(q, { keyDifference: k, valueDifference: tf.sub(v0, v1), value: v1 }, 2),
    float64: ({ q, k, v0, v1 }) =>
      q.map((_, i) => {
        const head = Math.floor(i / (d / 2)) * (d / 2)
        const score = [0, 1, 2].reduce((sum, j) => sum + q[head + j] * k[head + j], 0) / Math.sqrt(d / 2)
        const weight = 1 / (1 + Math.exp(-score))
        return weight * v0[i] + (1 - weight) * v1[i]
      }),
  },
]

const valuesOf = (inputs: Signature, seed: number): Readonly<Record<string, Float32Array>> =>
  Object.fromEntries(
    Object.entries(inputs).map(([key, { shape }], i) => [key, noise(seed + i, sizeOf(shape), 1.1)]),
  )

/** Hessian of f = Σ uⱼ resultⱼ in all inputs together, times a direction: one part for each input. */
const hessianProduct = ({ name, inputs, result, tensors }: Operation) => {
  const keys = Object.keys(inputs)
  const directions = Object.fromEntries(keys.map((key) => [`along.${key}`, inputs[key]]))
  const signature: Signature = { ...inputs, ...directions, upstream: f32(result) }
  return program({
    name: `Hessian of ${name}`,
    inputs: signature,
    outputs: inputs,
    body: (given: Record<string, tf.Tensor>) => {
      const at = keys.map((key) => given[key])
      const f = (...xs: Array<tf.Tensor>) => {
        const named = Object.fromEntries(keys.map((key, i) => [key, xs[i]]))
        return tf.sum<tf.Scalar>(tf.mul(given.upstream, tf.reshape(tensors(named), [-1])))
      }
      const slope = (...xs: Array<tf.Tensor>) =>
        tf.addN(
          tf
            .grads(f)(xs)
            .map((g, i) => tf.sum<tf.Scalar>(tf.mul(g, given[`along.${keys[i]}`]))),
        )
      const second = tf.grads(slope)(at)
      return Object.fromEntries(keys.map((key, i) => [key, second[i]]))
    },
  })
}

const inFloat64 = (values: Readonly<Record<string, Float32Array>>): Values =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Float64Array.from(value)]))

/** The same by mixed central differences of f in float64, for one input. */
const mixedDifferences = (
  { result, ...operation }: Operation,
  values: Values,
  along: Values,
  upstream: Float32Array,
  key: string,
): Float64Array => {
  const h = 1e-4
  const f = (s: number, i: number, t: number) => {
    const moved = Object.fromEntries(
      Object.entries(values).map(([name, x]) => [name, x.map((value, j) => value + s * along[name][j])]),
    )
    moved[key][i] += t
    const y = operation.float64(moved)
    return Array.from({ length: result }, (_, j) => y[j] * upstream[j]).reduce((sum, value) => sum + value)
  }
  return values[key].map((_, i) => (f(h, i, h) - f(h, i, -h) - f(-h, i, h) + f(-h, i, -h)) / (4 * h * h))
}

const onnx = OnnxEngine.layer({ threads: 1 }).pipe(Layer.provide(CodeFingerprint.layer))

describe.each([
  { engine: "eager", services: eager },
  { engine: "onnx", services: onnx },
])("second derivatives on the $engine engine", ({ services }) => {
  layer(services)((it) => {
    it.effect.each(operations)("of $name are those of finite differences", (operation) =>
      Effect.gen(function* () {
        const { inputs, result } = operation
        const values = valuesOf(inputs, 1)
        const along = valuesOf(inputs, 21)
        const upstream = noise(41, result)
        const named = Object.fromEntries(Object.entries(along).map(([key, v]) => [`along.${key}`, v]))
        const products = yield* run(hessianProduct(operation), { ...values, ...named, upstream })
        for (const key of Object.keys(inputs)) {
          const expected = mixedDifferences(operation, inFloat64(values), inFloat64(along), upstream, key)
          assertClose(products[key], expected, 1e-5, key)
        }
      }),
    )
  })
})
