import { execFile, execFileSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { temporaryDirectory } from "./temporary.ts"

const inContainer = ["--user", "--pid", "--fork", "--kill-child"]
const hasContainers = (() => {
  try {
    execFileSync("unshare", [...inContainer, "true"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

/** A process that is the first one of its machine, as programs in containers are. */
const first = (...args: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    execFile(
      "unshare",
      [...inContainer, process.execPath, join(import.meta.dirname, "writer.ts"), ...args],
      (error, _, complaint) => resume(Effect.succeed(error === null ? "" : complaint)),
    )
  })

describe("commitFile", () => {
  // Left out where the system allows no process namespaces.
  it.live.skipIf(!hasContainers)(
    "of processes with the same number on several machines writes each in one piece",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const file = join(directory, "file")
        const writers = ["a", "b", "c"].map((content) => first(file, content))
        const complaints = yield* Effect.all(writers, { concurrency: "unbounded" })
        assert.deepStrictEqual(complaints, ["", "", ""])
        assert.match(readFileSync(file, "utf8"), /^(a{1000}|b{1000}|c{1000})$/)
        assert.deepStrictEqual(readdirSync(directory), ["file"])
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
  )
})
