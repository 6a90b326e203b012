import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { ArtifactRef } from "../../src/services/Artifact.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { computeStage } from "../../src/services/executor/computeStage.ts"
import { Executor } from "../../src/services/executor/Executor.ts"
import { pastRuns } from "../../src/services/Journal.ts"
import { Progress } from "../../src/services/Progress.ts"
import { referencesOf } from "../../src/services/references.ts"
import { type Cursor, type Stage, stage } from "../../src/services/Stage.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { digestOf } from "../../src/services/store/canonical.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { temporaryStore } from "./store/temporary.ts"

/** An engine that no stage of these tests may touch. */
const engine = (version = "1.0") =>
  Layer.succeed(TensorEngine, {
    id: "untouched",
    version: Effect.succeed(version),
    compile: () => Effect.die("compiled a program"),
    compileScan: () => Effect.die("compiled a scan"),
  })

const code = (fingerprint = "some code") =>
  Layer.succeed(CodeFingerprint, { of: (module) => Effect.succeed(`${fingerprint} of ${module}`) })

/** Computes everything that it is asked for at the same time. */
const allAtOnce: ReturnType<typeof Executor.inProcess> = Layer.effect(
  Executor,
  Effect.map(ArtifactStore, (store) =>
    Executor.of({
      workers: Number.POSITIVE_INFINITY,
      compute: (stage, input, { cursorKey }) =>
        Effect.asSome(Effect.provideService(computeStage(stage, input, cursorKey), ArtifactStore, store)),
    }),
  ),
)

/** A runner on the store at hand, as another process would have it. */
const runner = (
  options: {
    readonly code?: string
    readonly engine?: string
    readonly executor?: ReturnType<typeof Executor.inProcess>
  } = {},
) =>
  Layer.fresh(StageRunner.layer().pipe(Layer.provide(options.executor ?? Executor.inProcess()))).pipe(
    Layer.provide([code(options.code), engine(options.engine), Progress.silent]),
  )

/** A runner on an empty store. */
const services = () => runner().pipe(Layer.provideMerge(temporaryStore()))

const Input = Schema.Struct({
  a: Schema.Finite,
  b: Schema.Struct({ c: Schema.String, d: Schema.NullOr(Schema.Int) }),
})
const Output = Schema.Struct({ text: ArtifactRef, length: Schema.Int })

/** A stage that stores its input as text, and how often it ran. */
const textStage = (
  overrides: { readonly version?: number; readonly usesEngine?: boolean; readonly name?: string } = {},
) => {
  const runs: Array<typeof Input.Type> = []
  const write = stage({
    name: "write-text",
    version: 1,
    module: "file:///write-text.ts",
    input: Input,
    output: Output,
    usesEngine: false,
    ...overrides,
    run: Effect.fn(function* (input) {
      runs.push(input)
      const store = yield* ArtifactStore
      const text = new TextEncoder().encode(`${input.a} ${input.b.c} ${input.b.d}`)
      return { text: yield* store.put("json", text), length: text.length }
    }),
  })
  return { write, runs }
}

const input = { a: 1.5, b: { c: "x", d: null } }

