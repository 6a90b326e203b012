import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Worker } from "node:worker_threads"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer } from "effect"
import { ArtifactStore } from "../../../src/services/ArtifactStore.ts"
import { CodeFingerprint } from "../../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../../src/services/engine/onnx/OnnxEngine.ts"
import { Executor, StageFailure } from "../../../src/services/executor/Executor.ts"
import { Progress, type Step } from "../../../src/services/Progress.ts"
import type { Stage } from "../../../src/services/Stage.ts"
import { StageRunner } from "../../../src/services/StageRunner.ts"
import { temporaryDirectory, temporaryStore } from "../store/temporary.ts"
import { square, squareForever } from "./square.ts"
import { count, fail, meet, spin, whereAmI } from "./stages.ts"

/** Progress that writes down what it is told. */
const notebook = () => {
  const started: Array<string> = []
  const ended: Array<string> = []
  const steps: Array<Step> = []
  const progress = Layer.succeed(Progress, {
    running: (label, effect) =>
      Effect.sync(() => started.push(label)).pipe(
        Effect.andThen(effect),
        Effect.tap(() => Effect.sync(() => ended.push(label))),
      ),
    step: (step) => Effect.sync(() => steps.push(step)),
    cached: () => Effect.void,
    plan: () => Effect.void,
    say: () => Effect.void,
  })
  return { started, ended, steps, progress }
}

const engine = OnnxEngine.layer({ threads: 1 }).pipe(Layer.provideMerge(CodeFingerprint.layer))

const laboratory = ({ progress }: { progress: Layer.Layer<Progress> } = { progress: Progress.silent }) =>
  Layer.mergeAll(temporaryStore(), engine, progress)

const inProcess = (options?: Parameters<typeof laboratory>[0]) =>
  Layer.fresh(Executor.inProcess()).pipe(Layer.provideMerge(laboratory(options)))

const newWorkers = (count: number) =>
  Layer.fresh(Executor.workers({ count, engine: "onnx", engineThreads: 1 }))

const workers = (count: number, options?: Parameters<typeof laboratory>[0]) =>
  newWorkers(count).pipe(Layer.provideMerge(laboratory(options)))

const compute = <Input, Output, E, R>(
  stage: Stage<Input, Output, E, R>,
  input: NoInfer<Input>,
  label = stage.name,
) =>
  Effect.flatMap(Executor, (executor) =>
    executor.compute(stage, input, {
      key: "ab".repeat(32),
      cursorKey: "ab".repeat(32),
      label,
      begin: Effect.void,
      ask: Effect.die("none but this process computes"),
    }),
  ).pipe(Effect.flatMap(Effect.fromOption))

/** Counts worker threads from now on. */
const watchThreads = Effect.gen(function* () {
  let started = 0
  let ended = 0
  const watch = (worker: Worker) => {
    started++
    worker.on("exit", () => ended++)
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => process.on("worker", watch)),
    () => Effect.sync(() => process.off("worker", watch)),
  )
  return { started: () => started, alive: () => started - ended }
})

/** Waits until something becomes true. */
const until = (holds: () => boolean) =>
  Effect.gen(function* () {
    while (!holds()) yield* Effect.sleep(5)
  })

