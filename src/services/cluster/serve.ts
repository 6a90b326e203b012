/**
 * What a worker of a cluster does: takes stages from the queue, so many at a time, and has them in the store, by the same
 * `StageRunner` that a run on one machine has: what is stored is found, what another process computes is waited for, what was begun goes on
 * from its last checkpoint.
 */
import { hostname } from "node:os"
import { Cause, Effect, Exit, Predicate, Schema } from "effect"
import { Leases } from "../Leases.ts"
import { Progress } from "../Progress.ts"
import type { Recomputable } from "../recomputable.ts"
import { stageCode } from "../stageCode.ts"
import { digestOf } from "../store/canonical.ts"
import { below } from "../telemetry.ts"
import { type Answer, type Job, MOST_ATTEMPTS, openAnswers, openJobs, untilAnswered } from "./jobs.ts"

const BY = `${hostname()}/${process.pid}`

class OtherStore extends Schema.TaggedError<OtherStore>()("OtherStore", { label: Schema.String }) {
  override get message() {
    return `${this.label}: worker ${BY} has another store, in which the process that asks is unknown; give both the same --store`
  }
}

class OtherCode extends Schema.TaggedError<OtherCode>()("OtherCode", { label: Schema.String }) {
  override get message() {
    return `${this.label}: worker ${BY} has other code, or another --engine, than the process that asks; give both the same`
  }
}

class WorkersDied extends Schema.TaggedError<WorkersDied>()("WorkersDied", {
  label: Schema.String,
  deaths: Schema.Int,
}) {
  override get message() {
    return `${this.label}: ${this.deaths} workers died while they computed it; look at what they said, memory may be short`
  }
}

/** The stage of a job, unless this worker had better not compute it. */
const admitted = Effect.fnUntraced(function* (
  stages: ReadonlyArray<Recomputable>,
  { run, stage: name, key, label, input }: Job,
  attempts: number,
) {
  const { knows } = yield* Leases
  if (!(yield* knows(run))) return yield* new OtherStore({ label })
  const stage = stages.find((stage) => stage.name === name)
  if (stage === undefined || digestOf({ ...(yield* stageCode(stage)), input }) !== key)
    return yield* new OtherCode({ label })
  if (attempts >= MOST_ATTEMPTS) return yield* new WorkersDied({ label, deaths: attempts - 1 })
  return stage
})

const outcomeOf = ({ key }: Job, exit: Exit.Exit<void, Error>): Answer => {
  if (Exit.isSuccess(exit)) return { _tag: "Done", key }
  const error = Cause.squash(exit.cause)
  const tag = Predicate.hasProperty(error, "_tag") ? String(error._tag) : "Error"
  return { _tag: "Failed", key, tag, message: error instanceof Error ? error.message : String(error) }
}

/** Serves until it is interrupted; a job that is not done then is given to another worker. */
export const serve = Effect.fn("serve")(function* (stages: ReadonlyArray<Recomputable>, atATime: number) {
  const progress = yield* Progress
  const jobs = yield* openJobs
  const insistently = untilAnswered(progress.say)

  const compute = Effect.fn("compute")(function* (job: Job, { attempts }: { readonly attempts: number }) {
    const { key, input, label } = job
    const answers = yield* openAnswers(job.run)
    const tell = (answer: Answer) =>
      insistently(answers.offer(answer, { id: `${key}.${attempts}.${answer._tag}` }))
    const exit = yield* admitted(stages, job, attempts).pipe(
      Effect.tap(tell({ _tag: "Began", key, by: BY })),
      Effect.flatMap((stage) => below(job.span)(stage.restore(input, label))),
      Effect.exit,
    )
    yield* tell(outcomeOf(job, exit))
  })

  const one = insistently(Effect.forever(jobs.take(compute)))
  return yield* Effect.all(
    Array.from({ length: atATime }, () => one),
    { concurrency: "unbounded", discard: true },
  )
})
