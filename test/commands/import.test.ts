/** `export` and `import` as a person uses them: results of one store in another. */
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { Status } from "../../src/commands/status.ts"
import { labels, settings, tiny } from "../pipelines/tiny.ts"
import { filesBelow, temporaryDirectory, temporaryFilesBelow } from "../services/store/temporary.ts"
import { cli, lines, start } from "./process.ts"

/** Generous, for a machine that trains beside. */
const TIMEOUT = 180_000

const run = (store: string) => [
  ...["run", "single", "--scale", "smoke", "--threads", "1", "--store", store],
  ...settings(tiny).flatMap((setting) => ["--set", setting]),
]

/** The command of such a run as `status` shows it. */
const COMMAND = `run single --scale smoke ${settings(tiny)
  .map((setting) => `--set ${setting}`)
  .join(" ")}`

const statusOf = Effect.fnUntraced(function* (store: string) {
  const { stdout } = yield* cli(["status", "--store", store, "--json"])
  return Schema.decodeUnknownSync(Schema.fromJsonString(Status))(stdout)
})

/** A store, what its run printed, and the archive of that. */
class Exported extends Context.Service<
  Exported,
  { readonly store: string; readonly stdout: string; readonly file: string }
>()("test/Exported") {
  static readonly layer = Layer.effect(
    Exported,
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [store, file] = ["store", "paper.tar"].map((name) => join(directory, name))
      const ran = yield* cli(run(store))
      assert.strictEqual(ran.code, 0, ran.stderr)
      const exported = yield* cli(["export", COMMAND, "--out", file, "--store", store])
      assert.strictEqual(exported.code, 0, exported.stderr)
      assert.match(exported.stdout, /^wrote \d+ records and \d+ artifacts .+paper\.tar.+\n$/)
      assert.deepStrictEqual(
        filesBelow(directory).filter((name) => !name.startsWith("store")),
        ["paper.tar"],
      )
      return { store, stdout: ran.stdout, file }
    }),
  )
}

layer(Exported.layer.pipe(Layer.provideMerge(NodeServices.layer)), {
  excludeTestServices: true,
  timeout: TIMEOUT,
})("an archive", (it) => {
  /** Everything is found, and printed as where it was computed. */
  const isAllThere = Effect.fnUntraced(function* (store: string) {
    const verified = yield* cli(["verify", "--store", store])
    assert.strictEqual(verified.code, 0, verified.stdout)
    const { code, stdout, stderr } = yield* cli(run(store))
    assert.strictEqual(code, 0, stderr)
    assert.strictEqual(stdout, (yield* Exported).stdout)
    assert.match(stderr, new RegExp(`^done 0, cached ${labels.length}, .* of ${labels.length} .*\\n$`))
  })

  it.effect(
    "that is imported gives what its run printed without computing anything, and is known by its name",
    () =>
      Effect.gen(function* () {
        const { file } = yield* Exported
        const store = join(yield* temporaryDirectory, "store")
        for (const fresh of [labels.length, 0]) {
          const { code, stdout, stderr } = yield* cli(["import", file, "--store", store])
          assert.strictEqual(code, 0, stderr)
          assert.include(stdout, `: ${fresh} of ${labels.length} records`)
        }
        const [imported] = (yield* statusOf(store)).runs
        assert.deepInclude(imported, { command: "import paper.tar", outcome: "done", found: labels.length })
        const shown = yield* cli(["show", "train", "--store", store])
        assert.match(shown.stdout, /^ {2}imported \d{4}-.+ from archive [0-9a-f]{12}$/m)
        yield* isAllThere(store)
      }),
    TIMEOUT,
  )

  it.effect(
    "whose import is killed in the middle leaves a store without damage, and is imported the next time",
    () =>
      Effect.gen(function* () {
        const { file } = yield* Exported
        const store = join(yield* temporaryDirectory, "store")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const child = yield* start(["import", file, "--store", store])
            while (!existsSync(store) || temporaryFilesBelow(store).length < 5) {
              assert.isTrue(yield* child.isRunning, "ended before it was killed")
              yield* Effect.sleep(1)
            }
            yield* child.kill("SIGKILL")
            assert.strictEqual((yield* child.finished).signal, "SIGKILL")
          }),
        )
        assert.isAbove(temporaryFilesBelow(store).length, 0)
        const verified = yield* cli(["verify", "--store", store, "--json"])
        assert.strictEqual(verified.code, 0)
        assert.deepInclude(JSON.parse(verified.stdout), { blobs: 0, records: 0, damages: [] })
        const again = yield* cli(["import", file, "--store", store])
        assert.strictEqual(again.code, 0, again.stderr)
        yield* isAllThere(store)
      }),
    TIMEOUT,
  )

  it.effect(
    "that is damaged is refused: one line, exit code 2, nothing there",
    () =>
      Effect.gen(function* () {
        const { file } = yield* Exported
        const directory = yield* temporaryDirectory
        const [damaged, store] = ["damaged.tar", "store"].map((name) => join(directory, name))
        const bytes = readFileSync(file)
        writeFileSync(damaged, bytes.with(-2000, bytes[bytes.length - 2000] ^ 1))
        const { code, stdout, stderr } = yield* cli(["import", damaged, "--store", store])
        assert.strictEqual(code, 2)
        assert.strictEqual(stdout, "")
        const said = lines(stderr).filter((line) => !line.startsWith("Ctrl-C"))
        assert.lengthOf(said, 1)
        assert.match(said[0], /^error: .+damaged\.tar: .+nothing was imported$/)
        assert.deepStrictEqual(filesBelow(directory), ["damaged.tar"])
        assert.isFalse(existsSync(store))
      }),
    TIMEOUT,
  )

  it.effect(
    "replaces an earlier one, and no other file",
    () =>
      Effect.gen(function* () {
        const { store, file } = yield* Exported
        const directory = yield* temporaryDirectory
        const [out, mine] = ["out.tar", "mine.txt"].map((name) => join(directory, name))
        cpSync(file, out)
        writeFileSync(mine, "mine")
        const one = yield* cli(["export", "train", "--out", out, "--store", store])
        assert.strictEqual(one.code, 0, one.stderr)
        assert.isBelow(readFileSync(out).length, readFileSync(file).length)
        for (const [what, to, says] of [
          ["train", mine, "is no earlier export"],
          ["train", directory, "is no earlier export"],
          ["train", join(directory, "none", "out.tar"), "cannot write there"],
          ["trian", join(directory, "new.tar"), "did you mean train?"],
          ["run single", join(directory, "new.tar"), "no run, key or stage called run single"],
        ] as const) {
          const { code, stdout, stderr } = yield* cli(["export", what, "--out", to, "--store", store])
          assert.match(stderr, /^error: [^\n]+\n$/)
          assert.include(stderr, says)
          assert.strictEqual(code, 2)
          assert.strictEqual(stdout, "")
        }
        assert.strictEqual(readFileSync(mine, "utf8"), "mine")
        assert.deepStrictEqual(filesBelow(directory), ["mine.txt", "out.tar"])
      }),
    TIMEOUT,
  )
})
