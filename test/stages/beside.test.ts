/** Work beside the caller's: its order, and what becomes of its failures. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit } from "effect"
import { makeBeside } from "../../src/stages/beside.ts"

describe("work beside the caller's", () => {
  it.effect("goes on while the caller does something else, one piece after another", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const beside = makeBeside<never, never>()
      yield* beside.start(
        Effect.andThen(
          Deferred.await(gate),
          Effect.sync(() => log.push("first")),
        ),
      )
      log.push("caller")
      yield* Deferred.succeed(gate, undefined)
      yield* beside.start(Effect.sync(() => log.push("second")))
      yield* beside.finish
      assert.deepStrictEqual(log, ["caller", "first", "second"])
    }),
  )

  it.effect("fails the next start, and the end", () =>
    Effect.gen(function* () {
      const beside = makeBeside<string, never>()
      yield* beside.start(Effect.fail("full"))
      assert.deepStrictEqual(yield* Effect.exit(beside.start(Effect.void)), Exit.fail("full"))
      assert.deepStrictEqual(yield* Effect.exit(beside.finish), Exit.fail("full"))
    }),
  )

  it.effect("is interrupted with its scope", () =>
    Effect.gen(function* () {
      let interrupted = false
      yield* Effect.scoped(
        makeBeside<never, never>().start(
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => (interrupted = true))),
        ),
      )
      assert.isTrue(interrupted)
    }),
  )
})