describe("a stage", () => {
  it.effect("runs once for an input; after that its stored output is returned", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const { write, runs } = textStage()
      const first = yield* run(write, input)
      const second = yield* run(write, input)
      assert.lengthOf(runs, 1)
      assert.isFalse(first.cached)
      assert.deepStrictEqual(second, { ...first, cached: true })
      assert.strictEqual(first.output.length, "1.5 x null".length)
    }).pipe(Effect.provide(services())),
  )

  it.effect("that several ask for under other labels is listed once, whoever comes first as the same", () =>
    Effect.gen(function* () {
      const listed = (...labels: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const { run, history } = yield* StageRunner
          for (const label of labels) yield* run(textStage().write, input, label)
          return (yield* history).map(({ label, cached }) => ({ label, cached }))
        }).pipe(Effect.provide(services()))
      const expected = [{ label: "K=3", cached: false }]
      assert.deepStrictEqual(yield* listed("K=3", "ε=0.005"), expected)
      assert.deepStrictEqual(yield* listed("ε=0.005", "K=3"), expected)
    }),
  )

  it.effect("is not run again by another process on the same store", () =>
    Effect.gen(function* () {
      const { write, runs } = textStage()
      for (const cached of [false, true]) {
        const result = yield* Effect.flatMap(StageRunner, ({ run }) => run(write, input)).pipe(
          Effect.provide(runner()),
        )
        assert.strictEqual(result.cached, cached)
      }
      assert.lengthOf(runs, 1)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("is not run by a runner that only looks: what is stored is returned, the rest is an error", () =>
    Effect.gen(function* () {
      const { write, runs } = textStage()
      const looking = StageRunner.peeking.pipe(Layer.provide([code(), engine(), Progress.silent]))
      const look = Effect.flatMap(StageRunner, ({ run }) => run(write, input, "a label")).pipe(
        Effect.provide(looking),
      )
      const missing = yield* Effect.flip(look)
      assert.strictEqual(missing._tag, "NotStored")
      assert.lengthOf(runs, 0)
      const computed = yield* Effect.flatMap(StageRunner, ({ run }) => run(write, input)).pipe(
        Effect.provide(runner()),
      )
      assert.deepStrictEqual(yield* look, { ...computed, cached: true })
      assert.strictEqual(missing._tag === "NotStored" ? missing.key : "", computed.key)
      assert.lengthOf(runs, 1)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("does not see the order of its input's fields", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const { write, runs } = textStage()
      const first = yield* run(write, { a: 1, b: { c: "x", d: 2 } })
      const second = yield* run(write, { b: { d: 2, c: "x" }, a: 1 })
      assert.isTrue(second.cached)
      assert.strictEqual(second.key, first.key)
      assert.lengthOf(runs, 1)
    }).pipe(Effect.provide(services())),
  )

  it.effect("runs for every other input, and the earlier ones stay stored", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const { write, runs } = textStage()
      const inputs = [
        input,
        { a: 1.5000001, b: { c: "x", d: null } },
        { a: 1.5, b: { c: "X", d: null } },
        { a: 1.5, b: { c: "x", d: 0 } },
        { a: 0, b: { c: "", d: null } },
      ]
      const keys = yield* Effect.forEach(inputs, (each) => Effect.map(run(write, each), ({ key }) => key))
      assert.strictEqual(new Set(keys).size, inputs.length)
      assert.lengthOf(runs, inputs.length)
      for (const each of inputs) assert.isTrue((yield* run(write, each)).cached)
      assert.lengthOf(runs, inputs.length)
    }).pipe(Effect.provide(services())),
  )

  it.effect("runs again when its name, version or code is another", () =>
    Effect.gen(function* () {
      const run = (overrides: Parameters<typeof textStage>[0], options?: Parameters<typeof runner>[0]) =>
        Effect.flatMap(StageRunner, (service) => service.run(textStage(overrides).write, input)).pipe(
          Effect.provide(runner(options)),
        )
      const original = yield* run({})
      const others = [
        yield* run({ name: "write-other-text" }),
        yield* run({ version: 2 }),
        yield* run({}, { code: "edited code" }),
      ]
      assert.deepStrictEqual(
        others.map(({ cached }) => cached),
        [false, false, false],
      )
      assert.strictEqual(new Set([original, ...others].map(({ key }) => key)).size, 4)
      assert.isTrue((yield* run({})).cached)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("runs again when the engine is another, but only if it uses the engine", () =>
    Effect.gen(function* () {
      const run = (usesEngine: boolean, version: string) =>
        Effect.flatMap(StageRunner, (service) => service.run(textStage({ usesEngine }).write, input)).pipe(
          Effect.provide(runner({ engine: version })),
        )
      assert.isFalse((yield* run(false, "1.0")).cached)
      assert.isTrue((yield* run(false, "2.0")).cached)
      assert.isFalse((yield* run(true, "1.0")).cached)
      assert.isFalse((yield* run(true, "2.0")).cached)
      assert.isTrue((yield* run(true, "1.0")).cached)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("that fails stores nothing and runs again", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const store = yield* ArtifactStore
      let attempts = 0
      const failing = stage({
        ...textStage().write,
        run: () =>
          Effect.suspend(() =>
            ++attempts < 3 ? Effect.fail(new Error(`attempt ${attempts}`)) : Effect.die("done"),
          ),
      })
      for (const attempt of [1, 2]) {
        const error = yield* Effect.flip(run(failing, input))
        assert.strictEqual(error.message, `attempt ${attempt}`)
      }
      assert.deepStrictEqual(yield* store.records, [])
    }).pipe(Effect.provide(services())),
  )

  it.effect("whose output does not fit its schema stores no record", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const store = yield* ArtifactStore
      const bad = stage({
        ...textStage().write,
        output: Schema.Struct({ length: Schema.Int }),
        run: () => Effect.succeed({ length: 0.5 }),
      })
      assert.instanceOf(yield* Effect.flip(run(bad, input)), Schema.SchemaError)
      assert.deepStrictEqual(yield* store.records, [])
    }).pipe(Effect.provide(services())),
  )

  it.effect("whose input cannot be written down has no key", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const { write, runs } = textStage()
      assert.instanceOf(yield* Effect.flip(run(write, { ...input, a: Number.NaN })), Schema.SchemaError)
      assert.lengthOf(runs, 0)
    }).pipe(Effect.provide(services())),
  )
})

