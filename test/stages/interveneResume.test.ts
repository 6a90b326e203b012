/** Stage `intervene` stopped and started again: what it ends with is what it would have ended with. */
import { assert, layer } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { sha256 } from "../../src/services/store/canonical.ts"
import type { InterventionConfig } from "../../src/stages/arms.ts"
import { intervene } from "../../src/stages/intervene.ts"
import { Diverged } from "../../src/stages/training.ts"
import { tiny } from "../pipelines/tiny.ts"
import {
  type Change,
  entriesOf,
  freshKey,
  type Intervened,
  inputOf,
  intervened,
  loadBlock,
  openCursor,
} from "./tinyIntervention.ts"
import { workbench } from "./tinyRun.ts"

/** Output and last state: everything that must not depend on where a run was stopped. */
const result = ({ output, state: { theta, first, second, rows } }: Intervened) => ({
  output,
  state: [theta, first, second, ...rows].map(({ buffer, byteOffset, byteLength }) =>
    sha256(new Uint8Array(buffer, byteOffset, byteLength)),
  ),
})

const upTo = (maxSteps: number) => inputOf({ train: { maxSteps } })

/** A run to step 20 that is interrupted at the commit of step `at`, before or after it is made. */
const interrupted = Effect.fn("interrupted")(function* (
  at: number,
  when: "before" | "after",
  change: Change = {},
) {
  const key = freshKey()
  const { cursor, advanced } = yield* openCursor(key, (commit, position) => {
    if (position !== at) return commit
    return when === "before" ? Effect.interrupt : Effect.andThen(commit, Effect.interrupt)
  })
  const exit = yield* Effect.exit(intervene.run(yield* inputOf(change), cursor))
  assert.isTrue(Exit.hasInterrupts(exit))
  return { key, advanced }
})

/** Deletes the states of a cursor's entries at these steps. */
const dropStates = Effect.fn("dropStates")(function* (key: string, ...steps: ReadonlyArray<number>) {
  const store = yield* ArtifactStore
  for (const { step, state } of yield* entriesOf(key))
    if (state !== null && steps.includes(step)) yield* store.drop(state)
})

