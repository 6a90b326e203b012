/** Worker threads that are lent to one user at a time. */
import { Effect } from "effect"
import type { Settings } from "./protocol.ts"
import { startThread, type Thread } from "./thread.ts"
import { makeTurns } from "./turns.ts"

/**
 * At most `count` threads, each started when it is first needed. Whoever waits for one is served by turn,
 * then in the order of asking. A thread that is not free again when its user is done, because that was interrupted or the thread died, is
 * terminated; the next user gets a new one. The scope terminates all.
 */
export const makePool = Effect.fnUntraced(function* (count: number, settings: Settings) {
  const permits = makeTurns(count)
  const idle: Array<Thread> = []

  yield* Effect.addFinalizer(() =>
    Effect.forEach(idle.splice(0), ({ terminate }) => terminate, { concurrency: "unbounded" }),
  )

  const take = Effect.suspend(() => {
    const free = idle.splice(0).filter(({ isFree }) => isFree())
    const thread = free.pop()
    idle.push(...free)
    return thread === undefined ? startThread(settings) : Effect.succeed(thread)
  })

  return {
    withThread: <A, E, R>(use: (thread: Thread) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      permits.withPermit(
        Effect.acquireUseRelease(take, use, (thread) =>
          thread.isFree() ? Effect.sync(() => idle.push(thread)) : thread.terminate,
        ),
      ),
  }
})