describe("two processes on one store", () => {
  /** A stage that takes as long as `latch` is closed, and how often it began. */
  const slowStage = (latch: Latch.Latch) => {
    const counts = { begun: 0 }
    const slow = stage({
      name: "slow",
      version: 1,
      module: "file:///slow.ts",
      input: Schema.Int,
      output: Schema.Int,
      usesEngine: false,
      run: Effect.fn(function* (n) {
        counts.begun++
        yield* latch.await
        return n + 1
      }),
    })
    return { slow, counts }
  }
  const runOn = <Input, Output, E, R>(stage: Stage<Input, Output, E, R>, input: Input) =>
    Effect.flatMap(StageRunner, ({ run }) => run(stage, input, "slow")).pipe(Effect.provide(runner()))

  it.live("compute a key once; the other waits and uses it", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make()
      const { slow, counts } = slowStage(latch)
      const both = yield* Effect.forkChild(
        Effect.all([runOn(slow, 1), runOn(slow, 1)], { concurrency: "unbounded" }),
      )
      yield* Effect.sleep(500)
      yield* latch.open
      const results = yield* Fiber.join(both)
      assert.deepStrictEqual(
        results.map(({ output }) => output),
        [2, 2],
      )
      assert.deepStrictEqual(results.map(({ cached }) => cached).sort(), [false, true])
      assert.strictEqual(counts.begun, 1)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("do not wait for each other's other keys", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make()
      const { slow, counts } = slowStage(latch)
      const waiting = yield* Effect.forkChild(runOn(slow, 1))
      while (counts.begun === 0) yield* Effect.sleep(5)
      const { write } = textStage()
      assert.isFalse((yield* runOn(write, input)).cached)
      yield* latch.open
      yield* Fiber.join(waiting)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("go on where the other was interrupted", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make()
      const { slow, counts } = slowStage(latch)
      const first = yield* Effect.forkChild(runOn(slow, 1))
      while (counts.begun === 0) yield* Effect.sleep(5)
      const second = yield* Effect.forkChild(runOn(slow, 1))
      yield* Effect.sleep(300)
      assert.strictEqual(counts.begun, 1)
      yield* Fiber.interrupt(first)
      yield* latch.open
      assert.isFalse((yield* Fiber.join(second)).cached)
      assert.strictEqual(counts.begun, 2)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("tell in their journals who computed and who found", () =>
    Effect.gen(function* () {
      const { write } = textStage()
      for (const _ of [1, 2]) yield* runOn(write, input)
      const runs = yield* pastRuns
      assert.deepStrictEqual(
        runs.map(({ events }) => events.map(({ _tag }) => _tag)),
        [
          ["Started", "Began", "Computed", "Ended"],
          ["Started", "Found", "Ended"],
        ],
      )
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("a stored output", () => {
  it.effect("whose artifact was deleted is computed again", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const store = yield* ArtifactStore
      const { write, runs } = textStage()
      const { output } = yield* run(write, input)
      yield* store.drop(output.text)
      const again = yield* run(write, input)
      assert.isFalse(again.cached)
      assert.deepStrictEqual(again.output, output)
      assert.isTrue(yield* store.has(output.text))
      assert.isTrue((yield* run(write, input)).cached)
      assert.lengthOf(runs, 2)
    }).pipe(Effect.provide(services())),
  )

  it.effect("whose artifact is cut short is computed again, and the artifact is whole after it", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const store = yield* ArtifactStore
      const { write } = textStage()
      const { output } = yield* run(write, input)
      const { digest } = output.text
      writeFileSync(join(store.root, "objects", digest.slice(0, 2), `${digest}.json`), "1.5")
      assert.isFalse((yield* run(write, input)).cached)
      assert.strictEqual(new TextDecoder().decode(yield* store.get(output.text)), "1.5 x null")
    }).pipe(Effect.provide(services())),
  )

  it.effect("whose artifact was quarantined is computed again", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const store = yield* ArtifactStore
      const { write, runs } = textStage()
      const { output } = yield* run(write, input)
      const { digest } = output.text
      writeFileSync(join(store.root, "objects", digest.slice(0, 2), `${digest}.json`), "1.6 x null")
      yield* Effect.flip(store.get(output.text))
      assert.isFalse((yield* run(write, input)).cached)
      assert.strictEqual(new TextDecoder().decode(yield* store.get(output.text)), "1.5 x null")
      assert.lengthOf(runs, 2)
    }).pipe(Effect.provide(services())),
  )

  it.effect("whose record is torn, or holds something else, is computed again", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const store = yield* ArtifactStore
      const { write, runs } = textStage()
      const { key, output } = yield* run(write, input)
      const file = join(store.root, "records", "write-text", `${key}.json`)
      const whole = readFileSync(file, "utf8")
      const damages = [whole.slice(0, 100), whole.replace('"length"', '"Length"'), ""]
      for (const content of damages) {
        writeFileSync(file, content)
        assert.deepStrictEqual(yield* run(write, input), { output, key, cached: false })
      }
      rmSync(file)
      assert.isFalse((yield* run(write, input)).cached)
      assert.lengthOf(runs, damages.length + 2)
    }).pipe(Effect.provide(services())),
  )
})

