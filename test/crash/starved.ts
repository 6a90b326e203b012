/** The real command without what it needs: it says so in one line, and loses nothing. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { cli, lines, type Options } from "../commands/process.ts"
import { settings } from "../pipelines/tiny.ts"
import { smallest } from "./everyOperation.ts"
import { isQuarantineEmpty, recordsOf } from "./stores.ts"

export const run = (store: string, workers = 1) => [
  ...["run", "single", "--scale", "smoke", "--threads", "1", "--json"],
  ...["--workers", String(workers), "--store", store],
  ...settings(smallest).flatMap((setting) => ["--set", setting]),
]

/** What the pipeline ends with. */
export const ending = Effect.fn("ending")(function* (store: string, options?: Options, workers = 1) {
  const { code, stdout, stderr } = yield* cli(run(store, workers), options)
  assert.strictEqual(code, 0, stderr)
  assert.isTrue(isQuarantineEmpty(store))
  return { stdout, records: recordsOf(store) }
})

/** Runs where it cannot come to its end. The last line says why, in the system's words. */
export const starved = Effect.fn("starved")(function* (store: string, because: RegExp, options?: Options) {
  const { code, stdout, stderr } = yield* cli(run(store), options)
  assert.oneOf(code, [1, 2], stderr)
  assert.strictEqual(stdout, "")
  const errors = lines(stderr).filter((line) => line.startsWith("error: "))
  assert.deepStrictEqual(errors, lines(stderr).slice(-1), stderr)
  assert.match(errors[0], because)
  assert.notMatch(stderr, /^\s+at /m)
})
