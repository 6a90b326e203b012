/**
 * Agreement between a worker thread and the main thread on when the worker may be terminated: never within native
 * code, because onnxruntime then aborts the whole process. One shared counter: how many calls are inside of native
 * code, or `SEALED`, after which none may enter any more.
 */
import { Effect, Layer, Scope } from "effect"
import { TensorEngine } from "../TensorEngine.ts"

export type Counter = Int32Array<SharedArrayBuffer>

const SEALED = -1

export const makeCounter = (): Counter => new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))

/** On the main thread: waits until no call is inside, and lets none in. */
export const seal = (counter: Counter): Effect.Effect<void> =>
  Effect.suspend(() => {
    const inside = Atomics.compareExchange(counter, 0, 0, SEALED)
    if (inside === 0 || inside === SEALED) return Effect.void
    const change = Atomics.waitAsync(counter, 0, inside)
    return Effect.andThen(
      Effect.promise(() => Promise.resolve(change.value)),
      seal(counter),
    )
  })

/** On the main thread: the worker thread is over, whatever it was inside of. */
export const forget = (counter: Counter): void => {
  Atomics.store(counter, 0, 0)
  Atomics.notify(counter, 0)
}

const enter = (counter: Counter): Effect.Effect<void> =>
  Effect.suspend(() => {
    const inside = Atomics.load(counter, 0)
    if (inside === SEALED) return Effect.never
    return Atomics.compareExchange(counter, 0, inside, inside + 1) === inside ? Effect.void : enter(counter)
  })

const leave = (counter: Counter): Effect.Effect<void> =>
  Effect.sync(() => {
    Atomics.sub(counter, 0, 1)
    Atomics.notify(counter, 0)
  })

/** On the worker thread: the tensor engine at hand, with every call of its native code counted. */
export const countNativeCode = (counter: Counter) => {
  const counted = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.acquireUseRelease(
      enter(counter),
      () => effect,
      () => leave(counter),
    )
  /** What is acquired and released is native too. */
  const countedScope = <A, E, R>(effect: Effect.Effect<A, E, R | Scope.Scope>) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Effect.addFinalizer((exit) => counted(Scope.close(scope, exit)))
      return yield* counted(Scope.provide(effect, scope))
    })
  return Layer.effect(
    TensorEngine,
    Effect.map(TensorEngine, (engine) =>
      TensorEngine.of({
        ...engine,
        compile: (program) =>
          Effect.map(countedScope(engine.compile(program)), ({ run }) => ({
            run: (inputs) => counted(run(inputs)),
          })),
        compileScan: (scan) =>
          Effect.map(countedScope(engine.compileScan(scan)), ({ run }) => ({
            run: (inputs) => counted(run(inputs)),
          })),
      }),
    ),
  )
}
