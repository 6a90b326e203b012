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

  return {
    withPermit: <A, E, R>(use: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      // Only while it waits, and while it has the permit and will give it back, is it interruptible.
      Effect.uninterruptibleMask(
        Effect.fnUntraced(function* (restore) {
          const turn = yield* Turn
          // At a `yield` others go on: who finds nothing free is in line before the next one.
          if (free > 0) free -= 1
          else {
            const waiting: Waiting = { turn, asked: asked++, latch: Latch.makeUnsafe(), state: "waiting" }
            line.push(waiting)
            yield* Effect.onInterrupt(restore(waiting.latch.await), () => {
              if (waiting.state === "granted") return release
              waiting.state = "left"
              return Effect.void
            })
          }
          return yield* Effect.ensuring(restore(use), release)
        }),
      ),
  }
}
