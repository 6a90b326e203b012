/**
 * A sweep of twelve runs on two and on four workers, each in network and process namespaces of its own, by way of a real PostgreSQL; and while
 * processes are killed, workers race for the same stages, the database crashes, a cable is pulled and a disk is full. With a share below one, runs
 * are small.
 * `STORE=DIR` takes the sweep that they are compared with from there, or has it computed there.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Console, Duration, Effect } from "effect"
import { type Options, start } from "../../commands/process.ts"
import { binaries, startPostgres } from "../../services/remote/postgres.ts"
import { temporaryDirectory } from "../../services/store/temporary.ts"
import { recordsOf } from "../stores.ts"
import { type Findings, type Reliability, runPart } from "./figures.ts"
import { checkpoints, onOneMachine, runsBegun, SCALE, sweepIn, twice, untilCheckpoints } from "./sweep.ts"

/** Of the hosts in namespaces, of which each has a cable to this one. */
const NETWORK = "10.213.0.0/16"
/** What a stage may take until it goes on elsewhere. */
const PROMPTLY = 20_000
const UNPLUGGED = "60 seconds"

const ip = (...args: ReadonlyArray<string>) => execFileSync("ip", args, { stdio: "pipe" })

/** A host of its own, as far as processes and the network go: what runs `by` it reaches this one at `gateway`, while it is plugged in. */
const host = (number: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const [name, here, there] = [`gs${number}`, `gs${number}h`, `gs${number}t`]
      const [gateway, own] = [`10.213.${number}.1`, `10.213.${number}.2`]
      if (existsSync(`/run/netns/${name}`)) ip("netns", "del", name) // of a soak that was killed
      ip("netns", "add", name)
      ip("link", "add", here, "type", "veth", "peer", "name", there)
      ip("link", "set", there, "netns", name)
      ip("addr", "add", `${gateway}/24`, "dev", here)
      ip("link", "set", here, "up")
      ip("-n", name, "addr", "add", `${own}/24`, "dev", there)
      ip("-n", name, "link", "set", there, "up")
      ip("-n", name, "link", "set", "lo", "up")
      return {
        by: [
          "ip",
          "netns",
          "exec",
          name,
          "unshare",
          "--uts",
          "--pid",
          "--mount-proc",
          "--fork",
          "--kill-child",
        ],
        gateway,
        name,
        plug: (state: "up" | "down") => Effect.sync(() => ip("link", "set", here, state)),
      }
    }),
    ({ name }) => Effect.sync(() => ip("netns", "del", name)),
  )

const makeLaboratory = Effect.fn("makeLaboratory")(function* (bin: string, workers: number, scale = SCALE) {
  const directory = yield* temporaryDirectory
  const postgres = yield* startPostgres(bin, NETWORK)
  const hosts = yield* Effect.forEach(Array.from({ length: workers }).keys(), host)
  const store = join(directory, "store")
  const sweep = sweepIn(directory)
  const addressAt = (host: string) => postgres.address.replace("127.0.0.1", host)
  const env = (at: string) => ({ PGPASSWORD: postgres.password, GROKSCOPE_CLUSTER: addressAt(at) })
  const run = (...more: ReadonlyArray<string>) => [...sweep(store, scale), ...more]
  const asking: Options = { env: env("127.0.0.1") }
  return {
    store,
    postgres,
    hosts,
    worker: ({ by, gateway }: (typeof hosts)[number], at = store) =>
      start(["worker", "--store", at, "--workers", "1", "--threads", "1"], { env: env(gateway), by }),
    ask: start(run("--executor", "cluster"), asking),
    /** One run of full size, so that there is one training and it takes minutes. */
    askForOne: start(["run", "single", "--store", store, "--executor", "cluster"], asking),
  }
})

/** Until something more of a training is stored. */
const untilProgress = Effect.fn("untilProgress")(function* (store: string) {
  const before = checkpoints(store)
  while (checkpoints(store) <= before) yield* Effect.sleep(20)
})

/** Runs a part where that can be done. */
const part = <E, R>(name: keyof Reliability, findings: (bin: string) => Effect.Effect<Findings, E, R>) => {
  const bin = process.getuid?.() === 0 ? binaries : undefined
  const because = "it takes PostgreSQL, and root for namespaces"
  const nothing = { summary: "not run", figures: {}, skipped: [{ what: "all of it", because }] }
  return runPart(name, bin === undefined ? Effect.succeed(nothing) : findings(bin))
}

it.live("a sweep on a cluster ends with the bits of one machine, each stage computed once", () =>
  part(
    "cluster",
    Effect.fnUntraced(function* (bin) {
      const expected = yield* onOneMachine(SCALE)
      const on = Effect.fn("on")(function* (workers: number) {
        const { hosts, worker, ask, store } = yield* makeLaboratory(bin, workers)
        for (const host of hosts) yield* worker(host)
        const [took, { code, stderr }] = yield* Effect.timed(Effect.flatMap(ask, ({ finished }) => finished))
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(recordsOf(store), expected)
        assert.strictEqual(twice(store), 0)
        yield* Console.log(`cluster: on ${workers} workers in ${Duration.format(took)}`)
        return Math.round(Duration.toSeconds(took))
      }, Effect.scoped)
      const seconds = { "2 workers": yield* on(2), "4 workers": yield* on(4) }
      return {
        summary: `a sweep of 12 runs (${SCALE}) ended with the bits of one machine on 2 and on 4 workers in namespaces, each of its ${expected.length} stages computed once`,
        figures: { stages: expected.length, seconds },
      }
    }),
  ).pipe(Effect.provide(NodeServices.layer)),
)