describe("a record", () => {
  it.effect("holds what its key digests, so that a key can be explained", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const store = yield* ArtifactStore
      const { key, output } = yield* run(textStage().write, input)
      const record = Option.getOrThrow(yield* store.record("write-text", key))
      const preimage = {
        stage: "write-text",
        version: 1,
        code: "some code of file:///write-text.ts",
        formats: ["safetensors", "parquet"].map(
          (format) =>
            `some code of ${new URL(`../../src/services/formats/${format}.ts`, import.meta.url).href}`,
        ),
        engine: null,
        input,
      }
      assert.deepStrictEqual(record.preimage, preimage)
      assert.strictEqual(digestOf(record.preimage), key)
      assert.strictEqual(record.key, key)
      assert.deepStrictEqual(record.output, output)
    }).pipe(Effect.provide(services())),
  )

  it.effect("names engine and version where the stage computes with it", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const store = yield* ArtifactStore
      const { key } = yield* run(textStage({ usesEngine: true }).write, input)
      const { preimage } = Option.getOrThrow(yield* store.record("write-text", key))
      assert.strictEqual(digestOf(preimage), key)
      assert.deepInclude(preimage, { engine: { id: "untouched", version: "1.0" } })
    }).pipe(Effect.provide(services())),
  )

  it.effect("says when, where and for how long, outside of the key", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const store = yield* ArtifactStore
      const { write } = textStage()
      const slow = stage({
        ...write,
        run: (given, cursor) => Effect.andThen(TestClock.adjust(1500), write.run(given, cursor)),
      })
      const { key } = yield* run(slow, input)
      const { provenance, preimage } = Option.getOrThrow(yield* store.record("write-text", key))
      assert.strictEqual(provenance.committedAt, "1970-01-01T00:00:01.500Z")
      assert.strictEqual(provenance.seconds, 1.5)
      assert.strictEqual(provenance.node, process.version)
      assert.doesNotHaveAnyKeys(preimage, ["provenance", "committedAt", "machine"])
    }).pipe(Effect.provide(services())),
  )
})

