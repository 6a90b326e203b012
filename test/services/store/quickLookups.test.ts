import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { sha256 } from "../../../src/services/store/canonical.ts"
import { quickLookups } from "../../../src/services/store/quickLookups.ts"
import { temporaryDirectory } from "./temporary.ts"

/** What a file system says of a path, errors too. */
const look = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return {
      stat: yield* Effect.result(fs.stat(path)),
      content: yield* Effect.result(Effect.map(fs.readFile(path), (bytes) => sha256(bytes))),
    }
  })

layer(NodeServices.layer)("quick look-ups", (it) => {
  it.effect.each([
    ["a small file", (path: string) => writeFileSync(path, "text")],
    ["an empty file", (path: string) => writeFileSync(path, "")],
    ["a large file", (path: string) => writeFileSync(path, new Uint8Array(1_500_000).fill(7))],
    ["a directory", (path: string) => mkdirSync(path)],
    ["a link", (path: string) => symlinkSync(import.meta.filename, path)],
    ["a link to nowhere", (path: string) => symlinkSync("nowhere", path)],
    ["nothing", () => undefined],
  ] as const)("say of %s what the platform's file system says", ([, make]) =>
    Effect.gen(function* () {
      const path = join(yield* temporaryDirectory, "looked-up")
      make(path)
      yield* look(path) // the first reading may set the time of access
      const slow = yield* look(path)
      const quick = yield* look(path).pipe(Effect.provide(quickLookups))
      assert.deepStrictEqual(quick, slow)
    }),
  )
})