layer(workbench())("an intervened run that goes on", (it) => {
  const cases: ReadonlyArray<{ readonly name: string; readonly intervention: Partial<InterventionConfig> }> =
    [
      { name: "a window of modified gradients", intervention: {} },
      { name: "a window of natural gradients", intervention: { arm: "remove-sed", buffer: "natural" } },
      { name: "a window of displacements", intervention: { version: "update" } },
      { name: "random subspaces", intervention: { arm: "keep-random" } },
      { name: "frozen", intervention: { arm: "frozen-after-warmup" } },
    ]

  it.effect.each(cases)("ends as one that went straight there ($name)", ({ intervention }) =>
    Effect.gen(function* () {
      const of = (maxSteps: number) => inputOf({ intervention, train: { maxSteps } })
      const straight = yield* intervened(yield* of(20))
      assert.deepStrictEqual(straight.advanced, [0, 5, 10, 15, 20])
      // From the end of the warm-up, then from among modified steps.
      const { key } = yield* intervened(yield* of(5))
      const longer = yield* intervened(yield* of(15), key)
      assert.deepStrictEqual(longer.advanced, [10, 15])
      const longest = yield* intervened(yield* of(20), key)
      assert.deepStrictEqual(longest.advanced, [20])
      assert.deepStrictEqual(result(longest), result(straight))
      assert.notStrictEqual(longer.output.curve.digest, straight.output.curve.digest)
    }),
  )

  it.effect("loses one block where it was interrupted before a commit", () =>
    Effect.gen(function* () {
      const straight = yield* intervened(yield* upTo(20))
      const { key, advanced } = yield* interrupted(15, "before")
      assert.deepStrictEqual(advanced, [0, 5, 10])
      const continued = yield* intervened(yield* upTo(20), key)
      assert.deepStrictEqual(continued.advanced, [15, 20])
      assert.deepStrictEqual(result(continued), result(straight))
    }),
  )

  it.effect("loses nothing where it was interrupted after a commit", () =>
    Effect.gen(function* () {
      const straight = yield* intervened(yield* upTo(20))
      const { key } = yield* interrupted(15, "after")
      const continued = yield* intervened(yield* upTo(20), key)
      assert.deepStrictEqual(continued.advanced, [20])
      assert.deepStrictEqual(result(continued), result(straight))
    }),
  )

  it.effect("keeps the newest state, and the first, which arms share", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const { key } = yield* intervened(yield* upTo(20))
      const kept: Array<number> = []
      for (const { step, state } of yield* entriesOf(key))
        if (state !== null && (yield* store.has(state))) kept.push(step)
      assert.deepStrictEqual(kept, [0, 20])
    }),
  )

  it.effect("stores a large state less often, and goes on from the newest one", () =>
    Effect.gen(function* () {
      const size = { ...tiny, model: { ...tiny.model, width: 48, feedForward: 96 } }
      const straight = yield* intervened(yield* inputOf({ size }))
      const { key } = yield* interrupted(15, "after", { size })
      const stored = (yield* entriesOf(key)).map(({ step, state }) => [step, state !== null])
      assert.deepStrictEqual(stored, [
        [0, true],
        [5, false],
        [10, true],
        [15, false],
      ])
      const continued = yield* intervened(yield* inputOf({ size }), key)
      assert.deepStrictEqual(continued.advanced, [15, 20])
      assert.deepStrictEqual(result(continued), result(straight))
    }),
  )

  it.effect("goes on from the newest state that is there", () =>
    Effect.gen(function* () {
      const expected = result(yield* intervened(yield* upTo(20)))
      const goOn = Effect.fnUntraced(function* (key: string, advanced: ReadonlyArray<number>) {
        const continued = yield* intervened(yield* upTo(20), key)
        assert.deepStrictEqual(continued.advanced, advanced)
        assert.deepStrictEqual(result(continued), expected)
      })
      // Interrupted before it could drop the state of step 10.
      const { key } = yield* interrupted(15, "after")
      yield* dropStates(key, 15)
      yield* goOn(key, [15, 20])
      yield* dropStates(key, 20)
      yield* goOn(key, [5, 10, 15, 20])
      yield* dropStates(key, 0, 20)
      yield* goOn(key, [0, 5, 10, 15, 20])
    }),
  )

  it.effect("does not count on a state that another arm had in common with it, and dropped", () =>
    Effect.gen(function* () {
      const of = (arm: InterventionConfig["arm"], maxSteps: number) =>
        inputOf({ intervention: { arm, warmup: 7 }, train: { maxSteps } })
      const straight = yield* intervened(yield* of("noise", 20))
      const { key } = yield* intervened(yield* of("noise", 5))
      yield* intervened(yield* of("decay-only", 20))
      const continued = yield* intervened(yield* of("noise", 20), key)
      assert.deepStrictEqual(continued.advanced, [5, 10, 15, 20])
      assert.deepStrictEqual(result(continued), result(straight))
    }),
  )

  it.effect("goes on from before an entry that is missing or not its own", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const straight = yield* intervened(yield* upTo(20))
      // In place of the entry of step 5; nothing where it is undefined.
      for (const strange of [undefined, {}, "entry"]) {
        const { key } = yield* intervened(yield* upTo(10))
        const [first, , third] = yield* store.cursor(intervene.name, key)
        const spoilt = freshKey()
        yield* store.advance(intervene.name, spoilt, 0, first)
        if (strange !== undefined) yield* store.advance(intervene.name, spoilt, 5, strange)
        yield* store.advance(intervene.name, spoilt, 10, third)
        const continued = yield* intervened(yield* upTo(20), spoilt)
        assert.deepStrictEqual(continued.advanced, [5, 10, 15, 20])
        assert.deepStrictEqual(result(continued), result(straight))
      }
    }),
  )

  it.effect("computes nothing to end earlier than it did before", () =>
    Effect.gen(function* () {
      const short = yield* intervened(yield* upTo(10))
      const { key } = yield* intervened(yield* upTo(20))
      const cut = yield* intervened(yield* upTo(10), key)
      assert.deepStrictEqual(cut.advanced, [])
      assert.deepStrictEqual(cut.output, short.output)
      assert.lengthOf(cut.column("loss"), 10)

      const stop = { accuracy: 0, count: 2, consecutive: false, every: 1, latched: false }
      const stopped = yield* intervened(yield* inputOf({ train: { stop } }), key)
      assert.deepStrictEqual(stopped.advanced, [])
      assert.deepInclude(stopped.output, { firstThreshold: 0, stopStep: 5 })
      assert.lengthOf(stopped.column("loss"), 5)
      const atOnce = yield* intervened(yield* inputOf({ train: { stop } }))
      assert.deepStrictEqual(atOnce.advanced, [0, 5])
      assert.deepStrictEqual(atOnce.output, stopped.output)
    }),
  )

  it.effect("is the same run with more steps or another stop rule, and with nothing else", () =>
    Effect.gen(function* () {
      const identity = (change: Change) =>
        Effect.map(inputOf(change), (input) => JSON.stringify(intervene.identity?.(input)))
      const own = yield* identity({})
      assert.include(own, "keep-sed")
      const stop = { accuracy: 0.5, count: 1, consecutive: true, every: 10, latched: true }
      assert.strictEqual(yield* identity({ train: { maxSteps: 40, stop } }), own)
      const others: ReadonlyArray<Change> = [
        { intervention: { arm: "remove-sed" } },
        { intervention: { buffer: "natural" } },
        { intervention: { warmup: 6 } },
        { train: { evaluateEvery: 10 } },
        { train: { learningRate: 2e-3 } },
        { operations: ["sub"] },
      ]
      for (const change of others) assert.notStrictEqual(yield* identity(change), own)
    }),
  )
})

layer(workbench())("an intervened run that diverges", (it) => {
  it.effect("says so, and keeps its last finite state", () =>
    Effect.gen(function* () {
      const key = freshKey()
      const { cursor, advanced } = yield* openCursor(key)
      const error = yield* Effect.flip(
        intervene.run(yield* inputOf({ train: { learningRate: 1e30 } }), cursor),
      )
      assert.instanceOf(error, Diverged)
      assert.include(error.message, "before step 5:")
      assert.deepStrictEqual(advanced, [0])
      const [{ state }] = yield* entriesOf(key)
      assert.isTrue((yield* loadBlock(state)).theta.every(Number.isFinite))
    }),
  )
})
