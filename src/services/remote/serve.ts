/**
 * What a worker of a cluster does: takes stages from the queue, that of stages for a GPU where it has one, so many at a time, and has them in the store, by the same
 * `StageRunner` that a run on one machine has: what is stored is found, what another process computes is waited for, what was begun goes on
 * from its last checkpoint.
 */
import { Cache, Effect, Fiber, Schedule, Schema } from "effect"
import { Leases } from "../Leases.ts"
import { Progress } from "../Progress.ts"
import type { Recomputable } from "../recomputable.ts"
import { answerOf, BY, compute } from "./answer.ts"
import type { Answer, Job } from "./job.ts"
import { MOST_ATTEMPTS, makeInsistence, openAnswers, openJobs, ping } from "./queues.ts"

class OtherStore extends Schema.TaggedError<OtherStore>()("OtherStore", { label: Schema.String }) {
  override get message() {
    return `${this.label}: worker ${BY} has another store, in which the process that asks is unknown; give both the same --store`
  }
}

class GivenUp extends Schema.TaggedError<GivenUp>()("GivenUp", {
  label: Schema.String,
  times: Schema.Int,
}) {
  override get message() {
    return `${this.label}: it was given up ${this.times} times, by workers that died or lost the database while they computed it; look at what they said, memory may be short`
  }
}

/** What ends sooner is not said to have begun: that would take as long as the stage. */
const WORTH_TELLING = "200 millis"
/** Between two looks whether the database is there. */
const LOOK = "5 seconds"
/** After the store could not be read. */
const AGAIN = "1 second"

/** Serves until it is interrupted; a job that is not done then is given to another worker. */
export const serve = Effect.fn("serve")(function* (
  stages: ReadonlyArray<Recomputable>,
  { atATime, gpu }: { readonly atATime: number; readonly gpu: boolean },
) {
  const progress = yield* Progress
  const jobs = yield* openJobs(gpu)
  const answersTo = yield* Cache.make({ capacity: 64, lookup: openAnswers })
  const { insistently, promptly } = makeInsistence(progress.say)
  const { sees } = yield* Leases
  /** What the store shows of a process, as soon as the store can be read. */
  const seen = (run: string) =>
    Effect.catch(sees(run), ({ message }) =>
      Effect.andThen(
        progress.say(`${message}; trying again every ${AGAIN}`),
        Effect.retry(sees(run), Schedule.spaced(AGAIN)),
      ),
    )

  const answer = Effect.fn("answer")(function* (job: Job, { attempts }: { readonly attempts: number }) {
    const { id, run, label } = job
    const asking = yield* seen(run)
    const answers = yield* Cache.get(answersTo, run)
    const tell = (answer: Answer) =>
      promptly(Effect.uninterruptible(answers.offer(answer, { id: `${id}.${attempts}.${answer._tag}` })))
    if (asking === "dead") return yield* tell({ _tag: "Dropped", id })
    const stage = Effect.gen(function* () {
      if (asking === "nothing") return yield* new OtherStore({ label })
      if (attempts >= MOST_ATTEMPTS) return yield* new GivenUp({ label, times: attempts - 1 })
      const began = yield* Effect.forkChild(Effect.delay(tell({ _tag: "Began", id, by: BY }), WORTH_TELLING))
      yield* Effect.ensuring(compute(stages, job), Fiber.interrupt(began))
    })
    const end = answerOf(job, yield* Effect.exit(stage))
    // That it is done, the end of the job says.
    if (end._tag !== "Done") yield* tell(end)
  })

  const one = Effect.forever(insistently(jobs.take(answer)))
  // Who waits for a job asks nothing that could fail.
  const look = Effect.forever(Effect.delay(promptly(ping), LOOK))
  return yield* Effect.all([look, ...Array.from({ length: atATime }, () => one)], {
    concurrency: "unbounded",
    discard: true,
  })
})
