/** Garbage collections by real processes, beside real runs and killed in the middle: what the tests and the soak share. */
import { cpSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { Collection } from "../../src/commands/gc.ts"
import { cli, start } from "../commands/process.ts"
import { labels, settings, tiny } from "../pipelines/tiny.ts"
import { filesBelow, temporaryDirectory } from "../services/store/temporary.ts"
import { computedIn, recordsOf } from "./stores.ts"

/** Long enough that collections come while it trains. */
const config = { ...tiny, train: { ...tiny.train, maxSteps: 400 } }

export const run = (store: string, changed: object = config) => [
  ...["run", "single", "--scale", "smoke", "--threads", "1", "--json", "--store", store],
  ...settings(changed).flatMap((setting) => ["--set", setting]),
]
export const gc = (store: string, ...flags: ReadonlyArray<string>) => [
  "gc",
  "--json",
  "--store",
  store,
  ...flags,
]

const decodeCollection = Schema.decodeUnknownSync(Schema.fromJsonString(Collection))

export const collect = Effect.fn("collect")(function* (store: string, ...flags: ReadonlyArray<string>) {
  const { code, stdout, stderr } = yield* cli(gc(store, ...flags))
  assert.strictEqual(code, 0, stderr)
  return decodeCollection(stdout)
})

export const undamaged = Effect.fn("undamaged")(function* (store: string) {
  const { code, stdout } = yield* cli(["verify", "--store", store])
  assert.strictEqual(code, 0, stdout)
})

/** A run that nothing disturbed. */
export class Quiet extends Context.Service<Quiet, { readonly store: string; readonly stdout: string }>()(
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
export const copyOfQuiet = Effect.gen(function* () {
  const { store: quiet } = yield* Quiet
  const store = join(yield* temporaryDirectory, "store")
  cpSync(quiet, store, { recursive: true })
  return store
})

/** Makes all runs so far runs of one command: as if the code had changed in between, the last done one counts. */
export const asOneCommand = (store: string) => {
  for (const file of readdirSync(join(store, "runs"))) {
    const [started, ...rest] = readFileSync(join(store, "runs", file), "utf8").split("\n")
    const renamed = JSON.stringify({ ...JSON.parse(started), command: "earlier" })
    writeFileSync(join(store, "runs", file), [renamed, ...rest].join("\n"))
  }
}

/** Makes everything look as if it had been written an hour ago. */
export const age = (store: string) => {
  const then = Date.now() / 1000 - 3600
  for (const file of filesBelow(store)) utimesSync(join(store, file), then, then)
}

export const count = (store: string, kind: string) => filesBelow(join(store, kind)).length

export const small = { ...tiny, seed: 7 }

/** Collects garbage for as long as a run goes on, and checks that the run does not notice. */
export const beside = Effect.fn("beside")(function* (store: string) {
  const quiet = yield* Quiet
  const earlier = computedIn(store).length
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const child = yield* start(run(store))
      const collections: Array<typeof Collection.Type> = []
      while (yield* child.isRunning) collections.push(yield* collect(store))
      const { code, stdout, stderr } = yield* child.finished
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(stdout, quiet.stdout)
      assert.notInclude(stderr, "warning")
      assert.lengthOf(computedIn(store), earlier + labels.length, "nothing was computed twice")
      const here = recordsOf(store)
      for (const record of recordsOf(quiet.store)) assert.deepInclude(here, record)
      yield* undamaged(store)
      return collections
    }),
  )
})

/** Whether a garbage collection was killed when it had deleted `files` of a kind, or ended before. */
const killAmong = Effect.fn("killAmong")(function* (store: string, kind: string, files: number) {
  const before = count(store, kind)
  const child = yield* start(gc(store))
  while (count(store, kind) > before - files) {
    if (!(yield* child.isRunning)) return false
    yield* Effect.sleep(1)
  }
  yield* child.kill("SIGKILL")
  return (yield* child.finished).signal === "SIGKILL"
}, Effect.scoped)

/** Kills a garbage collection among the files of a kind; what it left is whole. On a busy machine it may take several. */
export const killedAmong = Effect.fn("killedAmong")(function* (store: string, kind: string, files: number) {
  const copy = `${store}.before`
  const copied = (from: string, to: string) => {
    rmSync(to, { recursive: true, force: true })
    cpSync(from, to, { recursive: true, preserveTimestamps: true })
  }
  copied(store, copy)
  let tries = 1
  while (!(yield* killAmong(store, kind, files))) {
    assert.isBelow(tries++, 10, `always ended before it could be killed among ${kind}`)
    copied(copy, store)
  }
  yield* undamaged(store)
})
