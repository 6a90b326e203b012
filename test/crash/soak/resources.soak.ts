import { execFileSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Console, Effect, Exit } from "effect"
import { cli } from "../../commands/process.ts"
import { temporaryDirectory } from "../../services/store/temporary.ts"
import { ending, starved } from "../starved.ts"
import { type Findings, runPart } from "./figures.ts"
import { share } from "./settings.ts"

const mount = (options: string, directory: string) =>
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", directory], { stdio: "pipe" })
const remount = (options: string, directory: string) => mount(`remount,${options}`, directory)

/** A small disk, until the scope closes. */
const disk = Effect.fn("disk")(function* (options: string) {
  const directory = join(yield* temporaryDirectory, "disk")
  mkdirSync(directory)
  yield* Effect.acquireRelease(
    Effect.try({ try: () => mount(options, directory), catch: () => new Error("cannot mount a tmpfs") }),
    () => Effect.sync(() => execFileSync("umount", [directory])),
  )
  return directory
})

const mayMount = Effect.map(Effect.exit(Effect.scoped(disk("size=64k"))), Exit.isSuccess)

const ROOM = "size=64m,nr_inodes=100000"

/** Disks that are full after less and more of the run. */
const FULL = [
  ...[12, 24, 48, 72, 96, 120, 144].map((size) => `size=${size}k,nr_inodes=100000`),
  ...[20, 40, 60].map((files) => `size=64m,nr_inodes=${files}`),
]

/** Fewer, and Node itself does not come to run the command. */
const FILES = [24, 32, 40, 48, 56, 63]
const ENOUGH = { 1: 64, 2: 88 }

/** Some of a list, where only a share is run. */
const some = <A>(list: ReadonlyArray<A>): ReadonlyArray<A> =>
  list.filter((_, i) => i % Math.max(1, Math.min(list.length, Math.round(1 / share / 2))) === 0)

const NO_MOUNT: Findings["skipped"] = [
  {
    what: "full and read-only disks",
    because: "mounting a tmpfs is not permitted; run as root (CAP_SYS_ADMIN) to have them tried",
  },
]

it.live("a run may lack room, permission and open files", () =>
  runPart(
    "resources",
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const expected = yield* ending(join(directory, "plain"))
      const tried: Record<string, number> = {}
      const count = (what: string) =>
        Effect.suspend(() => {
          tried[what] = (tried[what] ?? 0) + 1
          return Console.log(`resources: ${what} ${tried[what]}`)
        })

      const mountable = yield* mayMount
      if (mountable) {
        for (const options of some(FULL)) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const store = join(yield* disk(options), "store")
              yield* starved(store, /ENOSPC: no space left on device/)
              yield* count("full disk")
              const { code, stdout } = yield* cli(["verify", "--store", store])
              assert.strictEqual(code, 0, stdout)
              remount("ro", join(store, ".."))
              yield* starved(store, /EROFS: read-only file system/)
              yield* count("read-only disk")
              for (const command of ["status", "verify"]) {
                assert.strictEqual((yield* cli([command, "--store", store])).code, 0, command)
              }
              remount(`rw,${ROOM}`, join(store, ".."))
              assert.deepStrictEqual(yield* ending(store), expected, options)
            }),
          )
        }
      }

      const few = join(directory, "few")
      for (const files of some(FILES)) {
        yield* starved(few, /ulimit -n 64/, { limit: `-n ${files}` })
        yield* count("few open files")
      }
      assert.deepStrictEqual(yield* ending(few, { limit: `-n ${ENOUGH[1]}` }), expected)
      const two = join(directory, "two")
      assert.deepStrictEqual(yield* ending(two, { limit: `-n ${ENOUGH[2]}` }, 2), expected)

      const total = Object.values(tried).reduce((sum, times) => sum + times, 0)
      return {
        summary: `${total} runs without room, permission or open files ended with one line that says so, and afterwards like any other`,
        figures: { tried },
        skipped: mountable ? [] : (NO_MOUNT ?? []),
      }
    }),
  ).pipe(Effect.provide(NodeServices.layer)),
)
