/**
 * A sweep of twelve runs on two and on four workers, each in a network namespace of its own, by way of a real PostgreSQL, while
 * processes are killed, the database crashes, a cable is pulled and a disk is full. With a share below one, runs are small.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Clock, Console, Duration, Effect } from "effect"
import type { Scale } from "../../../src/pipelines/paper.ts"
import { cli, type Options, start } from "../../commands/process.ts"
import { binaries, startPostgres } from "../../services/remote/postgres.ts"
import { temporaryDirectory } from "../../services/store/temporary.ts"
import { recordsOf } from "../stores.ts"
import { runPart } from "./figures.ts"
import { checkpoints, going, SCALE, sweepIn, twice } from "./sweep.ts"

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
    here: cli(run(), asking),
  }
})

/** Milliseconds until trainings that were going on have all got further. */
const untilResumed = Effect.fn("untilResumed")(function* (store: string) {
  const began = yield* Clock.currentTimeMillis
  const before = going(store)
  const isStuck = () => {
    const now = going(store)
    // What has ended goes on no more.
    return [...before].some(([cursor, count]) => (now.get(cursor) ?? Number.POSITIVE_INFINITY) <= count)
  }
  while (isStuck()) yield* Effect.sleep(50)
  return (yield* Clock.currentTimeMillis) - began
})

/** Until something more of a training is stored. */
const untilProgress = Effect.fn("untilProgress")(function* (store: string) {
  const before = checkpoints(store)
  while (checkpoints(store) <= before) yield* Effect.sleep(20)
})

const untilCheckpoints = Effect.fn("untilCheckpoints")(function* (store: string, count: number) {
  while (checkpoints(store) < count) yield* Effect.sleep(20)
})

it.live("a sweep ends with the bits of one machine, whatever happens to a cluster", () =>
  runPart(
    "cluster",
    Effect.gen(function* () {
      const bin = binaries
      if (bin === undefined || process.getuid?.() !== 0) {
        return {
          summary: "not run",
          figures: {},
          skipped: [{ what: "all of it", because: "it takes PostgreSQL, and root for network namespaces" }],
        }
      }
      const seconds = (milliseconds: number) => Math.round(milliseconds / 1000)
      const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.timed(effect)
      const onOneMachine = Effect.fn("onOneMachine")(function* (scale: Scale) {
        const { here, store } = yield* makeLaboratory(bin, 0, scale)
        const [took, { code, stderr }] = yield* timed(here)
        assert.strictEqual(code, 0, stderr)
        yield* Console.log(`cluster: ${scale} on one machine in ${Duration.format(took)}`)
        return recordsOf(store)
      }, Effect.scoped)
      const expected = yield* onOneMachine(SCALE)

      const quiet = Effect.fn("quiet")(function* (workers: number) {
        const { hosts, worker, ask, store } = yield* makeLaboratory(bin, workers)
        for (const host of hosts) yield* worker(host)
        const [took, { code, stderr }] = yield* timed(Effect.flatMap(ask, ({ finished }) => finished))
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(recordsOf(store), expected)
        assert.strictEqual(twice(store), 0)
        yield* Console.log(`cluster: on ${workers} workers in ${Duration.format(took)}`)
      }, Effect.scoped)
      yield* quiet(2)
      yield* quiet(4)

      const resumed: Array<number> = []
      const disturbed = yield* Effect.scoped(
        Effect.gen(function* () {
          const { hosts, worker, ask, store, postgres } = yield* makeLaboratory(bin, 4)
          const [first, second, third, fourth] = hosts
          const victim = yield* worker(first)
          const lonely = yield* ask
          yield* untilCheckpoints(store, 5)

          // Alone, so that what goes on is what it was at.
          yield* victim.kill("SIGKILL")
          yield* worker(second)
          resumed.push(yield* untilResumed(store))
          yield* Console.log(`cluster: a killed worker's training went on after ${resumed[0]} ms`)

          yield* lonely.kill("SIGKILL")
          const asking = yield* ask
          yield* worker(third)
          yield* worker(fourth)
          const untilAnother = Effect.raceFirst(untilProgress(store), asking.finished)
          yield* untilAnother

          yield* postgres.stop
          yield* Effect.sleep("5 seconds")
          yield* postgres.start
          yield* untilAnother

          yield* third.plug("down")
          yield* Effect.sleep(UNPLUGGED)
          yield* third.plug("up")

          const { code, stderr } = yield* asking.finished
          assert.strictEqual(code, 0, stderr)
          assert.deepStrictEqual(recordsOf(store), expected)
          return twice(store)
        }),
      )
      for (const milliseconds of resumed) assert.isBelow(milliseconds, PROMPTLY)

      // A disk of any size is full.
      const small = yield* onOneMachine("smoke")
      const fullStores = yield* Effect.scoped(
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
          return 1
        }),
      )

      return {
        summary: `a sweep of 12 runs (${SCALE}) ended with the bits of one machine on 2 and 4 workers in network namespaces, each stage computed once; and with a worker killed, the run that asks killed, PostgreSQL crashed, a worker cut off for a minute; and, at smoke scale, with a full store`,
        figures: {
          stages: expected.length,
          resumedElsewhereMilliseconds: Math.round(Math.max(...resumed)),
          computedTwiceWhenDisturbed: disturbed,
          fullStores,
          unpluggedSeconds: seconds(60_000),
        },
      }
    }),
  ).pipe(Effect.provide(NodeServices.layer)),
)
