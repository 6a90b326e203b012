/** Stages for the specification of executors. Worker threads import them from here by URL. */
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { threadId } from "node:worker_threads"
import { Effect, Schema } from "effect"
import type { ArtifactRef } from "../../../src/services/Artifact.ts"
import { ArtifactStore } from "../../../src/services/ArtifactStore.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { stage } from "../../../src/services/Stage.ts"

const common = { version: 1, module: import.meta.url, usesEngine: false }

/** The number of the thread that computed something; 0 is the main thread. */
const Thread = Schema.Int

/** Counts to `to`, an entry of its cursor and a step of progress for each number. */
export const count = stage({
  ...common,
  name: "count",
  input: Schema.Struct({ to: Schema.Int }),
  output: Schema.Struct({ offered: Schema.Array(Schema.Unknown) }),
  run: Effect.fn(function* ({ to }, { entries, advance }) {
    const progress = yield* Progress
    for (let i = entries.length; i < to; i++) {
      yield* advance(i, { i })
      yield* progress.step({ done: i + 1, total: to, unit: "number", note: `at ${i}` })
    }
    return { offered: entries }
  }),
})

/** Says in `directory` that it is there, and ends once all of `others` are there too. */
export const meet = stage({
  ...common,
  name: "meet",
  input: Schema.Struct({
    directory: Schema.String,
    name: Schema.String,
    others: Schema.Array(Schema.String),
  }),
  output: Thread,
  run: Effect.fn(function* ({ directory, name, others }) {
    writeFileSync(join(directory, name), "")
    while (!others.every((other) => existsSync(join(directory, other)))) yield* Effect.sleep(5)
    return threadId
  }),
})

/** Says in `directory` that it is there, and then never gives its thread back to anybody. */
export const spin = stage({
  ...common,
  name: "spin",
  input: Schema.Struct({ directory: Schema.String }),
  output: Schema.Void,
  run: ({ directory }) =>
    Effect.sync(() => {
      writeFileSync(join(directory, "spinning"), "")
      while (true);
    }),
})

class Refusal extends Schema.TaggedError<Refusal>()("Refusal", { number: Schema.Int }) {
  override get message() {
    return `refused ${this.number}`
  }
}

const MISSING: ArtifactRef = { digest: "ab".repeat(32), format: "json", bytes: 1 }

/** Ends badly. */
export const fail = stage({
  ...common,
  name: "fail",
  input: Schema.Struct({
    how: Schema.Literals(["refusal", "missing artifact", "defect", "exit", "uncaught"]),
  }),
  output: Thread,
  run: Effect.fn(function* ({ how }) {
    switch (how) {
      case "refusal":
        return yield* new Refusal({ number: 7 })
      case "missing artifact":
        yield* Effect.flatMap(ArtifactStore, (store) => store.get(MISSING))
        return threadId
      case "defect":
        return yield* Effect.die(new RangeError("index 3 of 2"))
      case "exit":
        return process.exit(3)
      case "uncaught":
        setTimeout(() => {
          throw new Error("nobody listens")
        })
        return yield* Effect.never
    }
  }),
})

/** The thread it is computed on. */
export const whereAmI = stage({
  ...common,
  name: "where-am-i",
  input: Schema.Struct({}),
  output: Thread,
  run: () => Effect.succeed(threadId),
})