it.live("a sweep on a cluster ends with the bits of one machine, whatever happens", () =>
  part(
    "clusterFaults",
    Effect.fnUntraced(function* (bin) {
      /** Milliseconds until a training goes on with a worker that is free, after the one that was at it is killed. */
      const resumed = yield* Effect.scoped(
        Effect.gen(function* () {
          const { hosts, worker, askForOne, store } = yield* makeLaboratory(bin, 2)
          const victim = yield* worker(hosts[0])
          yield* askForOne
          yield* untilCheckpoints(store, 3)
          yield* worker(hosts[1])
          yield* Effect.sleep("3 seconds")
          yield* victim.kill("SIGKILL")
          const [took] = yield* Effect.timed(untilProgress(store))
          return Math.round(Duration.toMillis(took))
        }),
      )
      yield* Console.log(`cluster: a killed worker's training went on after ${resumed} ms`)
      assert.isBelow(resumed, PROMPTLY)

      const expected = yield* onOneMachine(SCALE)
      const { computedTwice, raced } = yield* Effect.scoped(
        Effect.gen(function* () {
          const { hosts, worker, ask, store, postgres } = yield* makeLaboratory(bin, 4)
          const [first, second, third, fourth] = hosts
          const victim = yield* worker(first)
          const lonely = yield* ask
          yield* untilCheckpoints(store, 5)

          yield* victim.kill("SIGKILL")
          const workers = [yield* worker(second)]
          yield* untilProgress(store)

          yield* lonely.kill("SIGKILL")
          // Two ask for the same, so each stage is given to two workers.
          const asking = [yield* ask, yield* ask]
          workers.push(yield* worker(third), yield* worker(fourth))
          // They have found what is stored, so they have the database.
          while (runsBegun(store) < 3) yield* Effect.sleep(20)
          const ended = Effect.all(asking.map(({ finished }) => finished))
          const untilAnother = Effect.raceFirst(untilProgress(store), ended)
          yield* untilAnother
          yield* Console.log("cluster: two other processes ask")

          yield* postgres.stop
          yield* Effect.sleep("5 seconds")
          yield* postgres.start
          yield* untilAnother
          yield* Console.log("cluster: the database is back")

          yield* third.plug("down")
          yield* Effect.sleep(UNPLUGGED)
          yield* third.plug("up")

          for (const { code, stderr } of yield* ended) assert.strictEqual(code, 0, stderr)
          assert.deepStrictEqual(recordsOf(store), expected)
          const said = yield* Effect.forEach(workers, ({ printed }) => printed)
          const raced = new Set(
            said.flatMap(({ stderr }) => stderr.match(/^.+(?=: process .+ computes it, waiting$)/gm) ?? []),
          )
          return { computedTwice: twice(store), raced: raced.size }
        }),
      )
      yield* Console.log(
        `cluster: ended; workers raced for ${raced} stages, ${computedTwice} were computed twice`,
      )
      assert.isAbove(raced, 0)

      // A disk of any size is full.
      const small = yield* onOneMachine("smoke")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { hosts, worker, ask, store } = yield* makeLaboratory(bin, 1, "smoke")
          mkdirSync(store)
          execFileSync("mount", ["-t", "tmpfs", "-o", "size=4M", "tmpfs", store])
          yield* Effect.addFinalizer(() => Effect.sync(() => execFileSync("umount", ["-l", store])))
          yield* worker(hosts[0])
          const full = yield* Effect.flatMap(ask, ({ finished }) => finished)
          assert.strictEqual(full.code, 1)
          assert.match(full.stderr, /no space left|ENOSPC/i)
          execFileSync("mount", ["-o", "remount,size=4G", store])
          const { code, stderr } = yield* Effect.flatMap(ask, ({ finished }) => finished)
          assert.strictEqual(code, 0, stderr)
          assert.deepStrictEqual(recordsOf(store), small)
        }),
      )

      return {
        summary: `a sweep of 12 runs (${SCALE}) ended with the bits of one machine though a worker and the run that asks were killed, two others asked for the same, PostgreSQL crashed and a worker was cut off for a minute; one of smoke scale though its store was full; the training of a killed worker went on elsewhere after ${(resumed / 1000).toFixed(1)} s`,
        figures: {
          stages: expected.length,
          resumedElsewhereMilliseconds: resumed,
          workersRacedForStages: raced,
          computedTwiceWhenDisturbed: computedTwice,
          fullStores: 1,
          unpluggedSeconds: Duration.toSeconds(UNPLUGGED),
        },
      }
    }),
  ).pipe(Effect.provide(NodeServices.layer)),
)
