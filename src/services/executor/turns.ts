/** Permits that are given in turn: the lowest turn first, among equals whoever asked first. */
import { Context, Effect, Latch } from "effect"

/** The turn of what runs in this fiber: its place in a plan. */
export const Turn = Context.Reference<number>("grokscope/services/executor/Turn", { defaultValue: () => 0 })

interface Waiting {
  readonly turn: number
  readonly latch: Latch.Latch
  granted: boolean
}

/** At most `count` effects at a time. Someone who is interrupted while waiting leaves the line. */
export const makeTurns = (count: number) => {
  let free = count
  const line: Array<Waiting> = []

  const release = Effect.suspend(() => {
    const next = line.reduce<Waiting | undefined>(
      (first, one) => (first === undefined || one.turn < first.turn ? one : first),
      undefined,
    )
    if (next === undefined) {
      free += 1
      return Effect.void
    }
    line.splice(line.indexOf(next), 1)
    next.granted = true
    return next.latch.open
  })

  const acquire = Effect.gen(function* () {
    if (free > 0) {
      free -= 1
      return
    }
    const waiting: Waiting = { turn: yield* Turn, latch: Latch.makeUnsafe(), granted: false }
    line.push(waiting)
    yield* Effect.onInterrupt(waiting.latch.await, () => {
      if (waiting.granted) return release
      return Effect.sync(() => line.splice(line.indexOf(waiting), 1))
    })
  })

  return {
    withPermit: <A, E, R>(use: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.andThen(restore(acquire), Effect.ensuring(restore(use), release)),
      ),
  }
}
