/** Several real processes on one store, at the same time: each stage is computed once, whoever dies. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { StageRecord } from "../../src/services/ArtifactStore.ts"
import { RunEvent } from "../../src/services/Journal.ts"
import { cli, start } from "../commands/process.ts"
import { labels, settings, tiny } from "../pipelines/tiny.ts"
import { filesBelow, temporaryDirectory } from "../services/store/temporary.ts"

const TIMEOUT = 180_000

/** Long enough that all processes want the training while it goes on. */
const config = { ...tiny, train: { ...tiny.train, maxSteps: 1000 } }

const run = (store: string) => [
  ...["run", "single", "--scale", "smoke", "--threads", "1", "--json", "--store", store],
  ...settings(config).flatMap((setting) => ["--set", setting]),
]

const decodeRecord = Schema.decodeUnknownSync(Schema.fromJsonString(StageRecord))

/** Key and output of every record. */
const outputs = (store: string) =>
  filesBelow(join(store, "records")).map((file) => {
    const { key, output } = decodeRecord(readFileSync(join(store, "records", file), "utf8"))
    return { key, output }
  })

/** Labels of what was computed, of all runs, sorted. */
const computed = (store: string): ReadonlyArray<string> =>
  readdirSync(join(store, "runs"))
    .flatMap((file) => readFileSync(join(store, "runs", file), "utf8").split("\n"))
    .flatMap((line) => Option.toArray(Schema.decodeUnknownOption(Schema.fromJsonString(RunEvent))(line)))
    .flatMap((event) => (event._tag === "Computed" ? [event.label] : []))
    .sort()

const checkpoints = (store: string): number => {
  const directory = join(store, "cursors", "train")
  return existsSync(directory) ? filesBelow(directory).filter((file) => file.endsWith(".json")).length : 0
}

const leftovers = (store: string) =>
  ["leases", "processes"].flatMap((directory) => filesBelow(join(store, directory)))

layer(NodeServices.layer, { excludeTestServices: true, timeout: TIMEOUT })("processes on one store", (it) => {
  for (const count of [2, 6]) {
    it.effect(
      `compute each stage exactly once, ${count} of them`,
      () =>
        Effect.gen(function* () {
          const store = join(yield* temporaryDirectory, "store")
          const all = Array.from({ length: count }, () => cli(run(store)))
          const ended = yield* Effect.all(all, { concurrency: "unbounded" })
          for (const { code, stdout, stderr } of ended) {
            assert.strictEqual(code, 0, stderr)
            assert.strictEqual(stdout, ended[0].stdout)
          }
          assert.deepStrictEqual(computed(store), [...labels].sort())
          assert.deepStrictEqual(leftovers(store), [])
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
        assert.deepStrictEqual(outputs(store), outputs(quiet))
        assert.lengthOf(new Set(computed(store)), computed(store).length, "nothing was computed twice")
      }),
    TIMEOUT,
  )
})
