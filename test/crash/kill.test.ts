/** The real command, stopped in the middle: what it ends with is what it would have ended with. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import * as fc from "fast-check"
import { sha256 } from "../../src/services/store/canonical.ts"
import { TrainedRun, Trajectory } from "../../src/stages/contracts.ts"
import { cli, lines, start } from "../commands/process.ts"
import { settings, tiny } from "../pipelines/tiny.ts"
import { filesBelow, temporaryDirectory } from "../services/store/temporary.ts"
import { objectsOf, recordsOf } from "./stores.ts"

/** 121 checkpoints; past step 500, whose moments are kept. */
const config = { ...tiny, train: { ...tiny.train, maxSteps: 600 } }
const CHECKPOINTS = 121

/** Seconds on a quiet machine; generous, for one that trains beside. */
const TIMEOUT = 180_000

const run = (store: string, changed: object = config) => [
  ...["run", "single", "--scale", "smoke", "--threads", "1", "--json", "--store", store],
  ...settings(changed).flatMap((setting) => ["--set", setting]),
]

/** The cursor of the only training of a store: names and contents of its entries. */
const cursorOf = (store: string) => {
  const directory = join(store, "cursors", "train")
  if (!existsSync(directory)) return []
  const files = filesBelow(directory).filter((file) => !file.endsWith(".tmp"))
  return files.map((file) => ({
    file: join(directory, file),
    text: readFileSync(join(directory, file), "utf8"),
  }))
}

const texts = (store: string) => cursorOf(store).map(({ text }) => text)

const digestInName = (file: string) => file.split("/").at(-1)?.split(".")[0]

/** A measurement that needs every checkpoint again. */
const another = { ...config, svd: { ...config.svd, window: 3 } }

/** An uninterrupted run, and one that measured again afterwards. */
class Reference extends Context.Service<
  Reference,
  Readonly<Record<"run" | "rerun", { readonly store: string; readonly stdout: string }>>
>()("test/Reference") {
  static readonly layer = Layer.effect(
    Reference,
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [store, again] = ["run", "rerun"].map((name) => join(directory, name))
      const first = yield* cli(run(store))
      assert.strictEqual(first.code, 0, first.stderr)
      assert.lengthOf(cursorOf(store), CHECKPOINTS)
      cpSync(store, again, { recursive: true })
      const second = yield* cli(run(again, another))
      assert.strictEqual(second.code, 0, second.stderr)
      return {
        run: { store, stdout: first.stdout },
        rerun: { store: again, stdout: second.stdout },
      }
    }),
  )
}

