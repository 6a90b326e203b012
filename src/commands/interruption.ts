/**
 * What Ctrl-C and SIGTERM do beyond interrupting the command: it has two seconds to commit what can be committed and to
 * leave; a second signal ends it at once. Either way the store is as after a kill, which loses nothing that is committed.
 */
import * as Effect from "effect/Effect"

/** Milliseconds: with what it takes to notice and to end, less than two seconds. */
const GRACE = 1800

let message = "stopped; run the same command again to go on from the last checkpoint"

/** What a command that was stopped says. */
export const stopped = (): string => message

/** Run by commands that only look: there is nothing to go on with. */
export const onlyLooking = Effect.sync(() => {
  message = "stopped looking; runs go on"
})

/** The process itself: worker threads may be inside of native code, which cannot be left in order. */
const endAtOnce = () => {
  process.stderr.write(`${stopped()}\n`)
  process.kill(process.pid, "SIGKILL")
}

/** Holds until the scope closes. */
export const boundedInterruption = Effect.acquireRelease(
  Effect.sync(() => {
    let signalled = false
    const onSignal = () => {
      if (signalled) return endAtOnce()
      signalled = true
      setTimeout(endAtOnce, GRACE).unref()
    }
    const signals = ["SIGINT", "SIGTERM"] as const
    for (const signal of signals) process.on(signal, onSignal)
    return () => {
      for (const signal of signals) process.removeListener(signal, onSignal)
    }
  }),
  (release) => Effect.sync(release),
)
