import { existsSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { Collection } from "../../src/commands/gc.ts"
import { Pins } from "../../src/commands/pin.ts"
import { matching } from "../pipelines/leaves.ts"
import { labels, settings, tiny } from "../pipelines/tiny.ts"
import { filesBelow, temporaryDirectory } from "../services/store/temporary.ts"
import { cli, lines } from "./process.ts"

const TIMEOUT = 180_000

/** A store with one run. */
class Store extends Context.Service<Store, { readonly directory: string }>()("test/Store") {
  static readonly layer = Layer.effect(
    Store,
    Effect.gen(function* () {
      const directory = join(yield* temporaryDirectory, "store")
      const fields = settings(tiny).flatMap((setting) => ["--set", setting])
      const { code, stderr } = yield* cli([
        ...["run", "single", "--scale", "smoke", "--threads", "1", "--store", directory],
        ...fields,
      ])
      assert.strictEqual(code, 0, stderr)
      return { directory }
    }),
  )
}

/** What a command says, which must succeed. */
const said = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const { directory } = yield* Store
  const { code, stdout, stderr } = yield* cli([...args, "--store", directory])
  assert.strictEqual(code, 0, stderr)
  return stdout
})

const refused = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const { directory } = yield* Store
  const before = filesBelow(directory)
  const { code, stdout, stderr } = yield* cli(
    args.includes("--store") ? args : [...args, "--store", directory],
  )
  assert.match(stderr, /^error: [^\n]+\n$/)
  assert.deepStrictEqual({ code, stdout }, { code: 2, stdout: "" })
  assert.deepStrictEqual(filesBelow(directory), before)
  return stderr
})

layer(Store.layer.pipe(Layer.provideMerge(NodeServices.layer)), {
  excludeTestServices: true,
  timeout: TIMEOUT,
})("pin, unpin and gc", (it) => {
  it.effect(
    "refuse what they cannot do with one line and exit code 2, and do nothing",
    () =>
      Effect.gen(function* () {
        const nowhere = join(yield* temporaryDirectory, "new")
        assert.include(yield* refused("gc", "--keep-under", "5 gigs"), "--keep-under 5 gigs")
        assert.include(yield* refused("gc", "--store", nowhere), `--store ${nowhere}`)
        assert.isFalse(existsSync(nowhere))
        assert.include(yield* refused("pin", "trian"), "did you mean train?")
        assert.include(yield* refused("pin", "--because", "why"), "--because")
        assert.include(yield* refused("unpin", "train"), "train")
      }),
    TIMEOUT,
  )

  it.effect(
    "keep a result by its name or the start of its key, and say why",
    () =>
      Effect.gen(function* () {
        assert.include(yield* said("pin"), "nothing is pinned")
        const pinned = yield* said("pin", "train", "--because", "a figure")
        const [, digits] = /^train ([0-9a-f]{12}) is kept/.exec(pinned) ?? []
        assert.match(yield* said("pin"), new RegExp(`^  ${digits}  train  since .*  because a figure$`, "m"))
        const { pins } = Schema.decodeUnknownSync(Schema.fromJsonString(Pins))(yield* said("pin", "--json"))
        assert.deepStrictEqual(
          pins.map(({ stage, label, because }) => ({ stage, label, because })),
          [{ stage: "train", label: "train", because: "a figure" }],
        )
        assert.match(yield* said("gc", "--dry-run"), new RegExp(`pinned: train ${digits}, because a figure`))
        assert.include(yield* said("unpin", digits.slice(0, 6)), `train ${digits} is no longer pinned`)
        assert.include(yield* said("pin"), "nothing is pinned")
      }),
    TIMEOUT,
  )

  it.effect(
    "say what would go for want of room, by stage or one by one, and what is missing to get there",
    () =>
      Effect.gen(function* () {
        const { directory } = yield* Store
        const before = filesBelow(directory)
        const limit = ["--dry-run", "--keep-under", "1kB"]
        assert.match(yield* said("gc", "--dry-run"), /^nothing would go; [\d.]+ kB kept$/m)
        const grouped = yield* said("gc", ...limit)
        const svds = matching(/^rolling-svd/).length
        assert.match(
          grouped,
          new RegExp(`^ +[\\d.]+ kB {2}${svds} results +rolling-svd( {2}\\(.+ to compute again\\))?$`, "m"),
        )
        const single = yield* said("gc", ...limit, "--all")
        for (const label of labels) assert.match(single, new RegExp(` ${label} [0-9a-f]{12}( |$)`, "m"))
        const collection = Schema.decodeUnknownSync(Schema.fromJsonString(Collection))(
          yield* said("gc", ...limit, "--json"),
        )
        assert.deepStrictEqual(collection.losses.map(({ name }) => name).sort(), [...labels].sort())
        assert.strictEqual(collection.keepUnder, 1000)
        assert.deepStrictEqual(filesBelow(directory), before)

        yield* said("pin", "train")
        const { code, stdout, stderr } = yield* cli(["gc", "--keep-under", "1kB", "--store", directory])
        assert.strictEqual(code, 1)
        const [error, ...others] = lines(stderr).filter((line) => line.startsWith("error: "))
        assert.deepStrictEqual(others, [])
        assert.match(error, /--keep-under 1 kB: .* still needs [\d.]+ kB: [\d.]+ kB pinned/)
        assert.match(stdout, /^gone for want of room:$/m)
        assert.deepStrictEqual(
          filesBelow(join(directory, "records")).map((file) => file.split("/")[0]),
          ["train"],
        )
      }),
    TIMEOUT,
  )
})
