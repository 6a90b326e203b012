/** One worker thread as the main thread sees it. */
import { Worker } from "node:worker_threads"
import { Cause, Effect, Queue, Schema } from "effect"
import { Progress } from "../Progress.ts"
import { forget, makeCounter, seal } from "./nativeCode.ts"
import { type Job, Message, type Reply, type Settings, type WorkerData } from "./protocol.ts"

/** A worker thread ended by itself while it was needed. */
export class ThreadEnded extends Schema.TaggedError<ThreadEnded>()("ThreadEnded", {
  because: Schema.String,
}) {
  override get message() {
    return `its worker thread ended: ${this.because}`
  }
}

export interface Thread {
  /** Whether it can take a job: it lives, and owes no reply. */
  readonly isFree: () => boolean
  /** Sends a job, reports its steps to progress, and waits for the reply. One at a time. */
  readonly request: (job: Job) => Effect.Effect<Reply, ThreadEnded, Progress>
  /** Ends the thread as soon as it is not inside of native code: at the latest after one call of the engine. */
  readonly terminate: Effect.Effect<void>
}

const ENTRY = new URL("./worker.ts", import.meta.url)

const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY"
    ? "out of memory; NODE_OPTIONS=--max-old-space-size=MEGABYTES gives each thread more"
    : error.message
}

export const startThread = Effect.fnUntraced(function* (settings: Settings) {
  const messages = yield* Queue.unbounded<unknown, ThreadEnded>()
  const nativeCode = makeCounter()
  const data: typeof WorkerData.Type = { settings, nativeCode }
  const worker = new Worker(ENTRY, { workerData: data })
  let alive = true
  let owesReply = false
  const end = (because: string) => {
    alive = false
    forget(nativeCode)
    Queue.failCauseUnsafe(messages, Cause.fail(new ThreadEnded({ because })))
  }
  worker.on("message", (message) => Queue.offerUnsafe(messages, message))
  worker.on("messageerror", (error) => end(reasonOf(error)))
  worker.on("error", (error) => end(reasonOf(error)))
  worker.on("exit", (code) => end(`it exited with code ${code}`))

  const thread: Thread = {
    isFree: () => alive && !owesReply,
    request: Effect.fnUntraced(function* (job) {
      const progress = yield* Progress
      owesReply = true
      worker.postMessage(job)
      while (true) {
        const raw = yield* Queue.take(messages)
        const message = yield* Effect.orDie(Schema.decodeUnknownEffect(Message)(raw))
        if (message._tag === "Stepped") {
          yield* progress.step(message.step)
        } else {
          owesReply = false
          return message
        }
      }
    }),
    terminate: Effect.andThen(
      seal(nativeCode),
      Effect.promise(() => worker.terminate()),
    ),
  }
  return thread
})