/** A stage that counts to `to` and can be made to fail; its place does not depend on `to`. */
const counting = () => {
  const offered: Array<ReadonlyArray<unknown>> = []
  const advanced: Array<number> = []
  let failAt: number | undefined
  const count = stage({
    name: "count",
    version: 1,
    module: "file:///count.ts",
    input: Schema.Struct({ from: Schema.String, to: Schema.Int }),
    output: Schema.Struct({ entries: Schema.Int }),
    usesEngine: false,
    identity: ({ from }) => ({ from }),
    run: Effect.fn(function* ({ to }, cursor: Cursor) {
      offered.push(cursor.entries)
      for (let i = cursor.entries.length; i < to; i++) {
        if (i === failAt) return yield* Effect.fail(new Error(`stopped at ${i}`))
        yield* cursor.advance(i, { i })
        advanced.push(i)
      }
      return { entries: to }
    }),
  })
  return { count, offered, advanced, failAt: (i: number | undefined) => (failAt = i) }
}

const entries = (n: number) => Array.from({ length: n }, (_, i) => ({ i }))

describe("a cursor", () => {
  it.effect("offers what a failed run had committed to the next", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const { count, offered, advanced, failAt } = counting()
      failAt(3)
      assert.strictEqual((yield* Effect.flip(run(count, { from: "a", to: 5 }))).message, "stopped at 3")
      failAt(undefined)
      const { output, cached } = yield* run(count, { from: "a", to: 5 })
      assert.isFalse(cached)
      assert.deepStrictEqual(output, { entries: 5 })
      assert.deepStrictEqual(offered, [[], entries(3)])
      assert.deepStrictEqual(advanced, [0, 1, 2, 3, 4], "no entry is written twice")
    }).pipe(Effect.provide(services())),
  )

  it.effect("is shared by inputs that differ outside of the identity, and their outputs are not", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const { count, offered, advanced } = counting()
      const short = yield* run(count, { from: "a", to: 2 })
      const long = yield* run(count, { from: "a", to: 4 })
      const shorter = yield* run(count, { from: "a", to: 1 })
      assert.deepStrictEqual(offered, [[], entries(2), entries(4)])
      assert.deepStrictEqual(advanced, [0, 1, 2, 3])
      assert.strictEqual(new Set([short.key, long.key, shorter.key]).size, 3)
      assert.deepStrictEqual([short.output.entries, long.output.entries, shorter.output.entries], [2, 4, 1])
    }).pipe(Effect.provide(services())),
  )

  it.effect("is not shared by inputs that differ within the identity, nor with other code", () =>
    Effect.gen(function* () {
      const { count, offered } = counting()
      const run = (from: string, options?: Parameters<typeof runner>[0]) =>
        Effect.flatMap(StageRunner, (service) => service.run(count, { from, to: 2 })).pipe(
          Effect.provide(runner(options)),
        )
      yield* run("a")
      yield* run("b")
      yield* run("a", { code: "edited code" })
      assert.deepStrictEqual(offered, [[], [], []])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("belongs to the whole input where a stage names no identity", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const store = yield* ArtifactStore
      const { count, offered } = counting()
      const { identity: _, ...plain } = count
      yield* run(stage(plain), { from: "a", to: 2 })
      yield* run(stage(plain), { from: "a", to: 3 })
      assert.deepStrictEqual(offered, [[], []])
      assert.lengthOf(readdirSync(join(store.root, "cursors", "count")), 2)
    }).pipe(Effect.provide(services())),
  )

  it.effect("is not looked at when the output is stored", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const { count, offered } = counting()
      yield* run(count, { from: "a", to: 2 })
      yield* run(count, { from: "a", to: 2 })
      assert.lengthOf(offered, 1)
    }).pipe(Effect.provide(services())),
  )
})

