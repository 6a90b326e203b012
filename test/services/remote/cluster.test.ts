/** Runs whose stages are computed by worker processes, by way of a real PostgreSQL. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { attribute, collector, spansOf } from "../../commands/collector.ts"
import { cli, start } from "../../commands/process.ts"
import { computedIn, eventsOf, recordsOf } from "../../crash/stores.ts"
import { labels, settings, tiny } from "../../pipelines/tiny.ts"
import { filesBelow, temporaryDirectory } from "../store/temporary.ts"
import { binaries, startPostgres } from "./postgres.ts"

const TIMEOUT = 120_000

/** Long enough to be killed in the middle of its training. */
const config = { ...tiny, train: { ...tiny.train, maxSteps: 4000 } }

const run = (store: string, ...more: ReadonlyArray<string>) => [
  ...["run", "single", "--scale", "smoke", "--threads", "1", "--json", "--store", store, ...more],
  ...settings(config).flatMap((setting) => ["--set", setting]),
]

/** A database, a store, and the processes of a cluster on them. */
const makeCluster = Effect.fn("makeCluster")(function* (bin: string) {
  const postgres = yield* startPostgres(bin)
  const directory = yield* temporaryDirectory
  const store = join(directory, "store")
  const env = { PGPASSWORD: postgres.password, GROKSCOPE_CLUSTER: postgres.address }
  const { url, requests } = yield* collector
  return {
    requests,
    postgres,
    directory,
    store,
    worker: (at = store) =>
      start(["worker", "--store", at, "--workers", "2", "--threads", "1", "--otlp", url], { env }),
    ask: (args: ReadonlyArray<string>) => start([...args, "--executor", "cluster"], { env }),
    coordinator: start(run(store, "--executor", "cluster", "--otlp", url), { env }),
    runHere: (at: string) => cli(run(at)),
  }
})

const checkpoints = (store: string): number => {
  try {
    return filesBelow(join(store, "cursors", "train")).filter((file) => file.endsWith(".json")).length
  } catch {
    return 0
  }
}

const until = Effect.fn("until")(function* (holds: () => boolean) {
  while (!holds()) yield* Effect.sleep(5)
})

const suite = binaries === undefined ? describe.skip : describe

