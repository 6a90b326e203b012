/**
 * What a worker of a cluster does: takes stages from the queue, that of stages for a GPU where it has one, so many at a time, and has them in the store, by the same
 * `StageRunner` that a run on one machine has: what is stored is found, what another process computes is waited for, what was begun goes on
 * from its last checkpoint.
 */
import { Effect, Schema } from "effect"
import { Leases } from "../Leases.ts"
import { Progress } from "../Progress.ts"
import type { Recomputable } from "../recomputable.ts"
import { answerOf, BY, compute } from "./answer.ts"
import type { Answer, Job } from "./job.ts"
import { MOST_ATTEMPTS, openAnswers, openJobs, untilAnswered } from "./queues.ts"

class OtherStore extends Schema.TaggedError<OtherStore>()("OtherStore", { label: Schema.String }) {
  override get message() {
    return `${this.label}: worker ${BY} has another store, in which the process that asks is unknown; give both the same --store`
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

/** Whether this worker had better not compute a job. */
const objection = Effect.fnUntraced(function* ({ run, label }: Job, attempts: number) {
  const { knows } = yield* Leases
  if (!(yield* knows(run))) return yield* new OtherStore({ label })
  if (attempts >= MOST_ATTEMPTS) return yield* new WorkersDied({ label, deaths: attempts - 1 })
})

/** Serves until it is interrupted; a job that is not done then is given to another worker. */
export const serve = Effect.fn("serve")(function* (
  stages: ReadonlyArray<Recomputable>,
  { atATime, gpu }: { readonly atATime: number; readonly gpu: boolean },
) {
  const progress = yield* Progress
  const jobs = yield* openJobs(gpu)
  const insistently = untilAnswered(progress.say)

  const answer = Effect.fn("answer")(function* (job: Job, { attempts }: { readonly attempts: number }) {
    const { key } = job
    const answers = yield* openAnswers(job.run)
    const tell = (answer: Answer) =>
      insistently(answers.offer(answer, { id: `${key}.${attempts}.${answer._tag}` }))
    const exit = yield* objection(job, attempts).pipe(
      Effect.andThen(tell({ _tag: "Began", key, by: BY })),
      Effect.andThen(compute(stages, job)),
      Effect.exit,
    )
    yield* tell(answerOf(job, exit))
  })

  const one = insistently(Effect.forever(jobs.take(answer)))
  return yield* Effect.all(
    Array.from({ length: atATime }, () => one),
    { concurrency: "unbounded", discard: true },
  )
})
