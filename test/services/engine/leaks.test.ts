import { assert, describe, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Exit, Fiber, Option } from "effect"
import { f32, program, scan } from "../../../src/model/Program.ts"
import { TensorEngine } from "../../../src/services/TensorEngine.ts"
import { noise } from "../../model/samples.ts"
import { amongOthers } from "./amongOthers.ts"
import { engines } from "./engines.ts"

const size = 8
const vector = f32(size)

const plain = program({
  name: "plain",
  inputs: { x: vector },
  outputs: { y: vector },
  body: ({ x }) => ({ y: tf.mul(tf.exp(x), 2) }),
})

const broken = program({
  ...plain,
  name: "broken",
  body: ({ x }) => {
    const y = tf.grad((z) => tf.sum(tf.exp(z)))(x)
    if (y.size > 0) throw new Error("injected")
    return { y }
  },
})

const long = scan({
  name: "long",
  carry: { x: vector },
  xs: { by: f32() },
  constants: { shift: vector },
  ys: { total: f32() },
  step: ({ x }, { by }, { shift }) => {
    const next = tf.sigmoid(tf.add(tf.mul(x, by), shift))
    return { carry: { x: next }, y: { total: tf.sum(next) } }
  },
})

const x = noise(1, size)
const runs = 1000

const failsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.map(Effect.exit(effect), Exit.isFailure)

const workOf = ({ compile, compileScan }: typeof TensorEngine.Service) => ({
  succeeds: Effect.scoped(Effect.flatMap(compile(plain), ({ run }) => run({ x }))),
  fails: Effect.scoped(Effect.flatMap(compile(broken), ({ run }) => run({ x }))),
  mismatches: Effect.scoped(
    Effect.flatMap(compile(plain), ({ run }) => run({ x: new Float32Array(size + 1) })),
  ),
  scans: (steps: number) =>
    Effect.scoped(
      Effect.flatMap(compileScan(long), ({ run }) =>
        run({ carry: { x }, xs: { by: noise(2, steps) }, constants: { shift: x } }),
      ),
    ),
})

describe.each(engines)("the engine $name", ({ engine, nativeTensors }) => {
  layer(engine)((it) => {
    it.effect(
      `holds nothing after ${runs} runs that succeed, fail, time out or are interrupted`,
      () =>
        Effect.gen(function* () {
          const { succeeds, fails, mismatches, scans } = workOf(yield* TensorEngine)
          const ensemble = workOf(yield* TensorEngine.pipe(Effect.provide(amongOthers)))
          const interrupted = Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(scans(20), { startImmediately: true })
            yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
            return yield* Fiber.await(fiber)
          })
          const timed = Effect.orDie(Effect.timeoutOption(scans(20), "0 millis"))
          const kinds: ReadonlyArray<Effect.Effect<boolean>> = [
            failsOf(succeeds),
            failsOf(fails),
            failsOf(scans(3)),
            failsOf(ensemble.succeeds),
            failsOf(ensemble.fails),
            failsOf(ensemble.scans(3)),
            failsOf(mismatches),
            Effect.map(interrupted, Exit.isFailure),
            Effect.map(timed, Option.isNone),
          ]
          const counts = () => ({ tensors: tf.memory().numTensors, native: nativeTensors() })

          yield* succeeds
          const before = counts()
          let failed = 0
          for (let i = 0; i < runs; i++) {
            if (yield* kinds[i % kinds.length]) failed += 1
          }
          assert.deepStrictEqual(counts(), before)
          assert.isAtLeast(failed, Math.floor(runs / 3))
        }),
      120_000,
    )
  })
})