// Left out where no PostgreSQL is installed: apt-get install postgresql.
suite("a cluster", () => {
  const bin = binaries ?? ""
  layer(NodeServices.layer, { excludeTestServices: true, timeout: TIMEOUT })((it) => {
    it.effect(
      "computes what one machine does, each stage once, on whichever worker is free",
      () =>
        Effect.gen(function* () {
          const { coordinator, worker, runHere, store, directory, postgres, requests } =
            yield* makeCluster(bin)
          const here = yield* runHere(join(directory, "here"))
          const workers = yield* Effect.all([worker(), worker()])
          const { code, stdout, stderr } = yield* Effect.flatMap(coordinator, ({ finished }) => finished)
          assert.strictEqual(code, 0, stderr)
          assert.strictEqual(stdout, here.stdout)
          assert.deepStrictEqual(recordsOf(store), recordsOf(join(directory, "here")))
          assert.deepStrictEqual(computedIn(store), [...labels].sort())
          const byProcess = new Set(
            eventsOf(store).flatMap((event) => (event._tag === "Started" ? [event.pid] : [])),
          )
          assert.strictEqual(byProcess.size, 3)
          const again = yield* Effect.flatMap(coordinator, ({ finished }) => finished)
          assert.strictEqual(again.stdout, here.stdout)
          // One trace: each stage as a span of the process that asked, and below it one of that which computed.
          for (const { kill, finished } of workers) {
            yield* kill("SIGTERM")
            yield* finished
          }
          const spans = spansOf(requests).filter((span) => attribute(span, "label") !== undefined)
          const computed = spans.filter((span) => attribute(span, "outcome") === "computed")
          assert.lengthOf(computed, labels.length)
          for (const span of computed) {
            const asking = spans.find(({ spanId }) => spanId === span.parentSpanId)
            assert.strictEqual(asking && attribute(asking, "outcome"), "computed elsewhere")
            assert.strictEqual(asking?.traceId, span.traceId)
          }
          // The password is nowhere.
          const printed = yield* Effect.forEach(workers, (one) => one.printed)
          const texts = [
            ...requests.map(({ body }) => body),
            stderr,
            stdout,
            ...printed.flatMap(({ stdout, stderr }) => [stdout, stderr]),
          ]
          for (const file of filesBelow(store)) {
            if (/json$/.test(file)) texts.push(readFileSync(join(store, file), "utf8"))
          }
          for (const text of texts) assert.notInclude(text, postgres.password)
        }),
      TIMEOUT,
    )

    it.effect(
      "goes on from the last checkpoint on another worker where one is killed",
      () =>
        Effect.gen(function* () {
          const { coordinator, worker, store } = yield* makeCluster(bin)
          const first = yield* worker()
          const run = yield* coordinator
          yield* until(() => checkpoints(store) > 20)
          const second = yield* worker()
          yield* first.kill("SIGKILL")
          const killed = Date.now()
          const before = checkpoints(store)
          yield* until(() => checkpoints(store) > before + 1)
          assert.isBelow(Date.now() - killed, 20_000)
          const { code, stderr } = yield* run.finished
          assert.strictEqual(code, 0, stderr)
          assert.deepStrictEqual(computedIn(store), [...labels].sort())
          assert.isTrue(yield* second.isRunning)
        }),
      TIMEOUT,
    )

    it.effect(
      "outlives the process that asks, and the database",
      () =>
        Effect.gen(function* () {
          const { coordinator, worker, store, postgres } = yield* makeCluster(bin)
          yield* worker()
          const killed = yield* coordinator
          yield* until(() => checkpoints(store) > 5)
          yield* killed.kill("SIGKILL")
          const run = yield* coordinator
          while ((yield* run.printed).stderr === "") yield* Effect.sleep(5)
          const before = checkpoints(store)
          yield* until(() => checkpoints(store) > before + 20)
          yield* postgres.stop
          yield* Effect.sleep("2 seconds")
          yield* postgres.start
          const { code, stdout, stderr } = yield* run.finished
          assert.strictEqual(code, 0, stderr)
          assert.deepStrictEqual(computedIn(store), [...labels].sort())
          JSON.parse(stdout)
          assert.strictEqual(stderr.match(/ERROR|WARN/), null)
        }),
      TIMEOUT,
    )

    it.effect(
      "asks again for what failed, where it is wanted twice, and ends",
      () =>
        Effect.gen(function* () {
          const { ask, worker, directory, store } = yield* makeCluster(bin)
          yield* worker()
          // Two cells that share a training, which diverges.
          const sweep = join(directory, "sweep.yaml")
          writeFileSync(
            sweep,
            "description: Shared\nbase: single\nseeds: 1\nmeasure: [gradient-peak]\nset: { train.learningRate: 1e30 }\nvary: { svd.rank: [1, 2] }\n",
          )
          const { finished } = yield* ask([
            "run",
            sweep,
            "--scale",
            "smoke",
            "--store",
            store,
            "--out",
            join(directory, "out"),
          ])
          const { code, stderr } = yield* finished
          assert.strictEqual(code, 1, stderr)
          assert.include(stderr, "training diverged")
        }),
      TIMEOUT,
    )

    it.effect(
      "refuses a worker of another store, a wrong password, and an address with a password",
      () =>
        Effect.gen(function* () {
          const { coordinator, worker, directory, postgres, store } = yield* makeCluster(bin)
          yield* worker(join(directory, "other"))
          const { code, stderr } = yield* Effect.flatMap(coordinator, ({ finished }) => finished)
          assert.strictEqual(code, 1, stderr)
          assert.match(stderr, /error: [^\n]+ has another store, [^\n]+ give both the same --store\n$/)
          const { address } = postgres
          const args = ["worker", "--store", store, "--cluster", address]
          const refused = yield* cli(args, { env: { PGPASSWORD: "wrong" } })
          assert.strictEqual(refused.code, 1)
          assert.match(
            refused.stderr,
            /error: cannot use the database postgres:\/\/lab@[^\n]+ authentication failed/,
          )
          const seen = yield* cli(["worker", "--cluster", address.replace("lab@", "lab:secret@")])
          assert.strictEqual(seen.code, 2)
          assert.match(seen.stderr, /^error: --cluster: it contains a password, [^\n]+\n$/)
          assert.notInclude(seen.stderr, "secret")
          const none = yield* cli(["run", "single", "--executor", "cluster"], {
            env: { GROKSCOPE_CLUSTER: "" },
          })
          assert.strictEqual(none.code, 2)
        }),
      TIMEOUT,
    )
  })
})