describe("several at once", () => {
  /** A stage that ends when `open` says so, and how often it ran. */
  const gated = Effect.gen(function* () {
    const gate = yield* Latch.make()
    const entered = yield* Latch.make()
    const runs: Array<number> = []
    const wait = stage({
      name: "wait",
      version: 1,
      module: "file:///wait.ts",
      input: Schema.Struct({ n: Schema.Int }),
      output: Schema.Int,
      usesEngine: false,
      run: ({ n }) =>
        Effect.gen(function* () {
          runs.push(n)
          yield* entered.open
          yield* gate.await
          return n
        }),
    })
    return { wait, runs, gate, entered }
  })

  it.effect("with the same key compute once: the second waits and is a hit", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const { wait, runs, gate, entered } = yield* gated
      const first = yield* Effect.forkChild(run(wait, { n: 1 }))
      yield* entered.await
      const second = yield* Effect.forkChild(run(wait, { n: 1 }))
      yield* Effect.yieldNow
      yield* gate.open
      assert.isFalse((yield* Fiber.join(first)).cached)
      assert.isTrue((yield* Fiber.join(second)).cached)
      assert.deepStrictEqual(runs, [1])
    }).pipe(Effect.provide(services())),
  )

  it.effect("with the same key: the second computes where the first is interrupted", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const { wait, runs, gate, entered } = yield* gated
      const first = yield* Effect.forkChild(run(wait, { n: 1 }))
      yield* entered.await
      const second = yield* Effect.forkChild(run(wait, { n: 1 }))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(first)
      yield* gate.open
      assert.isFalse((yield* Fiber.join(second)).cached)
      assert.deepStrictEqual(runs, [1, 1])
    }).pipe(Effect.provide(services())),
  )

  it.effect("on the same cursor run one after the other: the second goes on where the first ended", () =>
    Effect.gen(function* () {
      const { run } = yield* StageRunner
      const { count, offered, advanced } = counting()
      const [short, long] = yield* Effect.all(
        [run(count, { from: "a", to: 2 }), run(count, { from: "a", to: 4 })],
        { concurrency: "unbounded" },
      )
      assert.deepStrictEqual([short.output.entries, long.output.entries], [2, 4])
      assert.deepStrictEqual(offered, [[], entries(2)])
      assert.deepStrictEqual(advanced, [0, 1, 2, 3])
    }).pipe(Effect.provide(runner({ executor: allAtOnce }).pipe(Layer.provideMerge(temporaryStore())))),
  )

  it.effect("get in line in the order of asking, whatever the look-ups take", () =>
    Effect.gen(function* () {
      const { wait, runs, gate } = yield* gated
      yield* gate.open
      // Earlier ones take longer to look up.
      const slow = Layer.effect(
        ArtifactStore,
        Effect.map(ArtifactStore, (store) =>
          ArtifactStore.of({
            ...store,
            record: (name, key) =>
              Effect.andThen(
                Effect.promise(() => new Promise((done) => setTimeout(done, lookups.shift() ?? 0))),
                store.record(name, key),
              ),
          }),
        ),
      )
      const lookups = [30, 20, 10, 0]
      yield* Effect.gen(function* () {
        const { run } = yield* StageRunner
        yield* Effect.forEach([1, 2, 3, 4], (n) => run(wait, { n }), { concurrency: "unbounded" })
      }).pipe(Effect.provide(runner().pipe(Layer.provide(slow))))
      assert.deepStrictEqual(runs, [1, 2, 3, 4])
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("referencesOf", () => {
  it("finds artifacts anywhere in plain data, and only them", () => {
    const ref = { digest: "ab".repeat(32), format: "json" as const, bytes: 3 }
    const other = { ...ref, digest: "cd".repeat(32) }
    assert.deepStrictEqual(referencesOf({ x: ref, y: [1, null, { z: [other] }], text: "a" }), [ref, other])
    assert.deepStrictEqual(referencesOf(ref), [ref])
    assert.deepStrictEqual(
      referencesOf([{ ...ref, digest: "short" }, { ...ref, format: "csv" }, null, 4]),
      [],
    )
  })
})
