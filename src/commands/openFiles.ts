/** Whether enough files may be open at a time: where that is found out on the way, no message says what is the matter. */
import { Effect, FileSystem, Option } from "effect"
import { BadInput } from "./BadInput.ts"

/** Taken by the process itself, and by each worker thread: its code, its pipes, its compiler of code fingerprints. */
const OWN = 40
const PER_WORKER = 24

/** What this process may have open, where the system says so in a file (Linux does). */
const limit = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const limits = yield* Effect.option(fs.readFileString("/proc/self/limits"))
  return Option.flatMapNullishOr(limits, (text) => /^Max open files\s+(\d+)/m.exec(text)?.[1]).pipe(
    Option.map(Number),
  )
})

/** Fails, before anything is done, where that is less than `workers` take. */
export const requireOpenFiles = Effect.fn("requireOpenFiles")(function* (workers: number) {
  const allowed = yield* limit
  const needed = OWN + PER_WORKER * workers
  if (Option.isSome(allowed) && allowed.value < needed) {
    return yield* new BadInput({
      message: `only ${allowed.value} files may be open at a time, ${workers} workers take up to ${needed}; allow more with ulimit -n ${needed}, or use fewer --workers`,
    })
  }
})