/** Waits until the store's cursor has `count` entries. */
const reaches = (store: string, count: number, isRunning: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.gen(function* () {
    while (cursorOf(store).length < count) {
      assert.isTrue(yield* isRunning, `ended before checkpoint ${count}`)
      yield* Effect.sleep(3)
    }
  })

layer(Reference.layer.pipe(Layer.provideMerge(NodeServices.layer)), {
  excludeTestServices: true,
  timeout: TIMEOUT,
})("a run", (it) => {
  it.effect(
    "that is killed five times in the middle ends with the same bits",
    () =>
      Effect.gen(function* () {
        const { run: reference } = yield* Reference
        const store = join(yield* temporaryDirectory, "store")
        const moments = fc.uniqueArray(fc.integer({ min: 1, max: CHECKPOINTS - 20 }), {
          minLength: 5,
          maxLength: 5,
        })
        const [kills] = fc.sample(moments, 1)
        const where = `killed at ${kills.sort((a, b) => a - b).join(", ")}`
        for (const kill of kills) {
          const before = texts(store)
          yield* Effect.scoped(
            Effect.gen(function* () {
              const child = yield* start(run(store))
              yield* reaches(store, Math.max(kill, before.length + 1), child.isRunning)
              yield* child.kill("SIGKILL")
              assert.strictEqual((yield* child.finished).signal, "SIGKILL", where)
            }),
          )
          const after = texts(store)
          assert.deepStrictEqual(after.slice(0, before.length), before, where)
          // What is named is there, whole.
          for (const file of objectsOf(store))
            assert.strictEqual(sha256(readFileSync(file)), digestInName(file), where)
        }
        const { code, stdout } = yield* cli(run(store))
        assert.strictEqual(code, 0, where)
        assert.strictEqual(stdout, reference.stdout, where)
        assert.deepStrictEqual(texts(store), texts(reference.store), where)
        assert.deepStrictEqual(recordsOf(store), recordsOf(reference.store), where)
        const extra = objectsOf(store).length - objectsOf(reference.store).length
        assert.isAtMost(extra, kills.length, `${where}: more than one superfluous blob per kill`)
      }),
    TIMEOUT,
  )

  it.effect(
    "that is interrupted says how to go on within two seconds, and goes on from there",
    () =>
      Effect.gen(function* () {
        const { run: reference } = yield* Reference
        const store = join(yield* temporaryDirectory, "store")
        const stopped = yield* Effect.scoped(
          Effect.gen(function* () {
            const child = yield* start(run(store))
            yield* reaches(store, 60, child.isRunning)
            yield* child.kill("SIGINT")
            return yield* Effect.timeout(child.finished, 2000)
          }),
        )
        assert.strictEqual(stopped.code, 130)
        assert.strictEqual(stopped.stdout, "")
        const said = lines(stopped.stderr).filter(
          (line) => !/ (done in|step) |^Ctrl-C|^done \d+, cached /.test(line),
        )
        assert.lengthOf(said, 1)
        assert.include(said[0], "run the same command again")

        const before = cursorOf(store).map(({ file }) => ({ file, ...statSync(file) }))
        assert.isBelow(before.length, CHECKPOINTS - 20)
        const { code, stdout } = yield* cli(run(store))
        assert.strictEqual(code, 0)
        assert.strictEqual(stdout, reference.stdout)
        for (const { file, ino, mtimeMs } of before) {
          const after = statSync(file)
          assert.deepStrictEqual(
            { ino: after.ino, mtimeMs: after.mtimeMs },
            { ino, mtimeMs },
            `${file} was not trained again`,
          )
        }
        assert.deepStrictEqual(texts(store), texts(reference.store))
      }),
    TIMEOUT,
  )

  it.effect(
    "that gets a second signal ends at once, says how to go on, and goes on as after a kill",
    () =>
      Effect.gen(function* () {
        const { run: reference } = yield* Reference
        const store = join(yield* temporaryDirectory, "store")
        const stopped = yield* Effect.scoped(
          Effect.gen(function* () {
            const child = yield* start(run(store))
            yield* reaches(store, 60, child.isRunning)
            // Two of one kind may arrive as one.
            yield* child.kill("SIGINT")
            yield* child.kill("SIGTERM")
            return yield* Effect.timeout(child.finished, 500)
          }),
        )
        assert.strictEqual(stopped.signal, "SIGKILL")
        assert.include(stopped.stderr, "run the same command again")
        const { code, stdout } = yield* cli(run(store))
        assert.strictEqual(code, 0)
        assert.strictEqual(stdout, reference.stdout)
        assert.deepStrictEqual(texts(store), texts(reference.store))
      }),
    TIMEOUT,
  )

  const damages: ReadonlyArray<readonly [string, (file: string) => void]> = [
    [
      "a flipped bit",
      (file) => {
        const bytes = readFileSync(file)
        writeFileSync(file, bytes.with(bytes.length >> 1, bytes[bytes.length >> 1] ^ 1))
      },
    ],
    ["half of its bytes", (file) => writeFileSync(file, readFileSync(file).subarray(0, 100))],
    ["no file", (file) => rmSync(file)],
  ]
  it.effect.each(damages)(
    "that needs a checkpoint with %s computes it again and ends as if nothing had happened",
    ([what, damage]) =>
      Effect.gen(function* () {
        const { run: reference, rerun: expected } = yield* Reference
        const store = join(yield* temporaryDirectory, "store")
        cpSync(reference.store, store, { recursive: true })

        const record = recordsOf(store).find(({ stage }) => stage === "train")
        const { trajectory } = Schema.decodeUnknownSync(TrainedRun)(record?.output)
        const object = (digest: string, format: string) =>
          join(store, "objects", digest.slice(0, 2), `${digest}.${format}`)
        const checkpoints = Schema.decodeUnknownSync(Schema.fromJsonString(Trajectory))(
          readFileSync(object(trajectory.digest, "json"), "utf8"),
        )
        const { digest } = checkpoints[110].theta
        const file = object(digest, "safetensors")
        damage(file)

        const { code, stdout, stderr } = yield* cli(run(store, another))
        assert.strictEqual(code, 0, stderr)
        assert.strictEqual(sha256(readFileSync(file)), digest)
        if (what === "a flipped bit") {
          const name = `objects.${digest.slice(0, 2)}.${digest}.safetensors`
          assert.deepStrictEqual(readdirSync(join(store, "quarantine")), [name, `${name}.cause.json`])
          assert.lengthOf(
            lines(stderr).filter((line) => line.startsWith("warning: ")),
            1,
          )
        }
        assert.strictEqual(stdout, expected.stdout)
        assert.deepStrictEqual(recordsOf(store), recordsOf(expected.store))
      }),
    TIMEOUT,
  )
})
