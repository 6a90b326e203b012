/**
 * Work beside the caller's own: a training stores a block while the engine computes the next one.
 *
 * One piece is under way at a time, and pieces end in the order in which they were started, so entries of a cursor are
 * still committed one after another. The scope interrupts what is under way.
 */
import { Effect, Fiber, type Scope } from "effect"

export interface Beside<E, R> {
  /** Starts `work` once the piece before it is done; fails if that failed. */
  readonly start: (work: Effect.Effect<void, E, R>) => Effect.Effect<void, E, R | Scope.Scope>
  /** Waits for the last piece; fails if it failed. */
  readonly finish: Effect.Effect<void, E>
}

export const makeBeside = <E, R>(): Beside<E, R> => {
  let last: Effect.Effect<void, E> = Effect.void
  const finish = Effect.suspend(() => last)
  return {
    start: (work) =>
      Effect.gen(function* () {
        yield* finish
        last = Fiber.join(yield* Effect.forkScoped(work, { startImmediately: true }))
      }),
    finish,
  }
}
