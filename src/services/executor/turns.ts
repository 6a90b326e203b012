/** Permits that are given in turn: the lowest turn first, among equals whoever asked first. */
import { Context, Effect, Latch } from "effect"
import TinyQueue from "tinyqueue"

/** The turn of what runs in this fiber: its place in a plan. */
export const Turn = Context.Reference<number>("grokscope/services/executor/Turn", { defaultValue: () => 0 })

interface Waiting {
  readonly turn: number
  /** How many asked before. */
  readonly asked: number
  readonly latch: Latch.Latch
  state: "waiting" | "granted" | "left"
}

/**
 * At most `count` effects at a time. Someone who is interrupted while waiting leaves the line. A hundred thousand may wait: giving
 * a permit takes as long as their number has digits, where Effect's `Semaphore` asks each of them.
 */
export const makeTurns = (count: number) => {
  let free = count
  let asked = 0
  const line = new TinyQueue<Waiting>([], (a, b) => a.turn - b.turn || a.asked - b.asked)

  const release = Effect.suspend(() => {
    let next = line.pop()
    while (next?.state === "left") next = line.pop()
    if (next === undefined) {
      free += 1
      return Effect.void
    }
    next.state = "granted"
    return next.latch.open
  })

  const acquire = Effect.gen(function* () {
    if (free > 0) {
      free -= 1
      return
    }
    const latch = Latch.makeUnsafe()
    const waiting: Waiting = { turn: yield* Turn, asked: asked++, latch, state: "waiting" }
    line.push(waiting)
    yield* Effect.onInterrupt(latch.await, () => {
      if (waiting.state === "granted") return release
      waiting.state = "left"
      return Effect.void
    })
  })

  return {
    withPermit: <A, E, R>(use: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.andThen(restore(acquire), Effect.ensuring(restore(use), release)),
      ),
  }
}
