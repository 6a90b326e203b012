import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { PersistedQueueError } from "effect/persistence/PersistedQueue"
import { TestClock } from "effect/testing"
import { makeInsistence } from "../../../src/services/remote/queues.ts"

describe("who asks a database that does not answer", () => {
  const refusal = new PersistedQueueError({ message: "no", cause: new Error("connection refused") })
  /** A database, and what was told of it. */
  const makeDatabase = () => {
    const told: Array<string> = []
    const state = { answers: false }
    const request = Effect.suspend(() => (state.answers ? Effect.succeed("done") : Effect.fail(refusal)))
    return { told, state, request, ...makeInsistence((line) => Effect.sync(() => told.push(line))) }
  }
  const COMPLAINT = "the database does not answer (connection refused); trying again every second"
  const JOY = "the database answers again"

  it.effect("asks again every second, and tells once for all who ask", () =>
    Effect.gen(function* () {
      const { told, state, request, promptly } = makeDatabase()
      const asking = yield* Effect.forkChild(
        Effect.all([promptly(request), promptly(request)], { concurrency: "unbounded" }),
      )
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(told, [COMPLAINT])
      state.answers = true
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(asking), ["done", "done"])
      assert.deepStrictEqual(told, [COMPLAINT, JOY])
    }),
  )

  it.effect("does not rejoice while anybody is not answered, unless he has gone", () =>
    Effect.gen(function* () {
      const { told, request, promptly } = makeDatabase()
      const asking = yield* Effect.forkChild(promptly(request))
      for (let i = 0; i < 10; i++) {
        yield* TestClock.adjust("1 second")
        yield* promptly(Effect.void)
      }
      assert.deepStrictEqual(told, [COMPLAINT])
      yield* Fiber.interrupt(asking)
      yield* promptly(Effect.void)
      assert.deepStrictEqual(told, [COMPLAINT, JOY])
    }),
  )

  it.effect("asks anew where nothing comes back at all", () =>
    Effect.gen(function* () {
      const { told, promptly } = makeDatabase()
      let times = 0
      const asking = yield* Effect.forkChild(
        promptly(Effect.suspend(() => (++times < 3 ? Effect.never : Effect.succeed(times)))),
      )
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* Fiber.join(asking), 3)
      assert.lengthOf(told, 2)
    }),
  )

  it.effect("does not hide what is not the database's", () =>
    Effect.gen(function* () {
      const { told, promptly, insistently } = makeDatabase()
      assert.strictEqual(yield* Effect.flip(promptly(Effect.fail("own"))), "own")
      assert.strictEqual(yield* Effect.flip(insistently(Effect.fail("own"))), "own")
      assert.deepStrictEqual(told, [])
    }),
  )
})
