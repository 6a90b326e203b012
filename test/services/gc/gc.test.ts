import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Option } from "effect"
import { ArtifactStore } from "../../../src/services/ArtifactStore.ts"
import { accept } from "../../../src/services/accept.ts"
import { collect } from "../../../src/services/gc/collect.ts"
import { decide } from "../../../src/services/gc/decide.ts"
import { gather } from "../../../src/services/gc/gather.ts"
import { pastRuns } from "../../../src/services/Journal.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { putPin, removePin } from "../../../src/services/pins.ts"
import { sealed } from "../../../src/services/store/sealed.ts"
import { verify } from "../../../src/services/verify.ts"
import { filesBelow, temporaryStore } from "../store/temporary.ts"
import { collecting, runBoth, states, text, withCode } from "./laboratory.ts"

/** Everything but journals, which are never collected. */
const files = Effect.map(ArtifactStore, ({ root }) =>
  filesBelow(root).filter((file) => !file.startsWith("runs")),
)

const kindsOf = (all: ReadonlyArray<string>) => {
  const count = (kind: string) => all.filter((file) => file.startsWith(kind)).length
  return { objects: count("objects"), records: count("records"), cursors: count("cursors") }
}

/** Both stages once: three states, their list and the summary; two results; three entries. */
const ONE_RUN = { objects: 5, records: 2, cursors: 3 }

const undamaged = Effect.gen(function* () {
  assert.deepStrictEqual((yield* verify).damages, [])
}).pipe(Effect.provide(Progress.silent))

const age = (file: string, seconds: number) => {
  const then = Date.now() / 1000 - seconds
  utimesSync(file, then, then)
}

const ageAll = Effect.fnUntraced(function* (seconds: number) {
  const { root } = yield* ArtifactStore
  for (const file of yield* files) age(join(root, file), seconds)
})

const write = Effect.fnUntraced(function* (path: string, content = "") {
  const file = join((yield* ArtifactStore).root, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
  return file
})

/** Leases as another process on the store has them, alive until the scope closes. */
const another = Effect.map(Layer.build(Layer.fresh(Leases.layer("another"))), (context) =>
  Context.get(context, Leases),
)

const sizeOf = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
  const { root } = yield* ArtifactStore
  return names.reduce((sum, name) => sum + statSync(join(root, name)).size, 0)
})

const without = (all: ReadonlyArray<string>, some: ReadonlyArray<string>) =>
  all.filter((file) => !some.includes(file))

