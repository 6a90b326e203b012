import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { f32, program, scan } from "../../../src/model/Program.ts"
import { Ensembles } from "../../../src/services/engine/Ensembles.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { OutOfMemory, SignatureMismatch, TensorEngine } from "../../../src/services/TensorEngine.ts"
import { eager } from "../../model/samples.ts"

const doubled = program({
  name: "doubled",
  inputs: { x: f32(2) },
  outputs: { y: f32(2) },
  body: ({ x }) => ({ y: tf.mul(x, 2) }),
})

const squared = program({ ...doubled, name: "squared", body: ({ x }) => ({ y: tf.square(x) }) })

const summed = scan({
  name: "summed",
  carry: { total: f32() },
  xs: { x: f32() },
  constants: {},
  ys: { total: f32() },
  step: ({ total }, { x }) => {
    const next = tf.add(total, x)
    return { carry: { total: next }, y: { total: next } }
  },
})

/** What an engine was asked for, and what it holds. */
interface Seen {
  readonly runs: Array<string>
  open: number
}

interface Watched {
  readonly full?: ReadonlyArray<string>
  /** What every run waits for. */
  readonly gate?: Effect.Effect<void>
}

/** The eager engine, watched; the programs named in `full` do not fit its memory. */
const watched = (seen: Seen, { full = [], gate = Effect.void }: Watched) =>
  Layer.effect(
    TensorEngine,
    Effect.map(TensorEngine, (engine) => {
      const opened = Effect.acquireRelease(
        Effect.sync(() => {
          seen.open += 1
        }),
        () =>
          Effect.sync(() => {
            seen.open -= 1
          }),
      )
      const running = Effect.fnUntraced(function* (name: string) {
        seen.runs.push(name)
        yield* gate
        if (full.includes(name)) {
          return yield* new OutOfMemory({ program: name, engine: "watched", wanted: 2e6, free: 1e6 })
        }
      })
      return TensorEngine.of({
        ...engine,
        compile: (program) =>
          Effect.andThen(
            opened,
            Effect.map(engine.compile(program), ({ run }) => ({
              run: (inputs: Parameters<typeof run>[0]) => Effect.andThen(running(program.name), run(inputs)),
            })),
          ),
        compileScan: (scan) =>
          Effect.andThen(
            opened,
            Effect.map(engine.compileScan(scan), ({ run }) => ({
              run: (inputs: Parameters<typeof run>[0]) => Effect.andThen(running(scan.name), run(inputs)),
            })),
          ),
      })
    }),
  ).pipe(Layer.provide(eager))

const said: Array<string> = []
const progress = Layer.succeed(
  Progress,
  Progress.of({
    running: (_, effect) => effect,
    step: () => Effect.void,
    cached: () => Effect.void,
    plan: () => Effect.void,
    say: (line) => Effect.sync(() => said.push(line)),
  }),
)

const ensembles = (seen: Seen, { most = 16, ...options }: { readonly most?: number } & Watched = {}) =>
  Ensembles.layer({ most }).pipe(Layer.provide([watched(seen, options), progress]))

const nothing = (): Seen => ({ runs: [], open: 0 })

const vectors = (count: number) => Array.from({ length: count }, (_, i) => Float32Array.of(i, i + 0.5))

/** Opens a program so many times, and calls them all at once. */
const together = Effect.fnUntraced(function* (count: number, one = doubled) {
  const { compile } = yield* TensorEngine
  const opened = yield* Effect.forEach(vectors(count), () => compile(one))
  return yield* Effect.forEach(vectors(count), (x, i) => opened[i].run({ x }), { concurrency: "unbounded" })
}, Effect.scoped)

const doubles = (count: number) => vectors(count).map((x) => ({ y: x.map((value) => 2 * value) }))