describe.each([
  ["in process", inProcess],
  ["on worker threads", (options?: Parameters<typeof laboratory>[0]) => workers(2, options)],
] as const)("a stage computed %s", (where, executor) => {
  it.live("has the tensor engine and the store, and its output is decoded", () =>
    Effect.gen(function* () {
      const { output, seconds } = yield* compute(square, { x: [1, -2, 3] })
      const store = yield* ArtifactStore
      assert.strictEqual(new TextDecoder().decode(yield* store.get(output.stored)), "[1,4,9]")
      assert.deepStrictEqual(output.at, new Date(0))
      assert.strictEqual(output.thread === 0, where === "in process")
      assert.isAtLeast(seconds, 0)
    }).pipe(Effect.provide(executor())),
  )

  it.live("goes on from its cursor and says how far it is", () => {
    const { progress, steps, started, ended } = notebook()
    return Effect.gen(function* () {
      yield* compute(count, { to: 2 }, "count to two")
      const { output } = yield* compute(count, { to: 3 }, "count to three")
      assert.deepStrictEqual(output.offered, [{ i: 0 }, { i: 1 }])
      assert.deepStrictEqual(steps, [
        { done: 1, total: 2, unit: "number", note: "at 0" },
        { done: 2, total: 2, unit: "number", note: "at 1" },
        { done: 3, total: 3, unit: "number", note: "at 2" },
      ])
      assert.deepStrictEqual(started, ["count to two", "count to three"])
      assert.deepStrictEqual(ended, started)
    }).pipe(Effect.provide(executor({ progress })))
  })

  it.live("is not shown as done when it fails", () => {
    const { progress, started, ended } = notebook()
    return Effect.gen(function* () {
      yield* Effect.flip(compute(fail, { how: "refusal" }))
      assert.deepStrictEqual([started, ended], [["fail"], []])
    }).pipe(Effect.provide(executor({ progress })))
  })
})

