import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, References } from "effect"
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

  const yields = (count: number) => Effect.forEach(Array.from({ length: count }), () => Effect.yieldNow)
  /** Others go on after every few of its steps. */
  const slowly = Effect.provideService(References.MaxOpsBeforeYield, 3)

  it.effect("lets someone in whenever a permit is given back, be it while he gets in line", () =>
    Effect.gen(function* () {
      for (let moment = 0; moment < 30; moment++) {
        const { withPermit } = makeTurns(1)
        const open = yield* Deferred.make<void>()
        yield* Effect.forkChild(withPermit(Deferred.await(open)))
        yield* yields(1)
        const one = yield* Effect.forkChild(slowly(withPermit(Effect.void)))
        yield* yields(moment)
        yield* Deferred.succeed(open, undefined)
        yield* yields(300)
        assert.isDefined(one.pollUnsafe(), `it was given back after ${moment} steps`)
      }
    }),
  )

  it.effect.each([true, false])(
    "loses no permit, whenever someone is interrupted; it was free: %s",
    (isFree) =>
      Effect.gen(function* () {
        for (let moment = 0; moment < 60; moment++) {
          const { withPermit } = makeTurns(1)
          const open = yield* Deferred.make<void>()
          const holder = yield* Effect.forkChild(withPermit(isFree ? Effect.void : Deferred.await(open)))
          yield* yields(1)
          const one = yield* Effect.forkChild(slowly(withPermit(Effect.never)))
          if (!isFree) yield* yields(30)
          yield* Deferred.succeed(open, undefined)
          yield* yields(moment)
          yield* Fiber.interrupt(one)
          yield* Fiber.join(holder)
          const next = yield* Effect.forkChild(withPermit(Effect.void))
          yield* yields(30)
          assert.isDefined(next.pollUnsafe(), `it was interrupted after ${moment} steps`)
        }
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
