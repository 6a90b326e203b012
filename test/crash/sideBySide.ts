/** Several real processes that run the same on one store, at the same time. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { cli } from "../commands/process.ts"
import { settings, tiny } from "../pipelines/tiny.ts"
import { computedIn, workingIn } from "./stores.ts"

/** Long enough that all processes want the training while it goes on. */
const config = { ...tiny, train: { ...tiny.train, maxSteps: 1000 } }

export const run = (store: string) => [
  ...["run", "single", "--scale", "smoke", "--threads", "1", "--json", "--store", store],
  ...settings(config).flatMap((setting) => ["--set", setting]),
]

/** Runs `count` processes to their ends. All say the same, and none leaves a trace of its work but what it computed. */
export const sideBySide = Effect.fn("sideBySide")(function* (store: string, count: number) {
  const all = Array.from({ length: count }, () => cli(run(store)))
  const ended = yield* Effect.all(all, { concurrency: "unbounded" })
  for (const { code, stdout, stderr } of ended) {
    assert.strictEqual(code, 0, stderr)
    assert.strictEqual(stdout, ended[0].stdout)
  }
  assert.deepStrictEqual(workingIn(store), [])
  return { computed: computedIn(store), stdout: ended[0].stdout }
})
