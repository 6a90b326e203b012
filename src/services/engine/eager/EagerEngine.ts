/**
 * The reference engine: programs run eagerly, operation by operation, on a TensorFlow.js backend.
 * Every tensor lives in a tidy scope of its call, so none outlives it, on success and failure alike.
 */
import * as tf from "@tensorflow/tfjs"
import { Effect, Layer } from "effect"
import { composedKernels } from "../../../model/kernels.ts"
import { mapSignature, type Signature, sizeOf, type Tensors, type Values } from "../../../model/Program.ts"
import { EngineFailure, SignatureMismatch, TensorEngine } from "../../TensorEngine.ts"
import { onBackend } from "../onBackend.ts"
import { checkResult, checkValues, type Results, scanLength } from "../signature.ts"

/** A TensorFlow.js backend that needs nothing installed. */
type Backend = "cpu"

const toTensors = <S extends Signature>(signature: S, values: Values<S>): Tensors<S> =>
  mapSignature(signature, (key, { dtype, shape }) => tf.tensor(values[key], [...shape], dtype))

/** Reads results back to the host, checked against the signature. */
const toValues = <S extends Signature>(program: string, signature: S, results: Results): Values<S> =>
  mapSignature(signature, (key, { dtype }) => {
    checkResult(program, signature, key, results[key])
    const data = results[key].dataSync() // TensorFlow.js's own array: maybe an input's, maybe of another type
    return dtype === "int32" ? Int32Array.from(data) : Float32Array.from(data)
  }) as Values<S>

/** Entry `i` of stacked values. */
const entry = <S extends Signature>(signature: S, values: Values<S>, i: number): Values<S> =>
  mapSignature(signature, (key, { shape }) => {
    const size = sizeOf(shape)
    return values[key].subarray(i * size, (i + 1) * size)
  }) as Values<S>

/** Stacks values along a new leading axis. */
const stack = <S extends Signature>(signature: S, entries: ReadonlyArray<Values<S>>): Values<S> =>
  mapSignature(signature, (key, { dtype, shape }) => {
    const size = sizeOf(shape)
    const stacked = new (dtype === "int32" ? Int32Array : Float32Array)(size * entries.length)
    for (const [i, values] of entries.entries()) stacked.set(values[key], i * size)
    return stacked
  }) as Values<S>

const registerComposedKernels = (backendName: Backend): void => {
  for (const [kernelName, composed] of Object.entries(composedKernels)) {
    if (tf.getKernel(kernelName, backendName) !== undefined) continue
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs }) => {
        // TensorFlow.js passes the very tensors that the operation was called with.
        const tensors = Object.entries(inputs).flatMap(([key, input]) =>
          input instanceof tf.Tensor ? [[key, input] as const] : [],
        )
        return [...composed(Object.fromEntries(tensors))]
      },
    })
  }
}

export const EagerEngine = {
  layer: ({ backend }: { readonly backend: Backend }) =>
    Layer.sync(TensorEngine, () => {
      const id = `tfjs-${backend}`

      /** Runs synchronous TensorFlow.js code on the backend; every tensor made in it is freed. */
      const compute = <A>(program: string, body: () => A) =>
        Effect.try({
          try: () => {
            tf.env().set("IS_NODE", false) // or TensorFlow.js advertises its native backend
            registerComposedKernels(backend)
            return onBackend(backend, body)
          },
          catch: (cause) =>
            cause instanceof SignatureMismatch ? cause : new EngineFailure({ program, engine: id, cause }),
        })

      return TensorEngine.of({
        id,
        version: Effect.succeed(`@tensorflow/tfjs@${tf.version_core}`),
        compile: ({ name, inputs, outputs, body }) =>
          Effect.succeed({
            run: Effect.fn(`EagerEngine.run ${name}`)(function* (values) {
              yield* checkValues(name, inputs, values)
              return yield* compute(name, () => toValues(name, outputs, body(toTensors(inputs, values))))
            }),
          }),
        compileScan: ({ name, carry, xs, constants, ys, step }) =>
          Effect.succeed({
            run: Effect.fn(`EagerEngine.run ${name}`)(function* (values) {
              yield* checkValues(name, carry, values.carry)
              yield* checkValues(name, constants, values.constants)
              const length = yield* scanLength(name, xs, values.xs)
              let state = values.carry
              const stacked: Array<Values<typeof ys>> = []
              for (let i = 0; i < length; i++) {
                const next = yield* compute(name, () => {
                  const result = step(
                    toTensors(carry, state),
                    toTensors(xs, entry(xs, values.xs, i)),
                    toTensors(constants, values.constants),
                  )
                  return { carry: toValues(name, carry, result.carry), y: toValues(name, ys, result.y) }
                })
                state = next.carry
                stacked.push(next.y)
              }
              return { carry: state, ys: stack(ys, stacked) }
            }),
          }),
      })
    }),
}
