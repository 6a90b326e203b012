/** Runs whose stages are computed by worker processes, by way of a real PostgreSQL. */
import { execFileSync } from "node:child_process"
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

/** Long enough for a process to be killed in the middle of the training. */
const LONG = 4000

/** A database, a store, and the processes of a cluster on them, for a run whose training takes so many steps. */
const makeCluster = Effect.fn("makeCluster")(function* (bin: string, maxSteps = LONG) {
  const postgres = yield* startPostgres(bin)
  const directory = yield* temporaryDirectory
  const store = join(directory, "store")
  const env = { PGPASSWORD: postgres.password, GROKSCOPE_CLUSTER: postgres.address }
  const { url, requests } = yield* collector
  const run = (store: string, ...more: ReadonlyArray<string>) => [
    ...["run", "single", "--scale", "smoke", "--threads", "1", "--json", "--store", store, ...more],
    ...settings({ ...tiny, train: { ...tiny.train, maxSteps } }).flatMap((setting) => ["--set", setting]),
  ]
  return {
    requests,
    postgres,
    directory,
    store,
    worker: (at = store) =>
      start(["worker", "--store", at, "--workers", "2", "--threads", "1", "--otlp", url], { env }),
    ask: (args: ReadonlyArray<string>) => start([...args, "--executor", "cluster"], { env }),
    coordinator: start(run(store, "--executor", "cluster", "--otlp", url), { env }),
    /** The same with process numbers of its own, as on another machine: others see only its heartbeat. */
    remoteCoordinator: start(run(store, "--executor", "cluster"), {
      env,
      by: ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child"],
    }),
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

/** The process that computes something. */
const holderIn = (store: string): number => {
  const [lease] = filesBelow(join(store, "leases"))
  const [, id] = lease.split(".")
  return JSON.parse(readFileSync(join(store, "processes", `${id}.json`), "utf8")).pid
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
          const { coordinator, worker, runHere, store, directory, postgres, requests } = yield* makeCluster(
            bin,
            500,
          )
          const here = yield* runHere(join(directory, "here"))
          const workers = yield* Effect.all([worker(), worker()])
          const { code, stdout, stderr } = yield* Effect.flatMap(coordinator, ({ finished }) => finished)
          assert.strictEqual(code, 0, stderr)
          assert.strictEqual(stdout, here.stdout)
          assert.deepStrictEqual(recordsOf(store), recordsOf(join(directory, "here")))
          assert.deepStrictEqual(computedIn(store), [...labels].sort())
          const asked = eventsOf(store).flatMap((event) => (event._tag === "Asked" ? [event.label] : []))
          assert.deepStrictEqual(
            asked.sort(),
            [...labels].sort(),
            "so they are wanted, as garbage collection sees it",
          )
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
          const one = yield* worker()
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
          // One that waits for work says so, too.
          const told = Effect.fnUntraced(function* (what: RegExp) {
            const before = (yield* one.printed).stderr.length
            return Effect.gen(function* () {
              while (!what.test((yield* one.printed).stderr.slice(before))) yield* Effect.sleep(50)
            })
          })
          const goes = yield* told(/the database does not answer \([^\n]+\); trying again every second\n/)
          yield* postgres.stop
          yield* goes
          const comes = yield* told(/the database answers again\n/)
          yield* postgres.start
          yield* comes
        }),
      TIMEOUT,
    )

    // Left out where this is not root, which namespaces of processes take.
    const itAsRoot = process.getuid?.() === 0 ? it.effect : it.effect.skip
    itAsRoot(
      "asks again for what workers dropped while it was suspended",
      () =>
        Effect.gen(function* () {
          const { remoteCoordinator, worker, store } = yield* makeCluster(bin, 1.5 * LONG)
          for (const { printed } of yield* Effect.all([worker(), worker()])) {
            while ((yield* printed).stderr === "") yield* Effect.sleep(5)
          }
          const run = yield* remoteCoordinator
          yield* until(() => checkpoints(store) > 5)
          const signal = (name: string) => execFileSync("pkill", [name, "-f", `run single .* ${store} `])
          signal("-STOP")
          yield* Effect.sleep("7 seconds")
          const before = checkpoints(store)
          process.kill(holderIn(store), "SIGKILL")
          // Its training is given to the other twelve seconds later, when the one who asks has been still for longer.
          yield* Effect.sleep("14 seconds")
          assert.isBelow(checkpoints(store), before + 2)
          signal("-CONT")
          const { code, stderr } = yield* run.finished
          assert.strictEqual(code, 0, stderr)
          assert.include(stderr, "took this process for dead")
          assert.deepStrictEqual(computedIn(store), [...labels].sort())
        }),
      1.5 * TIMEOUT,
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
          assert.notMatch(stderr, /^train\b.* done in/m)
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
