import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Result } from "effect"
import { sha256 } from "../../../src/services/store/canonical.ts"
import { quickFiles } from "../../../src/services/store/quickFiles.ts"
import { temporaryDirectory } from "./temporary.ts"

/** What a file system says of a path, errors too. */
const look = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return {
      stat: yield* Effect.result(fs.stat(path)),
      exists: yield* Effect.result(fs.exists(path)),
      content: yield* Effect.result(Effect.map(fs.readFile(path), (bytes) => sha256(bytes))),
      text: yield* Effect.result(Effect.map(fs.readFileString(path), (text) => text.length)),
      names: yield* Effect.result(Effect.map(fs.readDirectory(path), (names) => names.sort())),
    }
  })

/** What there may be at a path, and how it comes there. */
const contents: Readonly<Record<string, (path: string) => void>> = {
  "a small file": (path) => writeFileSync(path, "text"),
  "an empty file": (path) => writeFileSync(path, ""),
  "a large file": (path) => writeFileSync(path, new Uint8Array(1_500_000).fill(7)),
  "a directory": (path) => {
    mkdirSync(path)
    writeFileSync(join(path, "b"), "")
    mkdirSync(join(path, "a"))
  },
  "a link": (path) => {
    writeFileSync(`${path}.linked`, "text")
    symlinkSync(`${path}.linked`, path)
  },
  "a link to nowhere": (path) => symlinkSync(`${path}.nowhere`, path),
  nothing: () => undefined,
}

/** What may be done to a path. */
const changes: Readonly<
  Record<string, (fs: FileSystem.FileSystem, path: string) => Effect.Effect<void, unknown>>
> = {
  "writes a little": (fs, path) => fs.writeFileString(path, "little"),
  "writes much": (fs, path) => fs.writeFile(path, new Uint8Array(1_500_000).fill(1)),
  "writes what is new": (fs, path) => fs.writeFileString(path, "new", { flag: "wx" }),
  renames: (fs, path) => fs.rename(path, `${path}.renamed`),
  "renames into nowhere": (fs, path) => fs.rename(path, join(path, "..", "nowhere", "name")),
  removes: (fs, path) => fs.remove(path),
  "removes by force": (fs, path) => fs.remove(path, { force: true }),
  "removes all": (fs, path) => fs.remove(path, { force: true, recursive: true }),
}

layer(NodeServices.layer)("quick files", (it) => {
  it.effect.each(Object.entries(contents))("says of %s what the platform's file system says", ([, make]) =>
    Effect.gen(function* () {
      const path = join(yield* temporaryDirectory, "looked-up")
      make(path)
      yield* look(path) // the first reading may set the time of access
      const slow = yield* look(path)
      const quick = yield* look(path).pipe(Effect.provide(quickFiles))
      assert.deepStrictEqual(quick, slow)
    }),
  )

  it.effect(
    "find out in this thread that something is not there, where its directory is not there either",
    () =>
      Effect.gen(function* () {
        const path = join(yield* temporaryDirectory, "nowhere", "nothing")
        const fs = yield* FileSystem.FileSystem
        const platform = { ...fs, readDirectory: () => Effect.die("asked the platform") }
        const quick = Layer.provide(
          quickFiles,
          Layer.succeed(FileSystem.FileSystem, FileSystem.make(platform)),
        )
        const names = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readDirectory(path)).pipe(
          Effect.provide(quick),
        )
        assert.strictEqual((yield* Effect.flip(names)).reason._tag, "NotFound")
      }),
  )

  it.effect.each(
    Object.keys(contents).flatMap((content) => Object.keys(changes).map((change) => ({ content, change }))),
  )("$change where there is $content as the platform's file system does", ({ content, change }) =>
    Effect.gen(function* () {
      const folder = join(yield* temporaryDirectory, "folder")
      /** How it ends, and what is there then. */
      const after = Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = join(folder, "changed")
        mkdirSync(folder)
        contents[content](path)
        const end = yield* Effect.result(changes[change](fs, path))
        const left = yield* Effect.forEach(yield* fs.readDirectory(folder), (name) =>
          Effect.map(look(join(folder, name)), ({ stat, content, names }) => {
            const mode = Result.map(stat, ({ type, mode }) => ({ type, mode }))
            return { name, mode, content, names }
          }),
        )
        yield* fs.remove(folder, { recursive: true })
        return { end, left }
      })
      assert.deepStrictEqual(yield* after.pipe(Effect.provide(quickFiles)), yield* after)
    }),
  )
})