describe("an engine with ensembles", () => {
  it.effect("computes calls of the same program as one, and answers each with its own", () => {
    const seen = nothing()
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* together(5), doubles(5))
      assert.deepStrictEqual(seen, { runs: ["doubled x5"], open: 0 })
    }).pipe(Effect.provide(ensembles(seen)))
  })

  it.effect("runs a program that is called once as it is", () => {
    const seen = nothing()
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* together(1), doubles(1))
      assert.deepStrictEqual(seen.runs, ["doubled"])
    }).pipe(Effect.provide(ensembles(seen)))
  })

  it.effect("takes programs for the same by what they compute", () => {
    const seen = nothing()
    const again = program({ ...doubled, body: ({ x }) => ({ y: tf.mul(x, 2) }) })
    const tripled = program({ ...doubled, body: ({ x }) => ({ y: tf.mul(x, 3) }) })
    return Effect.gen(function* () {
      const { compile } = yield* TensorEngine
      const opened = yield* Effect.forEach([doubled, again, tripled, squared], (one) => compile(one))
      const x = Float32Array.of(3, 4)
      const results = yield* Effect.forEach(opened, ({ run }) => run({ x }), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        results.map(({ y }) => y[0]),
        [6, 6, 9, 9],
      )
      assert.sameMembers(seen.runs, ["doubled x2", "doubled", "squared"])
    }).pipe(Effect.scoped, Effect.provide(ensembles(seen)))
  })

  it.effect("computes scans of the same length as one", () => {
    const seen = nothing()
    return Effect.gen(function* () {
      const { compileScan } = yield* TensorEngine
      const xs = [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8],
      ]
      const opened = yield* Effect.forEach(xs, () => compileScan(summed))
      const results = yield* Effect.forEach(
        opened,
        ({ run }, i) =>
          run({ carry: { total: Float32Array.of(i) }, xs: { x: Float32Array.from(xs[i]) }, constants: {} }),
        { concurrency: "unbounded" },
      )
      assert.deepStrictEqual(
        results.map(({ carry, ys }) => [...carry.total, ...ys.total]),
        [
          [6, 1, 3, 6],
          [16, 5, 10, 16],
          [17, 9, 17],
        ],
      )
      assert.deepStrictEqual(seen.runs, ["summed x2", "summed"])
    }).pipe(Effect.scoped, Effect.provide(ensembles(seen)))
  })

  it.effect("makes none larger than it may", () => {
    const seen = nothing()
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* together(8), doubles(8))
      assert.deepStrictEqual(seen.runs, ["doubled x4", "doubled x4"])
    }).pipe(Effect.provide(ensembles(seen, { most: 4 })))
  })

  it.live("does not wait for ever for somebody who does not call", () => {
    const seen = nothing()
    return Effect.gen(function* () {
      const { compile } = yield* TensorEngine
      const opened = yield* Effect.forEach(vectors(3), () => compile(doubled))
      const x = Float32Array.of(1, 2)
      const results = yield* Effect.forEach(opened.slice(1), ({ run }) => run({ x }), {
        concurrency: "unbounded",
      })
      assert.lengthOf(results, 2)
      assert.deepStrictEqual(seen.runs, ["doubled x2"])
    }).pipe(Effect.scoped, Effect.provide(ensembles(seen)))
  })

  it.effect("computes what others asked for where one is interrupted, or asks for what does not fit", () => {
    const seen = nothing()
    return Effect.gen(function* () {
      const { compile } = yield* TensorEngine
      const opened = yield* Effect.forEach(vectors(4), () => compile(doubled))
      const call = (i: number, x: Float32Array) =>
        Effect.forkChild(opened[i].run({ x }), { startImmediately: true })
      const gone = yield* call(0, Float32Array.of(0, 0))
      yield* Fiber.interrupt(gone)
      const misfit = yield* Effect.flip(opened[1].run({ x: new Float32Array(3) }))
      assert.instanceOf(misfit, SignatureMismatch)
      const rest = yield* Effect.forEach([0, 1, 2, 3], (i) => call(i, Float32Array.of(i, i)))
      const results = yield* Effect.forEach(rest, Fiber.join)
      assert.deepStrictEqual(
        results.map(({ y }) => y[1]),
        [0, 2, 4, 6],
      )
      assert.deepStrictEqual(seen.runs, ["doubled x4"])
    }).pipe(Effect.scoped, Effect.provide(ensembles(seen)))
  })

  it.effect("closes nothing that is being computed, and everything after", () => {
    const seen = nothing()
    return Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      yield* Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(together(3), { startImmediately: true })
        while (seen.runs.length === 0) yield* Effect.yieldNow
        const interruption = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        yield* Effect.yieldNow
        assert.strictEqual(seen.open, 1)
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(interruption)
        assert.strictEqual(seen.open, 0)
      }).pipe(Effect.provide(ensembles(seen, { gate: Deferred.await(gate) })))
    })
  })

  it.effect("fails all whom a failure concerns", () => {
    const broken = program({
      ...doubled,
      name: "broken",
      body: ({ x }) => ({ y: tf.reshape(x, [3]) }),
    })
    const seen = nothing()
    return Effect.gen(function* () {
      const exits = yield* Effect.exit(together(2, broken))
      assert.isTrue(Exit.isFailure(exits))
      assert.deepStrictEqual(yield* together(2), doubles(2))
      assert.strictEqual(seen.open, 0)
    }).pipe(Effect.provide(ensembles(seen)))
  })

  it.effect("makes smaller ones where memory is short, and says so once", () => {
    const seen = nothing()
    said.length = 0
    return Effect.gen(function* () {
      const { compile } = yield* TensorEngine
      const opened = yield* Effect.forEach(vectors(8), () => compile(doubled))
      const all = Effect.forEach(vectors(8), (x, i) => opened[i].run({ x }), { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* all, doubles(8))
      assert.deepStrictEqual(yield* all, doubles(8))
      const pairs = Array.from({ length: 8 }, () => "doubled x2")
      assert.deepStrictEqual(seen.runs, ["doubled x8", "doubled x4", ...pairs])
      assert.deepStrictEqual(said, [
        "engine watched is out of memory in program doubled x4: it wanted 2 MB where 1 MB is free; going on with 2 at a time, which fit",
      ])
    }).pipe(Effect.scoped, Effect.provide(ensembles(seen, { full: ["doubled x8", "doubled x4"] })))
  })

  it.effect("fails where not even one fits", () => {
    const seen = nothing()
    return Effect.gen(function* () {
      const error = yield* Effect.flip(together(2))
      assert.instanceOf(error, OutOfMemory)
      assert.include(error.message, "take fewer workers, a smaller model or a smaller batch")
    }).pipe(Effect.provide(ensembles(seen, { full: ["doubled x2", "doubled"] })))
  })
})
