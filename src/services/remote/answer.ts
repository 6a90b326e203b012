/** How a process with a store and a `StageRunner` answers a job. */
import { hostname } from "node:os"
import { Cause, Effect, Exit, Predicate, Schema } from "effect"
import { StageFailure } from "../executor/Executor.ts"
import type { Recomputable } from "../recomputable.ts"
import { stageCode } from "../stageCode.ts"
import { digestOf } from "../store/canonical.ts"
import { below } from "../telemetry.ts"
import type { Answer, Job } from "./job.ts"

/** This process, as others know it. */
export const BY = `${hostname()}/${process.pid}`

class OtherCode extends Schema.TaggedError<OtherCode>()("OtherCode", { label: Schema.String }) {
  override get message() {
    return `${this.label}: worker ${BY} has other code, or another --engine, than the process that asks; give both the same`
  }
}

/** The stage of a job, where it is the same here as there. */
const stageOf = Effect.fnUntraced(function* (
  stages: ReadonlyArray<Recomputable>,
  { stage: name, key, label, input }: Job,
) {
  const stage = stages.find((stage) => stage.name === name)
  return stage !== undefined && digestOf({ ...(yield* stageCode(stage)), input }) === key
    ? stage
    : yield* new OtherCode({ label })
})

export const answerOf = ({ id }: Job, exit: Exit.Exit<void, Error>): Answer => {
  if (Exit.isSuccess(exit)) return { _tag: "Done", id }
  const error = Cause.squash(exit.cause)
  const tag =
    error instanceof StageFailure ? error.tag : Predicate.hasProperty(error, "_tag") ? error._tag : "Error"
  return {
    _tag: "Failed",
    id,
    tag: String(tag),
    message: error instanceof Error ? error.message : String(error),
  }
}

/** Has a job's stage in the store: found, waited for, or computed from its last checkpoint on. */
export const compute = Effect.fn("compute")(function* (stages: ReadonlyArray<Recomputable>, job: Job) {
  const stage = yield* stageOf(stages, job)
  yield* below(job.span)(stage.restore(job.input, job.label))
})
