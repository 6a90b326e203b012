import { rmSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { cli } from "../commands/process.ts"
import { labels, tiny } from "../pipelines/tiny.ts"
import { filesBelow, temporaryDirectory } from "../services/store/temporary.ts"
import {
  age,
  asOneCommand,
  beside,
  collect,
  copyOfQuiet,
  count,
  killedAmong,
  Quiet,
  run,
  small,
  undamaged,
} from "./collections.ts"

const TIMEOUT = 180_000

const ALL_CACHED = new RegExp(`^done 0, cached ${labels.length}, `, "m")

layer(Quiet.layer.pipe(Layer.provideMerge(NodeServices.layer)), {
  excludeTestServices: true,
  timeout: TIMEOUT,
})("gc", (it) => {
  it.effect(
    "again and again beside a run deletes what is old, and nothing that the run computes",
    () =>
      Effect.gen(function* () {
        const store = join(yield* temporaryDirectory, "store")
        for (const seed of [7, 8]) yield* cli(run(store, { ...tiny, seed }))
        asOneCommand(store)
        age(store)
        const collections = yield* beside(store)
        assert.isAtLeast(collections.length, 2)
        assert.isAbove(collections[0].losses.length, 0)
        assert.strictEqual(count(store, "records"), 2 * labels.length)
      }),
    TIMEOUT,
  )

  it.effect(
    "beside a run that goes on from what is about to be deleted leaves it whatever it has seen of that",
    () =>
      Effect.gen(function* () {
        const store = yield* copyOfQuiet
        for (const kind of ["records", "runs"]) {
          for (const file of filesBelow(join(store, kind))) rmSync(join(store, kind, file))
        }
        age(store)
        yield* beside(store)
      }),
    TIMEOUT,
  )

  it.effect(
    "killed in the middle, wherever, leaves no damage, and ends as if it had not been killed",
    () =>
      Effect.gen(function* () {
        const store = yield* copyOfQuiet
        const only = join(yield* temporaryDirectory, "store")
        for (const each of [only, store]) yield* cli(run(each, small))
        asOneCommand(store)
        for (const kind of ["records", "cursors", "objects"]) yield* killedAmong(store, kind, 5)
        yield* collect(store)
        for (const kind of ["records", "cursors", "objects"]) {
          assert.deepStrictEqual(filesBelow(join(store, kind)), filesBelow(join(only, kind)))
        }
        const { stderr } = yield* cli(run(store, small))
        assert.match(stderr, ALL_CACHED)
      }),
    TIMEOUT,
  )

  it.effect(
    "keeps the results of every command, and deletes those of a run alone that another has superseded",
    () =>
      Effect.gen(function* () {
        const store = join(yield* temporaryDirectory, "store")
        const other = { ...tiny, svd: { ...tiny.svd, window: 3 } }
        for (const each of [tiny, tiny, other]) assert.strictEqual((yield* cli(run(store, each))).code, 0)
        const { losses, kept } = yield* collect(store)
        assert.deepStrictEqual(losses, [])
        assert.deepStrictEqual(
          kept.runs.map(({ results }) => results),
          [labels.length, labels.length],
        )

        asOneCommand(store)
        const superseded = yield* collect(store)
        assert.deepStrictEqual(
          new Set(superseded.losses.map(({ stage }) => stage)),
          new Set(["rolling-svd", "measure-coupling"]),
        )
        const again = yield* cli(run(store, other))
        assert.match(again.stderr, ALL_CACHED)
        assert.deepStrictEqual((yield* collect(store)).losses, [])
        yield* undamaged(store)
      }),
    TIMEOUT,
  )
})
