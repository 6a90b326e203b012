/** Several real processes on one store, at the same time: each stage is computed once, whoever dies. */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { cli, start } from "../commands/process.ts"
import { labels } from "../pipelines/tiny.ts"
import { filesBelow, temporaryDirectory } from "../services/store/temporary.ts"
import { run, sideBySide } from "./sideBySide.ts"
import { computedIn, recordsOf } from "./stores.ts"

const TIMEOUT = 180_000

const checkpoints = (store: string): number => {
  const directory = join(store, "cursors", "train")
  return existsSync(directory) ? filesBelow(directory).filter((file) => file.endsWith(".json")).length : 0
}

layer(NodeServices.layer, { excludeTestServices: true, timeout: TIMEOUT })("processes on one store", (it) => {
  for (const count of [2, 6]) {
    it.effect(
      `compute each stage exactly once, ${count} of them`,
      () =>
        Effect.gen(function* () {
          const store = join(yield* temporaryDirectory, "store")
          assert.deepStrictEqual((yield* sideBySide(store, count)).computed, [...labels].sort())
        }),
      TIMEOUT,
    )
  }

  it.effect(
    "of which the computing one is killed end as if it had not been there",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const [quiet, store] = [join(directory, "quiet"), join(directory, "store")]
        const reference = yield* cli(run(quiet))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const first = yield* start(run(store))
            while (checkpoints(store) < 20) {
              assert.isTrue(yield* first.isRunning)
              yield* Effect.sleep(5)
            }
            const others = yield* Effect.all([start(run(store)), start(run(store))])
            while (readdirSync(join(store, "runs")).length < 3 && (yield* first.isRunning)) {
              yield* Effect.sleep(5)
            }
            yield* first.kill("SIGKILL")
            for (const { finished } of others) {
              const { code, stdout, stderr } = yield* finished
              assert.strictEqual(code, 0, stderr)
              assert.strictEqual(stdout, reference.stdout)
            }
          }),
        )
        assert.deepStrictEqual(recordsOf(store), recordsOf(quiet))
        assert.lengthOf(new Set(computedIn(store)), computedIn(store).length, "nothing was computed twice")
      }),
    TIMEOUT,
  )
})
