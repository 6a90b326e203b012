/** What `doctor` says of an engine: whether it works here, how fast it multiplies, and how far it is from the reference. */
import * as tf from "@tensorflow/tfjs"
import { Clock, Effect, Layer, Schema } from "effect"
import { initialParameters } from "../../model/initialise.ts"
import { type ModelShape, makeLayout } from "../../model/layout.ts"
import { type OptimizerConfig, stepScalars } from "../../model/optimizer.ts"
import { f32, program } from "../../model/Program.ts"
import { trainSteps } from "../../model/programs.ts"
import { integers, stream } from "../../numerics/random.ts"
import { median } from "../../numerics/statistics.ts"
import { CodeFingerprint } from "../CodeFingerprint.ts"
import { processor } from "../machine.ts"
import { TensorEngine } from "../TensorEngine.ts"
import { EagerEngine } from "./eager/EagerEngine.ts"
import { type EngineName, engineLayer, engineNames, isOnGpu } from "./engines.ts"

export const Checked = Schema.Struct({
  engine: Schema.Literals(engineNames),
  usable: Schema.Boolean,
  /** Of the engine and what it runs on; part of every key. Null where it cannot be used. */
  version: Schema.NullOr(Schema.String),
  /** What it computes on. */
  device: Schema.String,
  /** Rate of float32 matrix products, in GFLOP/s. */
  products: Schema.NullOr(Schema.Finite),
  /** Milliseconds of a training step of the size that it was timed at: the paper's. */
  step: Schema.NullOr(Schema.Finite),
  /** Largest relative difference of parameters to the reference after a few training steps of a small model. */
  error: Schema.NullOr(Schema.Finite),
  /** Why it cannot be used, and the one thing to do next. */
  because: Schema.NullOr(Schema.String),
  next: Schema.NullOr(Schema.String),
})
export type Checked = typeof Checked.Type

/** A difference larger than this is no rounding. */
export const TOLERANCE = 1e-4

const SIDE = 512
const PRODUCTS = 4
const ROUNDS = 7
const STEPS = 10
/** No round begins after so many nanoseconds, or a device without real hardware would take minutes. */
const ENOUGH = 1e9

const products = program({
  name: "products",
  inputs: { x: f32(SIDE, SIDE) },
  outputs: { y: f32(SIDE, SIDE) },
  body: ({ x }) => {
    let y = x
    for (let i = 0; i < PRODUCTS; i++) y = tf.matMul(y, x)
    return { y }
  },
})

/** GFLOP/s of products, the first round apart. */
const rateOfProducts = Effect.gen(function* () {
  const engine = yield* TensorEngine
  const { run } = yield* engine.compile(products)
  const x = new Float32Array(SIDE * SIDE).fill(1 / SIDE)
  yield* run({ x })
  const took: Array<number> = []
  const spent = () => took.reduce((total, nanoseconds) => total + nanoseconds, 0)
  while (took.length < ROUNDS && spent() < ENOUGH) took.push(yield* nanoseconds(run({ x })))
  return (2 * PRODUCTS * SIDE ** 3) / median(took)
}).pipe(Effect.scoped)

/** The training that engines are timed with. */
export interface Timed {
  readonly shape: ModelShape
  readonly optimizer: OptimizerConfig
  readonly batchSize: number
}

/** A training that an engine is checked with; `run` does so many steps of it from the start and returns the parameters. */
const openTraining = Effect.fn("openTraining")(function* ({ shape, optimizer, batchSize: batch }: Timed) {
  const layout = makeLayout(shape)
  const engine = yield* TensorEngine
  const { run } = yield* engine.compileScan(trainSteps(layout, optimizer, batch))
  const zeros = new Float32Array(layout.size)
  const start = { theta: initialParameters(layout, 1), first: zeros, second: zeros }
  return Effect.fnUntraced(function* (steps: number) {
    const draw = (column: number) => integers(stream(1, "batch", column), steps * batch, shape.modulus)
    const scalars = Array.from({ length: steps }, (_, i) => stepScalars(optimizer, i + 1))
    const { carry } = yield* run({
      carry: start,
      xs: {
        a: draw(0),
        b: draw(1),
        label: draw(2),
        stepSize: Float32Array.from(scalars, (s) => s.stepSize),
        decay: Float32Array.from(scalars, (s) => s.decay),
        denominatorScale: Float32Array.from(scalars, (s) => s.denominatorScale),
      },
      constants: {},
    })
    return carry.theta
  })
})

/** Small enough for the reference. */
const small: ModelShape = { modulus: 11, tasks: 1, width: 16, heads: 2, feedForward: 32, layers: 2 }

/** Parameters after a few training steps of a small model. */
const trained = (optimizer: OptimizerConfig) =>
  Effect.scoped(Effect.flatMap(openTraining({ shape: small, optimizer, batchSize: 32 }), (run) => run(3)))

/** Nanoseconds that an effect takes. */
const nanoseconds = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const start = yield* Clock.currentTimeNanos
  yield* effect
  return Number((yield* Clock.currentTimeNanos) - start)
})

/** Milliseconds of a training step, once warm. */
const stepTime = Effect.fn("stepTime")(function* (timed: Timed) {
  const run = yield* openTraining(timed)
  yield* run(1)
  const one = yield* nanoseconds(run(1))
  return (one > ENOUGH ? one : (yield* nanoseconds(run(STEPS))) / STEPS) / 1e6
}, Effect.scoped)

const largest = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

const device = (name: EngineName, threads: number): string =>
  isOnGpu(name) ? "the GPU" : `${processor().cpu}, ${threads} threads`

/**
 * Checks an engine in this process.
 * @param idle ends when the machine has nothing else to do: rates are measured then
 */
export const checkEngine = Effect.fn("checkEngine")(function* (
  engine: EngineName,
  threads: number,
  timed: Timed,
  idle: Effect.Effect<unknown>,
) {
  const nothing = { engine, version: null, device: "", products: null, step: null, error: null }
  const checked = Effect.gen(function* () {
    const expected = yield* Effect.provide(trained(timed.optimizer), EagerEngine.layer({ backend: "cpu" }))
    const actual = yield* trained(timed.optimizer)
    const error = largest(actual.map((value, i) => value - expected[i])) / largest(expected)
    const usable = error <= TOLERANCE
    yield* idle
    return {
      engine,
      usable,
      version: yield* Effect.flatMap(TensorEngine, ({ version }) => version),
      device: device(engine, threads),
      products: yield* rateOfProducts,
      step: yield* stepTime(timed),
      error,
      because: usable ? null : `it is off by ${error.toExponential(1)} after three training steps`,
      next: usable ? null : "use another engine, and report it with the lines above",
    } satisfies Checked
  })
  return yield* checked.pipe(
    Effect.provide(engineLayer(engine, { threads }).pipe(Layer.provideMerge(CodeFingerprint.layer))),
    Effect.catchTag("EngineUnavailable", ({ because, next }) =>
      Effect.succeed<Checked>({ ...nothing, usable: false, because, next }),
    ),
    Effect.catch(({ message }) =>
      Effect.succeed<Checked>({
        ...nothing,
        usable: false,
        because: message,
        next: "use another engine, and report it with this line",
      }),
    ),
  )
})
