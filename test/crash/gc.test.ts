/** Garbage collections by real processes, beside real runs and killed in the middle. */
import { cpSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Option, Schema } from "effect"
import { Collection } from "../../src/commands/gc.ts"
import { StageRecord } from "../../src/services/ArtifactStore.ts"
import { RunEvent } from "../../src/services/Journal.ts"
import { cli, lines, start } from "../commands/process.ts"
import { labels, settings, tiny } from "../pipelines/tiny.ts"
import { filesBelow, temporaryDirectory } from "../services/store/temporary.ts"

const TIMEOUT = 180_000

/** Long enough that collections come while it trains. */
const config = { ...tiny, train: { ...tiny.train, maxSteps: 400 } }

const run = (store: string, changed: object = config) => [
  ...["run", "single", "--scale", "smoke", "--threads", "1", "--json", "--store", store],
  ...settings(changed).flatMap((setting) => ["--set", setting]),
]
const gc = (store: string, ...flags: ReadonlyArray<string>) => ["gc", "--json", "--store", store, ...flags]

const decodeRecord = Schema.decodeUnknownSync(Schema.fromJsonString(StageRecord))
const decodeCollection = Schema.decodeUnknownSync(Schema.fromJsonString(Collection))

const outputs = (store: string) =>
  filesBelow(join(store, "records")).map((file) => {
    const { key, output } = decodeRecord(readFileSync(join(store, "records", file), "utf8"))
    return { key, output }
  })

const journals = (store: string) =>
  readdirSync(join(store, "runs")).map((file) =>
    readFileSync(join(store, "runs", file), "utf8")
      .split("\n")
      .flatMap((line) => Option.toArray(Schema.decodeUnknownOption(Schema.fromJsonString(RunEvent))(line))),
  )

/** Labels of what was computed, of all runs, sorted. */
const computed = (store: string): ReadonlyArray<string> =>
  journals(store)
    .flat()
    .flatMap((event) => (event._tag === "Computed" ? [event.label] : []))
    .sort()

const collect = Effect.fn("collect")(function* (store: string, ...flags: ReadonlyArray<string>) {
  const { code, stdout, stderr } = yield* cli(gc(store, ...flags))
  assert.strictEqual(code, 0, stderr)
  return decodeCollection(stdout)
})

const undamaged = Effect.fn("undamaged")(function* (store: string) {
  const { code, stdout } = yield* cli(["verify", "--store", store])
  assert.strictEqual(code, 0, stdout)
})

/** A run that nothing disturbed. */
class Quiet extends Context.Service<Quiet, { readonly store: string; readonly stdout: string }>()(
  "test/Quiet",
) {
  static readonly layer = Layer.effect(
    Quiet,
    Effect.gen(function* () {
      const store = join(yield* temporaryDirectory, "store")
      const { code, stdout, stderr } = yield* cli(run(store))
      assert.strictEqual(code, 0, stderr)
      return { store, stdout }
    }),
  )
}

/** Another store with what that run computed. */
const copyOfQuiet = Effect.gen(function* () {
  const { store: quiet } = yield* Quiet
  const store = join(yield* temporaryDirectory, "store")
  cpSync(quiet, store, { recursive: true })
  return store
})

/** Makes all runs so far runs of one command: as if the code had changed in between, the last done one counts. */
const asOneCommand = (store: string) => {
  for (const file of readdirSync(join(store, "runs"))) {
    const [started, ...rest] = readFileSync(join(store, "runs", file), "utf8").split("\n")
    const renamed = JSON.stringify({ ...JSON.parse(started), command: "earlier" })
    writeFileSync(join(store, "runs", file), [renamed, ...rest].join("\n"))
  }
}

/** Makes everything look as if it had been written an hour ago. */
const age = (store: string) => {
  const then = Date.now() / 1000 - 3600
  for (const file of filesBelow(store)) utimesSync(join(store, file), then, then)
}

const count = (store: string, kind: string) => filesBelow(join(store, kind)).length

const small = { ...tiny, seed: 7 }

/** Collects garbage for as long as a run goes on, and checks that the run does not notice. */
const beside = Effect.fn("beside")(function* (store: string) {
  const quiet = yield* Quiet
  const earlier = computed(store).length
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const child = yield* start(run(store))
      const collections: Array<typeof Collection.Type> = []
      while (yield* child.isRunning) collections.push(yield* collect(store))
      const { code, stdout, stderr } = yield* child.finished
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(stdout, quiet.stdout)
      assert.notInclude(stderr, "warning")
      assert.lengthOf(computed(store), earlier + labels.length, "nothing was computed twice")
      const here = outputs(store)
      for (const output of outputs(quiet.store)) assert.deepInclude(here, output)
      yield* undamaged(store)
      return collections
    }),
  )
})

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
        for (const kind of ["records", "cursors", "objects"]) {
          const before = count(store, kind)
          yield* Effect.scoped(
            Effect.gen(function* () {
              const child = yield* start(gc(store))
              while (count(store, kind) > before - 5) {
                assert.isTrue(yield* child.isRunning, `ended before it could be killed among ${kind}`)
                yield* Effect.sleep(1)
              }
              yield* child.kill("SIGKILL")
              assert.strictEqual((yield* child.finished).signal, "SIGKILL")
            }),
          )
          yield* undamaged(store)
        }
        yield* collect(store)
        for (const kind of ["records", "cursors", "objects"]) {
          assert.deepStrictEqual(filesBelow(join(store, kind)), filesBelow(join(only, kind)))
        }
        const { stderr } = yield* cli(run(store, small))
        assert.lengthOf(
          lines(stderr).filter((line) => line.endsWith("cached")),
          labels.length,
        )
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
        assert.lengthOf(
          lines(again.stderr).filter((line) => line.endsWith("cached")),
          labels.length,
        )
        assert.deepStrictEqual((yield* collect(store)).losses, [])
        yield* undamaged(store)
      }),
    TIMEOUT,
  )
})
