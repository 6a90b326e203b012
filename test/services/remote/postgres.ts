/** A PostgreSQL server of its own, from the binaries that this machine has. It refuses to run as root, so root runs it as `postgres`. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schedule } from "effect"
import { accepts, ended, freePort } from "./servers.ts"

const ROOT = "/usr/lib/postgresql"
const versions = existsSync(ROOT) ? readdirSync(ROOT) : []
/** Where its binaries are; without them, suites that need it are left out. */
export const binaries = versions.length === 0 ? undefined : join(ROOT, versions[versions.length - 1], "bin")

const PASSWORD = "not a secret, but looked for in every log"

/** As whom it runs. */
const asPostgres =
  process.getuid?.() === 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : []

/**
 * A server with an empty database until the scope closes.
 *
 * @param network whose hosts may connect, beside this one: such as 10.1.0.0/16
 */
export const startPostgres = Effect.fn("startPostgres")(function* (bin: string, network?: string) {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "grokscope-test-postgres-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true })),
  )
  const data = join(directory, "data")
  const passwordFile = join(directory, "password")
  writeFileSync(passwordFile, PASSWORD)
  if (asPostgres.length > 0) {
    const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }))
    for (const path of [directory, passwordFile]) chownSync(path, id("-u"), id("-g"))
  }
  const command = (name: string, ...args: ReadonlyArray<string>): [string, Array<string>] => {
    const [first, ...rest] = [...asPostgres, join(bin, name), ...args]
    return [first, rest]
  }
  const [init, initArgs] = command(
    "initdb",
    "-D",
    data,
    "-A",
    "scram-sha-256",
    "-U",
    "lab",
    "--pwfile",
    passwordFile,
    "-N",
  )
  yield* Effect.sync(() => execFileSync(init, initArgs, { cwd: directory, stdio: "ignore" }))
  if (network !== undefined)
    appendFileSync(join(data, "pg_hba.conf"), `host all all ${network} scram-sha-256\n`)
  const listen = network === undefined ? "127.0.0.1" : "*"
  const port = yield* freePort
  let server: ChildProcess | undefined

  const start = Effect.gen(function* () {
    const settings = [`listen_addresses=${listen}`, `unix_socket_directories=${directory}`, "fsync=off"]
    const [serve, args] = command(
      "postgres",
      "-D",
      data,
      "-p",
      `${port}`,
      ...settings.flatMap((one) => ["-c", one]),
    )
    server = spawn(serve, args, { cwd: directory, stdio: "ignore" })
    yield* Effect.retry(
      accepts(port),
      Schedule.spaced("50 millis").pipe(Schedule.upTo({ duration: "20 seconds" })),
    )
  })
  const end = (signal: NodeJS.Signals) =>
    Effect.suspend(() => {
      if (server === undefined) return Effect.void
      server.kill(signal)
      return ended(server)
    })
  yield* Effect.addFinalizer(() => end("SIGQUIT"))
  yield* start
  return {
    address: `postgres://lab@127.0.0.1:${port}/postgres`,
    port,
    password: PASSWORD,
    start,
    /** As by a crash. */
    stop: end("SIGQUIT"),
  }
})
