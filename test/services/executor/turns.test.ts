import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { makeTurns, Turn } from "../../../src/services/executor/turns.ts"

describe("makeTurns", () => {
  /** Queues jobs of the given turns behind one that holds the only permit; the order in which they ran. */
  const orderOf = Effect.fnUntraced(function* (
    turns: ReadonlyArray<number>,
    interrupted: ReadonlyArray<number> = [],
  ) {
    const { withPermit } = makeTurns(1)
    const open = yield* Deferred.make<void>()
    const ran: Array<number> = []
    const holder = yield* Effect.forkChild(withPermit(Deferred.await(open)))
    yield* Effect.yieldNow
    const fibers = yield* Effect.forEach(turns, (turn, i) =>
      Effect.forkChild(
        withPermit(Effect.sync(() => ran.push(i))).pipe(Effect.provideService(Turn, turn)),
      ).pipe(Effect.tap(() => Effect.yieldNow)),
    )
    for (const i of interrupted) yield* Fiber.interrupt(fibers[i])
    yield* Deferred.succeed(open, undefined)
    yield* Fiber.join(holder)
    yield* Effect.forEach(fibers, Fiber.await)
    return ran
  })

  it.effect("serves the lowest turn first, and equals in the order of asking", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* orderOf([5, 1, 3, 1]), [1, 3, 2, 0])
    }),
  )

  it.effect("lets those who are interrupted leave the line, and the others move up", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* orderOf([5, 1, 3, 1], [1, 2]), [3, 0])
    }),
  )

  it.effect("never lets more than `count` in, and gives permits back on failure", () =>
    Effect.gen(function* () {
      const { withPermit } = makeTurns(2)
      let inside = 0
      let most = 0
      const job = (i: number) =>
        withPermit(
          Effect.gen(function* () {
            inside += 1
            most = Math.max(most, inside)
            yield* Effect.yieldNow
            inside -= 1
            if (i % 3 === 0) return yield* Effect.fail("refused")
          }),
        )
      yield* Effect.forEach(Array.from({ length: 20 }).keys(), (i) => Effect.ignore(job(i)), {
        concurrency: "unbounded",
      })
      assert.strictEqual(most, 2)
      assert.strictEqual(inside, 0)
    }),
  )

  it.live("serves a hundred thousand that wait, as fast as a few", () =>
    Effect.gen(function* () {
      const { withPermit } = makeTurns(1)
      let served = 0
      const all = Array.from({ length: 100_000 }, () => withPermit(Effect.sync(() => served++)))
      yield* Effect.timeout(
        Effect.all([withPermit(Effect.sleep(10)), ...all], { concurrency: "unbounded", discard: true }),
        "10 seconds", // asking each one who waits takes minutes
      )
      assert.strictEqual(served, 100_000)
    }),
  )
})