describe("a garbage collection", () => {
  it.live("finds nothing in an empty store, and nothing to delete after one run, or two of the same", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* collecting()).bytes, 0)
      yield* runBoth()
      for (const _ of [1, 2]) {
        const before = yield* files
        assert.deepStrictEqual(kindsOf(before), ONE_RUN)
        const { losses, kept } = yield* collecting()
        assert.deepStrictEqual(losses, [])
        assert.deepStrictEqual(kept.runs, [{ command: "run", results: 2, bytes: yield* sizeOf(before) }])
        assert.deepStrictEqual(yield* files, before)
        assert.isTrue((yield* runBoth()).cached)
      }
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("deletes what a superseded run left, says so before, and finds nothing the second time", () =>
    Effect.gen(function* () {
      yield* runBoth({ code: "old", seed: 1 })
      const old = yield* files
      const bytes = yield* sizeOf(old)
      yield* runBoth({ code: "new", seed: 2 })
      const before = yield* files
      const foretold = yield* collecting({ dryRun: true })
      assert.deepStrictEqual(yield* files, before)

      assert.strictEqual(foretold.bytes, bytes)
      assert.deepStrictEqual(
        foretold.losses.map(({ kind, name, stage }) => ({ kind, name, stage })),
        [
          { kind: "record", name: "states 1", stage: "states" },
          { kind: "record", name: "summary 1", stage: "summary" },
        ],
      )
      assert.deepStrictEqual(yield* collecting(), foretold)
      assert.deepStrictEqual(yield* files, without(before, old))
      assert.deepStrictEqual((yield* collecting()).losses, [])
      const { cursorNames } = yield* ArtifactStore
      assert.lengthOf(yield* cursorNames, 1, "no empty directory is left of the other")
      assert.isTrue((yield* runBoth({ code: "new", seed: 2 })).cached)
      yield* undamaged
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("counts as freed only what nothing else holds", () =>
    Effect.gen(function* () {
      yield* runBoth({ code: "old" })
      yield* runBoth({ code: "new" })
      // The same states: only records and entries of the old code go.
      const { objects } = kindsOf(yield* files)
      const { bytes } = yield* collecting({ dryRun: true })
      const before = yield* sizeOf(yield* files)
      yield* collecting()
      assert.deepStrictEqual(kindsOf(yield* files), ONE_RUN)
      assert.strictEqual(objects, ONE_RUN.objects)
      assert.strictEqual(before - (yield* sizeOf(yield* files)), bytes)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("keeps the results of every command's latest run", () =>
    Effect.gen(function* () {
      yield* runBoth({ command: "run", seed: 1 })
      yield* runBoth({ command: "run --set seed=2", seed: 2 })
      const { losses, kept } = yield* collecting()
      assert.deepStrictEqual(losses, [])
      assert.deepStrictEqual(
        kept.runs.map(({ command }) => command),
        ["run", "run --set seed=2"],
      )
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("keeps work that is not done until its command is, and what a longer one goes on from", () =>
    Effect.gen(function* () {
      yield* runBoth({ seed: 2, to: 1 })
      yield* Effect.flip(runBoth({ seed: 1, to: 5, failAt: 4 }))
      const begun = (yield* files).length
      assert.deepStrictEqual((yield* collecting()).losses, [])
      assert.lengthOf(yield* files, begun)
      yield* runBoth({ seed: 1, to: 5 })
      yield* collecting()
      assert.deepStrictEqual(kindsOf(yield* files), { objects: 7, records: 2, cursors: 5 })
      yield* undamaged
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live(
    "keeps the cursor of a wanted result whose record is lost, so that it is not computed from nothing",
    () =>
      Effect.gen(function* () {
        const { keys } = yield* runBoth()
        const { root } = yield* ArtifactStore
        rmSync(join(root, "records", "states", `${keys[0]}.json`))
        yield* collecting()
        assert.strictEqual(kindsOf(yield* files).cursors, ONE_RUN.cursors)
      }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("keeps what was accepted for other code as long as what it was accepted from", () =>
    Effect.gen(function* () {
      yield* runBoth({ code: "old" })
      yield* accept(states, "only a name").pipe(Effect.provide(withCode("new")))
      assert.deepStrictEqual((yield* collecting()).losses, [])
      assert.strictEqual(kindsOf(yield* files).records, 3)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("keeps what is pinned, with what it was made from, until it is unpinned", () =>
    Effect.gen(function* () {
      const { keys } = yield* runBoth({ code: "old", seed: 1 })
      yield* runBoth({ code: "new", seed: 2 })
      const pin = { stage: "summary", key: keys[1], at: "now", because: "a figure" }
      yield* putPin(pin)
      const { kept } = yield* collecting()
      const left = kindsOf(yield* files)
      assert.deepStrictEqual(left, { objects: 10, records: 3, cursors: 3 })
      assert.deepInclude(kept.pins[0], { name: "summary 1", because: "a figure", results: 1 })
      yield* removePin(pin)
      yield* collecting()
      assert.deepStrictEqual(kindsOf(yield* files), ONE_RUN)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("deletes what was left behind, and nothing that is not its own", () =>
    Effect.gen(function* () {
      yield* runBoth()
      const store = yield* ArtifactStore
      const { root } = store
      const own = yield* files
      const name = "ab".repeat(32)
      yield* store.advance("states", name, 0, {})
      yield* store.put("json", text("1"))
      const garbage = [
        `objects/ab/.${name}.json.1.0.0.tmp`,
        "records/states/.x.json.1.0.0.tmp",
        `quarantine/objects.ab.${name}.json`,
        `quarantine/objects.ab.${name}.json.cause.json`,
        "processes/gone.json",
        `leases/${name}.gone.json`,
        `records/states/${name}.json`,
      ]
      const foreign = ["notes.txt", "objects/ab/notes.txt", "records/states/notes.json"]
      for (const path of [...garbage, ...foreign]) age(yield* write(path), 3600)
      const young = `objects/ab/.${name}.json.2.0.0.tmp`
      yield* write(young)
      const { losses } = yield* collecting()
      const count = Object.fromEntries(
        [...Map.groupBy(losses, ({ kind }) => kind)].map(([kind, all]) => [kind, all.length]),
      )
      assert.deepStrictEqual(count, {
        record: 1,
        cursor: 1,
        artifact: 1,
        temporary: 2,
        quarantined: 2,
        process: 2,
      })
      assert.sameMembers([...(yield* files)], [...own, ...foreign, young])
      age(join(root, young), 61)
      yield* collecting()
      assert.sameMembers([...(yield* files)], [...own, ...foreign])
      assert.lengthOf(yield* pastRuns, 1)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("is not stopped by what is damaged, and keeps what is beside it", () =>
    Effect.gen(function* () {
      yield* runBoth()
      const { root } = yield* ArtifactStore
      const documents = (yield* files).filter((file) => /^objects.*json$/.test(file))
      const [, second] = (yield* files).filter((file) => file.startsWith("cursors"))
      for (const file of [...documents, second]) writeFileSync(join(root, file), "bad")
      yield* collecting()
      yield* collecting()
      const { cached } = yield* runBoth()
      assert.isFalse(cached)
      yield* collecting()
      assert.deepStrictEqual(kindsOf(yield* files), ONE_RUN)
      yield* undamaged
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("does no harm beside another one", () =>
    Effect.gen(function* () {
      for (const seed of [1, 2, 3]) yield* runBoth({ code: "old", command: `run ${seed}`, seed })
      for (const seed of [1, 2, 3]) yield* runBoth({ code: "new", command: `run ${seed}`, seed })
      yield* Effect.all([collecting(), collecting(), collecting()], { concurrency: "unbounded" })
      assert.deepStrictEqual(kindsOf(yield* files), { objects: 15, records: 6, cursors: 9 })
      yield* undamaged
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("beside a living process, a garbage collection", () => {
  it.live("keeps what was written since that started, and deletes what is older", () =>
    Effect.gen(function* () {
      yield* runBoth({ code: "old", seed: 1 })
      yield* ageAll(3600)
      yield* runBoth({ code: "old", seed: 2 })
      yield* runBoth({ code: "new", seed: 3 })
      const stray = yield* (yield* ArtifactStore).put("json", text("1"))
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* (yield* another).take("something", "else")
          const { kept } = yield* collecting()
          assert.deepStrictEqual(kindsOf(yield* files), { objects: 11, records: 4, cursors: 6 })
          assert.strictEqual(kept.processes.results, 4)
        }),
      )
      yield* collecting()
      assert.deepStrictEqual(kindsOf(yield* files), ONE_RUN)
      assert.isFalse(yield* (yield* ArtifactStore).has(stray))
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("keeps old bytes that were put again", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const [again, never] = [yield* store.put("json", text("1")), yield* store.put("json", text("2"))]
      yield* ageAll(3600)
      yield* (yield* another).take("something", "else")
      yield* store.put("json", text("1"))
      yield* collecting()
      assert.deepStrictEqual([yield* store.has(again), yield* store.has(never)], [true, false])
    }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
  )

  it.live("keeps a cursor that it holds, however old, and what that leads to", () =>
    Effect.gen(function* () {
      yield* Effect.flip(runBoth({ seed: 1, failAt: 2 }))
      const { root } = yield* ArtifactStore
      const [cursor] = readdirSync(join(root, "cursors", "states"))
      yield* runBoth({ seed: 2 })
      yield* ageAll(3600)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* (yield* another).take(cursor, "states 1")
          yield* collecting()
          assert.deepStrictEqual(kindsOf(yield* files), { objects: 7, records: 2, cursors: 5 })
        }),
      )
      yield* collecting()
      assert.deepStrictEqual(kindsOf(yield* files), ONE_RUN)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("keeps everything where it cannot tell when that started", () =>
    Effect.gen(function* () {
      const { root } = yield* ArtifactStore
      yield* runBoth({ code: "old", seed: 1 })
      yield* runBoth({ code: "new", seed: 2 })
      yield* ageAll(1e6)
      yield* (yield* another).take("something", "else")
      const [file] = readdirSync(join(root, "processes"))
      const { seal: _, ...self } = JSON.parse(readFileSync(join(root, "processes", file), "utf8"))
      writeFileSync(join(root, "processes", file), sealed({ ...self, startedAt: "long ago" }))
      assert.deepStrictEqual((yield* collecting()).losses, [])
    }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
  )

  const lookAndCollect = <E, R>(meanwhile: Effect.Effect<unknown, E, R>) =>
    Effect.gen(function* () {
      const gathered = yield* gather
      const { kept } = decide(gathered.parts, gathered.roots)
      yield* meanwhile
      return yield* collect(
        gathered,
        [...gathered.parts.values()].filter(({ name }) => !kept.has(name)),
      )
    }).pipe(Effect.provide(Layer.fresh(Leases.layer("gc"))))

  it.live("deletes nothing that is put again or committed again after it looked", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const { keys } = yield* runBoth({ code: "old", seed: 1 })
      yield* runBoth({ code: "new", seed: 2 })
      const stray = yield* store.put("json", text("1"))
      yield* ageAll(3600)
      const record = Option.getOrThrow(yield* store.record("states", keys[0]))
      yield* lookAndCollect(Effect.all([store.put("json", text("1")), store.commitRecord(record)]))
      assert.isTrue(yield* store.has(stray))
      // The record, with list, states and entries; the summary went.
      assert.deepStrictEqual(kindsOf(yield* files), { objects: 10, records: 3, cursors: 6 })
      yield* undamaged
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("deletes no cursor that is taken up after it looked", () =>
    Effect.gen(function* () {
      yield* runBoth({ code: "old", seed: 1 })
      const { root } = yield* ArtifactStore
      const [cursor] = readdirSync(join(root, "cursors", "states"))
      yield* runBoth({ code: "new", seed: 2 })
      const leases = yield* another
      yield* lookAndCollect(leases.take(cursor, "states 1"))
      assert.deepStrictEqual(kindsOf(yield* files), { objects: 8, records: 2, cursors: 6 })
    }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
  )
})

describe("with a limit, a garbage collection", () => {
  it.live("drops results until the store is below it; the next run computes them again", () =>
    Effect.gen(function* () {
      yield* runBoth()
      const before = yield* files
      const bytes = yield* sizeOf(before)
      assert.deepStrictEqual((yield* collecting({ keepUnder: bytes })).losses, [])
      const { losses, kept } = yield* collecting({ keepUnder: bytes - 1 })
      assert.isAbove(losses.length, 0)
      for (const { wanted } of losses) assert.isTrue(wanted)
      assert.isBelow(kept.bytes, bytes)
      assert.strictEqual(yield* sizeOf(yield* files), kept.bytes)
      yield* undamaged
      assert.isFalse((yield* runBoth()).cached)
      assert.deepStrictEqual(yield* files, before)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.live("drops nothing that is pinned or that a living process's run asked for", () =>
    Effect.gen(function* () {
      const { keys } = yield* runBoth()
      yield* putPin({ stage: "states", key: keys[0], at: "now" })
      const { kept } = yield* collecting({ keepUnder: 0 })
      assert.deepStrictEqual(kindsOf(yield* files), { objects: 4, records: 1, cursors: 3 })
      assert.isAbove(kept.bytes, 0)
      assert.deepStrictEqual(
        kept.pins.map(({ results }) => results),
        [1],
      )
      yield* (yield* another).take("something", "else")
      yield* runBoth({ command: "other", seed: 2 })
      yield* collecting({ keepUnder: 0 })
      assert.deepStrictEqual(kindsOf(yield* files), { objects: 9, records: 3, cursors: 6 })
    }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
  )
})
