/**
 * Programs run eagerly, operation by operation, on a TensorFlow.js backend: the reference engine on its own backend, the
 * engines `tfjs-node` and `tfjs-node-gpu` on TensorFlow's.
 *
 * What a call needs from step to step (the carry and the constants of a scan) stays on the device, held by the Effect Scope of the
 * call; every other tensor lives within one operation of it. None outlives the call: on success, failure and
 * interruption alike.
 */
import * as tf from "@tensorflow/tfjs"
import { Effect, Layer } from "effect"
import { composedKernels } from "../../../model/kernels.ts"
import { mapSignature, type Signature, sizeOf, type Tensors, type Values } from "../../../model/Program.ts"
import { SignatureMismatch, TensorEngine } from "../../TensorEngine.ts"
import { failureOf } from "../failure.ts"
import { onBackend } from "../onBackend.ts"
import { checkResult, checkValues, type Results, scanLength } from "../signature.ts"

/** A backend of TensorFlow.js: its own, in JavaScript, or TensorFlow's (`tfjsNode/TfjsNodeEngine.ts` registers it). */
type Backend = "cpu" | "tensorflow"

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

/** Tensors on the device. Given away: whoever holds them disposes of them. */
type Held = ReadonlyArray<tf.Tensor>

const dispose = (tensors: Held): void => {
  for (const tensor of tensors) tensor.dispose()
}

/** Copies of tensors, which share their memory, that outlive the operation that makes them. */
const keep = <S extends Signature>(signature: S, tensors: Tensors<S>): Tensors<S> =>
  mapSignature(signature, (key) => tf.keep(tf.clone(tensors[key])))

/** What the scope holds: nothing yet. Replacing it disposes of what it held before. */
const holder = Effect.acquireRelease(
  Effect.sync(() => {
    let held: Held = []
    return {
      replace: (next: Held): void => {
        dispose(held)
        held = next
      },
    }
  }),
  ({ replace }) => Effect.sync(() => replace([])),
)

export const EagerEngine = {
  /**
   * @param id of the engine, part of every key
   * @param version of what it runs on, part of every key
   */
  layer: ({
    backend,
    id = `tfjs-${backend}`,
    version = `@tensorflow/tfjs@${tf.version_core}`,
    onGpu = false,
  }: {
    readonly backend: Backend
    readonly id?: string
    readonly version?: string
    readonly onGpu?: boolean
  }) =>
    Layer.sync(TensorEngine, () => {
      /** Runs synchronous TensorFlow.js code on the backend; every tensor made in it is freed, unless it is kept. */
      const compute = <A>(program: string, body: () => A) =>
        Effect.try({
          try: () => {
            tf.env().set("IS_NODE", false) // or TensorFlow.js advertises its native backend
            registerComposedKernels(backend)
            return onBackend(backend, body)
          },
          catch: (cause) =>
            cause instanceof SignatureMismatch ? cause : failureOf({ program, engine: id, onGpu }, cause),
        })

      return TensorEngine.of({
        id,
        version: Effect.succeed(version),
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
              const [ofConstants, ofCarry] = [yield* holder, yield* holder]
              /** Puts tensors that `make` returns into the place of those held before. */
              const hold = <S extends Signature>(
                { replace }: Effect.Success<typeof holder>,
                signature: S,
                make: () => Tensors<S>,
              ) =>
                compute(name, () => {
                  const kept = keep(signature, make())
                  replace(Object.values(kept))
                  return kept
                })
              const fixed = yield* hold(ofConstants, constants, () => toTensors(constants, values.constants))
              let state = yield* hold(ofCarry, carry, () => toTensors(carry, values.carry))
              const stacked: Array<Values<typeof ys>> = []
              for (let i = 0; i < length; i++) {
                // Between steps is where a run can be interrupted.
                yield* Effect.yieldNow
                state = yield* hold(ofCarry, carry, () => {
                  const next = step(state, toTensors(xs, entry(xs, values.xs, i)), fixed)
                  for (const key of Object.keys(carry)) checkResult(name, carry, key, next.carry[key])
                  stacked.push(toValues(name, ys, next.y))
                  return next.carry
                })
              }
              const last = yield* compute(name, () => toValues(name, carry, state))
              return { carry: last, ys: stack(ys, stacked) }
            }, Effect.scoped),
          }),
      })
    }),
}
