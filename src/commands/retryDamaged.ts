/** A damaged artifact is in quarantine once it is found: it counts as missing and is recomputed. */
import { Console, Effect, Schedule } from "effect"
import { StageFailure } from "../services/executor/Executor.ts"

/** Whether a damaged artifact is the cause, in this thread or on a worker. */
export const isDamaged = (error: Error): boolean =>
  error instanceof StageFailure
    ? error.tag === "DamagedArtifact"
    : "_tag" in error && error._tag === "DamagedArtifact"

export const retryDamaged = <A, E extends Error, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  effect.pipe(
    Effect.tapError((error) => (isDamaged(error) ? Console.error(`warning: ${error.message}`) : Effect.void)),
    Effect.retry({ while: isDamaged, schedule: Schedule.recurs(8) }),
  )
