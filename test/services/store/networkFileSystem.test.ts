/**
 * A store on a file system of a network, which shows a machine for seconds what another has changed: sshfs with its caches, one mount for each of
 * two machines, which are processes in process namespaces of their own.
 */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { cli, start } from "../../commands/process.ts"
import { isQuarantineEmpty, recordsOf } from "../../crash/stores.ts"
import { settings, tiny } from "../../pipelines/tiny.ts"
import { ended } from "../remote/servers.ts"
import { filesBelow, temporaryDirectory } from "./temporary.ts"

const TIMEOUT = 120_000
const SERVER = "/usr/lib/openssh/sftp-server"
const needed = [SERVER, "/usr/bin/sshfs", "/usr/bin/socat", "/dev/fuse"]
const canMount = process.getuid?.() === 0 && needed.every((file) => existsSync(file))

/** `directory` as another machine sees it, at `target`; returns a way to send its server a signal. */
const mount = Effect.fn("mount")(function* (directory: string, target: string) {
  mkdirSync(target)
  const { pid } = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn("socat", [`EXEC:${SERVER}`, `EXEC:sshfs \\:${directory} ${target} -f -o passive`], {
        stdio: "ignore",
      }),
    ),
    (child) =>
      Effect.gen(function* () {
        execFileSync("umount", ["-l", target])
        child.kill("SIGKILL")
        yield* ended(child)
      }),
  )
  while (!readFileSync("/proc/mounts", "utf8").includes(target)) yield* Effect.sleep(20)
  return (signal: "STOP" | "CONT") =>
    Effect.sync(() => execFileSync("pkill", [`-${signal}`, "-P", String(pid), "-f", SERVER]))
})

const config = { ...tiny, train: { ...tiny.train, maxSteps: 1000 } }
const run = (store: string) => [
  ...["run", "single", "--scale", "smoke", "--threads", "1", "--json", "--store", store],
  ...settings(config).flatMap((setting) => ["--set", setting]),
]
const onAnotherMachine = {
  by: ["unshare", "--uts", "--pid", "--mount-proc", "--fork", "--kill-child"],
}

// Left out without root, or where there is no sshfs: apt-get install sshfs socat openssh-sftp-server.
;(canMount ? describe : describe.skip)("a store that shows things late", () => {
  layer(NodeServices.layer, { excludeTestServices: true, timeout: TIMEOUT })((it) => {
    it.effect(
      "is shared by machines: of two that run the same, one is killed, and the other ends with the bits of one alone",
      () =>
        Effect.gen(function* () {
          const directory = yield* temporaryDirectory
          const at = (name: string) => join(directory, name)
          mkdirSync(at("shared"))
          for (const machine of ["first", "second"]) yield* mount(at("shared"), at(machine))
          const alone = yield* cli(run(at("alone")))
          const first = yield* start(run(join(at("first"), "store")), onAnotherMachine)
          const second = yield* start(run(join(at("second"), "store")), onAnotherMachine)
          const cursors = join(at("shared"), "store", "cursors", "train")
          while (!existsSync(cursors) || filesBelow(cursors).length < 3) yield* Effect.sleep(20)
          yield* first.kill("SIGKILL")
          const { code, stdout, stderr } = yield* second.finished
          assert.strictEqual(code, 0, stderr)
          assert.strictEqual(stdout, alone.stdout)
          assert.deepStrictEqual(recordsOf(join(at("shared"), "store")), recordsOf(at("alone")))
          assert.isTrue(isQuarantineEmpty(join(at("shared"), "store")))
        }).pipe(Effect.scoped),
      TIMEOUT,
    )

    it.effect("that does not answer any more can be left with Ctrl-C, and gone on with when it does", () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const at = (name: string) => join(directory, name)
        mkdirSync(at("shared"))
        const signalServer = yield* mount(at("shared"), at("here"))
        const { kill, printed, finished } = yield* start(run(join(at("here"), "store")))
        const cursors = join(at("shared"), "store", "cursors", "train")
        while (!existsSync(cursors) || filesBelow(cursors).length < 3) yield* Effect.sleep(20)
        yield* Effect.ensuring(
          Effect.gen(function* () {
            yield* signalServer("STOP")
            yield* Effect.sleep("1 second")
            yield* kill("SIGINT")
            // Linux itself keeps a process until what was asked of FUSE is answered.
            yield* Effect.sleep("4 seconds")
            assert.include((yield* printed).stderr, "stopped; run the same command again to go on")
          }),
          signalServer("CONT"),
        )
        yield* Effect.timeout(finished, "2 seconds")
        const { code, stderr } = yield* cli(run(join(at("here"), "store")))
        assert.strictEqual(code, 0, stderr)
      }).pipe(Effect.scoped),
    )
  })
})