describe("worker threads", () => {
  it.live("compute side by side, at most as many as asked for, in the order of asking", () => {
    const { progress, started } = notebook()
    return Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const enter = (name: string, ...others: ReadonlyArray<string>) =>
        Effect.forkChild(compute(meet, { directory, name, others }, name))
      const fibers = [
        yield* enter("a", "b"),
        yield* enter("b", "a", "go on"),
        yield* enter("c", "d"),
        yield* enter("d", "c"),
        yield* enter("e"),
      ]
      // a and b meet, and a leaves its thread to c; the others wait for b's.
      yield* until(() => started.length >= 3)
      yield* Effect.sleep(50)
      assert.deepStrictEqual(started, ["a", "b", "c"])
      writeFileSync(join(directory, "go on"), "")
      const results = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(started, ["a", "b", "c", "d", "e"])
      assert.lengthOf(new Set(results.map(({ output }) => output)), 2, "threads are used again")
    }).pipe(Effect.provide(workers(2, { progress })))
  })

  it.live("start when they are first needed, and end with the scope", () =>
    Effect.gen(function* () {
      const threads = yield* watchThreads
      yield* Effect.gen(function* () {
        yield* Executor
        assert.strictEqual(threads.started(), 0)
        yield* compute(whereAmI, {})
        assert.deepStrictEqual([threads.started(), threads.alive()], [1, 1])
      }).pipe(Effect.provide(workers(2)))
      assert.strictEqual(threads.alive(), 0)
    }),
  )

  it.live("are not started for what is stored", () =>
    Effect.gen(function* () {
      const runOnce = Effect.flatMap(StageRunner, ({ run }) => run(count, { to: 1 })).pipe(
        Effect.provide(Layer.fresh(StageRunner.layer().pipe(Layer.provide(newWorkers(1))))),
      )
      const threads = yield* watchThreads
      assert.isFalse((yield* runOnce).cached)
      assert.isTrue((yield* runOnce).cached)
      assert.strictEqual(threads.started(), 1)
    }).pipe(Effect.provide(laboratory())),
  )

  const failures = [
    ["an error of the stage's own", "refusal", "Refusal", "refused 7"],
    ["a damaged artifact", "missing artifact", "DamagedArtifact", "artifact abababababab is missing"],
  ] as const
  it.live.each(failures)("tell of %s by tag and message, and go on", ([, how, tag, message]) =>
    Effect.gen(function* () {
      const { output: before } = yield* compute(whereAmI, {})
      const error = yield* Effect.flip(compute(fail, { how }, "the label"))
      assert.instanceOf(error, StageFailure)
      assert.deepInclude({ ...error }, { stage: "fail", label: "the label", tag })
      assert.include(error.message, message)
      assert.strictEqual((yield* compute(whereAmI, {})).output, before)
    }).pipe(Effect.provide(workers(1))),
  )

  it.live("pass a defect on as a defect", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(compute(fail, { how: "defect" }))
      assert.isTrue(Exit.hasDies(exit) && !Exit.hasFails(exit))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, Error)
      assert.strictEqual(defect.message, "index 3 of 2")
      assert.include(defect.stack, "stages.ts", "says where it came from")
    }).pipe(Effect.provide(workers(1))),
  )

  const deaths = [
    ["exit", "exited with code 3"],
    ["uncaught", "nobody listens"],
  ] as const
  it.live.each(deaths)("that die (%s) fail what they computed, and are replaced", ([how, because]) =>
    Effect.gen(function* () {
      const { output: before } = yield* compute(whereAmI, {})
      const error = yield* Effect.flip(compute(fail, { how }, "the label"))
      assert.instanceOf(error, StageFailure)
      assert.strictEqual(error.tag, "ThreadEnded")
      assert.match(error.message, new RegExp(`^the label: .*${because}.*run the same command again`))
      assert.notStrictEqual((yield* compute(whereAmI, {})).output, before)
    }).pipe(Effect.provide(workers(1))),
  )

  it.live("are terminated when what they compute is interrupted, even in the middle of a loop", () =>
    Effect.gen(function* () {
      const threads = yield* watchThreads
      const directory = yield* temporaryDirectory
      const fiber = yield* Effect.forkChild(compute(spin, { directory }))
      yield* until(() => existsSync(join(directory, "spinning")))
      yield* Effect.timeout(Fiber.interrupt(fiber), 1000)
      assert.strictEqual(threads.alive(), 0)
      assert.isAbove((yield* compute(whereAmI, {})).output, 0)
      assert.strictEqual(threads.started(), 2)
    }).pipe(Effect.provide(workers(1))),
  )

  it.live("are terminated between two calls of native code, never within one, which ends the process", () => {
    const { progress, steps } = notebook()
    return Effect.gen(function* () {
      for (const milliseconds of [0, 3, 7, 13]) {
        steps.splice(0)
        const fiber = yield* Effect.forkChild(compute(squareForever, {}))
        yield* until(() => steps.length > 1)
        yield* Effect.sleep(milliseconds)
        yield* Effect.timeout(Fiber.interrupt(fiber), 1000)
      }
    }).pipe(Effect.provide(workers(1, { progress })))
  })

  it.live("give up the place in line of what is interrupted while it waits", () => {
    const { progress, started } = notebook()
    return Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const first = yield* Effect.forkChild(compute(meet, { directory, name: "a", others: ["go on"] }, "a"))
      const second = yield* Effect.forkChild(compute(meet, { directory, name: "b", others: [] }, "b"))
      const third = yield* Effect.forkChild(compute(meet, { directory, name: "c", others: [] }, "c"))
      yield* until(() => existsSync(join(directory, "a")))
      yield* Fiber.interrupt(second)
      writeFileSync(join(directory, "go on"), "")
      yield* Fiber.join(first)
      yield* Fiber.join(third)
      assert.deepStrictEqual(started, ["a", "c"])
    }).pipe(Effect.provide(workers(1, { progress })))
  })

  it.live("refuse code that is not the one the run started with", () =>
    Effect.gen(function* () {
      const fingerprint = yield* CodeFingerprint
      const older = CodeFingerprint.of({
        of: (module) => (module === count.module ? Effect.succeed("older") : fingerprint.of(module)),
      })
      const error = yield* compute(count, { to: 1 }).pipe(
        Effect.provide(newWorkers(1).pipe(Layer.provide(Layer.succeed(CodeFingerprint, older)))),
        Effect.flip,
      )
      assert.include(error.message, "the code of count was changed while the run was going on")
    }).pipe(Effect.provide(laboratory())),
  )

  it.live("say so where a module does not export the stage", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(compute({ ...count, name: "another" }, { to: 1 }))
      assert.include(error.message, "cannot load stage another")
    }).pipe(Effect.provide(workers(1))),
  )
})
