/** A Ceph cluster of its own with a RADOS gateway, which speaks S3, from the binaries that this machine has; its objects are in memory. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schedule } from "effect"
import { accepts, ended, freePort } from "../remote/servers.ts"

/** Without it, suites that need it are left out. */
export const hasCeph = ["radosgw", "ceph-mon", "ceph-osd"].every((name) => existsSync(`/usr/bin/${name}`))

export const ACCESS_KEY = "lab"
export const SECRET_KEY = "no-secret-but-looked-for-in-every-log"

const configuration = (directory: string, fsid: string, monitor: number, gateway: number) => `
[global]
fsid = ${fsid}
mon host = v2:127.0.0.1:${monitor}
mon initial members = a
keyring = ${directory}/keyring
run dir = ${directory}
admin socket = ${directory}/$name.$pid.asok
log file = /dev/null
mon cluster log file = /dev/null
pid file = ${directory}/$name.pid
crash dir = ${directory}
mon data = ${directory}/mon
osd data = ${directory}/osd
osd objectstore = memstore
memstore device bytes = 4G
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
rgw frontends = beast endpoint=127.0.0.1:${gateway}
rgw dns name = localhost
`

/** An S3 service with the user {@link ACCESS_KEY} until the scope closes. Takes ten seconds. */
export const startCeph = Effect.gen(function* () {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "grokscope-test-ceph-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true })),
  )
  const [monitor, port] = [yield* freePort, yield* freePort]
  const fsid = crypto.randomUUID()
  const file = join(directory, "ceph.conf")
  writeFileSync(file, configuration(directory, fsid, monitor, port))
  const at = (name: string) => join(directory, name)
  const run = (name: string, ...args: ReadonlyArray<string>) =>
    execFileSync(name, args, { stdio: "pipe", timeout: 60_000 })
  const daemon = (name: string, ...args: ReadonlyArray<string>) =>
    Effect.acquireRelease(
      Effect.sync(() => spawn(name, ["-c", file, "-f", ...args], { stdio: "ignore" })),
      (child) =>
        Effect.andThen(
          Effect.sync(() => child.kill("SIGKILL")),
          ended(child),
        ),
    )

  const key = (name: string, ...caps: ReadonlyArray<string>) =>
    run(
      "ceph-authtool",
      at("keyring"),
      "-g",
      "-n",
      name,
      ...caps.flatMap((cap) => ["--cap", ...cap.split("=")]),
    )
  run("ceph-authtool", "-C", at("keyring"))
  key("mon.", "mon=allow *")
  key("client.admin", "mon=allow *", "osd=allow *", "mgr=allow *")
  key("osd.0", "mon=allow profile osd", "osd=allow *")
  run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", `[v2:127.0.0.1:${monitor}]`, at("monmap"))
  run("ceph-mon", "-c", file, "--mkfs", "-i", "a", "--monmap", at("monmap"), "--keyring", at("keyring"))
  yield* daemon("ceph-mon", "-i", "a")
  const osd = crypto.randomUUID()
  run("ceph", "-c", file, "osd", "new", osd)
  mkdirSync(at("osd"))
  run("ceph-osd", "-c", file, "-i", "0", "--mkfs", "--osd-uuid", osd)
  yield* daemon("ceph-osd", "-i", "0")
  const user = ["user", "create", "--uid=lab", "--display-name=lab"]
  run("radosgw-admin", "-c", file, ...user, `--access-key=${ACCESS_KEY}`, `--secret-key=${SECRET_KEY}`)

  let gateway: ChildProcess | undefined
  const start = Effect.gen(function* () {
    gateway = spawn("radosgw", ["-c", file, "-f", "-n", "client.admin"], { stdio: "ignore" })
    yield* Effect.retry(
      accepts(port),
      Schedule.spaced("50 millis").pipe(Schedule.upTo({ duration: "60 seconds" })),
    )
  })
  const stop = Effect.suspend(() => {
    if (gateway === undefined) return Effect.void
    gateway.kill("SIGKILL")
    return ended(gateway)
  })
  yield* Effect.addFinalizer(() => stop)
  yield* start
  return {
    env: {
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: SECRET_KEY,
    },
    start,
    /** As by a crash. */
    stop,
  }
})
