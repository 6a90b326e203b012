import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import * as fc from "fast-check"
import { ArtifactStore, type StageRecord, StoreFailure } from "../../../src/services/ArtifactStore.ts"
import { gc } from "../../../src/services/gc/gc.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { BadArchive } from "../../../src/services/share/archive.ts"
import { verify } from "../../../src/services/verify.ts"
import { type Faults, faultyFileSystem, noFaults } from "../store/faults.ts"
import { filesBelow, temporaryDirectory } from "../store/temporary.ts"
import {
  archiveOf,
  commit,
  contentOf,
  exporting,
  importing,
  inStore,
  results,
  services,
  two,
  write,
} from "./madeUp.ts"

const recordsOf = Effect.gen(function* () {
  const { records } = yield* ArtifactStore
  return yield* records
})

const withoutImport = ({ provenance: { imported: _, ...provenance }, ...record }: StageRecord) => ({
  ...record,
  provenance,
})

const byKey = (a: StageRecord, b: StageRecord) => (a.key < b.key ? -1 : 1)

describe("an import", () => {
  it.effect("into an empty store gives the records and blobs that were exported, and verifies", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(results, (all) =>
          Effect.gen(function* () {
            const { file, store, records } = yield* archiveOf(all)
            const other = join(yield* temporaryDirectory, "deep", "store")
            const imported = yield* importing(file).pipe(inStore(other))
            assert.strictEqual(imported.newRecords, records.length)
            assert.sameMembers(
              imported.found.map(({ label }) => label),
              all.map(({ stage, seed }) => `${stage} add/${seed}`),
            )
            const found = yield* recordsOf.pipe(inStore(other))
            assert.deepStrictEqual(found.map(withoutImport).sort(byKey), records.toSorted(byKey))
            const objects = (directory: string) =>
              Object.entries(contentOf(directory)).filter(([name]) => name.startsWith("objects"))
            assert.deepStrictEqual(objects(other), objects(store))
            const { damages } = yield* verify.pipe(inStore(other))
            assert.deepStrictEqual(damages, [])
          }).pipe(Effect.scoped, Effect.provide(services), Effect.runPromise),
        ),
        { numRuns: 10 },
      ),
    ),
  )

  it.effect("says in each record where it came from", () =>
    Effect.gen(function* () {
      const { file } = yield* archiveOf(two)
      yield* Effect.gen(function* () {
        yield* importing(file)
        const froms = (yield* recordsOf).map(({ provenance }) => provenance.imported?.from)
        assert.strictEqual(new Set(froms).size, 1)
        assert.match(froms[0] ?? "", /^[0-9a-f]{64}$/)
      }).pipe(inStore(join(yield* temporaryDirectory, "store")))
    }).pipe(Effect.provide(services)),
  )

  it.effect("that is repeated writes no file", () =>
    Effect.gen(function* () {
      const { file } = yield* archiveOf(two)
      const store = join(yield* temporaryDirectory, "store")
      yield* importing(file).pipe(inStore(store))
      const state = () => [filesBelow(store).map((name) => statSync(join(store, name)).ino), contentOf(store)]
      const before = state()
      const again = yield* importing(file).pipe(inStore(store))
      assert.deepStrictEqual([again.newRecords, again.newArtifacts], [0, 0])
      assert.deepStrictEqual(state(), before)
    }).pipe(Effect.provide(services)),
  )

  it.effect("leaves a record that is there as it is, and replaces damaged records and artifacts", () =>
    Effect.gen(function* () {
      const { file, store } = yield* archiveOf(two)
      const before = contentOf(store)
      const none = yield* importing(file).pipe(inStore(store))
      assert.deepStrictEqual([none.newRecords, none.newArtifacts], [0, 0])
      assert.deepStrictEqual(contentOf(store), before)

      for (const name of Object.keys(before)) {
        const bytes = readFileSync(join(store, name))
        writeFileSync(join(store, name), bytes.with(0, bytes[0] ^ 1))
      }
      const healed = yield* importing(file).pipe(inStore(store))
      assert.strictEqual(healed.newRecords + healed.newArtifacts, Object.keys(before).length)
      const { damages } = yield* verify.pipe(inStore(store))
      assert.deepStrictEqual(damages, [])
    }).pipe(Effect.provide(services)),
  )

  it.effect("of part of a run goes by what the store has", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = join(directory, "one.tar")
      yield* Effect.andThen(commit(two), exporting("measure-null add/2", file)).pipe(
        inStore(join(directory, "a")),
      )
      const imported = yield* importing(file).pipe(inStore(join(directory, "b")))
      assert.strictEqual(imported.newRecords, 1)
      // Its own, and those of the training that it takes.
      assert.strictEqual(imported.newArtifacts, 2 + 3)
    }).pipe(Effect.provide(services)),
  )

  it.effect("may be exported again", () =>
    Effect.gen(function* () {
      const { file } = yield* archiveOf(two)
      const directory = yield* temporaryDirectory
      const [first, second] = ["first", "second"].map((name) => join(directory, name))
      const again = join(directory, "again.tar")
      yield* Effect.gen(function* () {
        const { found } = yield* importing(file)
        yield* exporting(found[0].key, again)
      }).pipe(inStore(first))
      const { newRecords } = yield* importing(again).pipe(inStore(second))
      assert.strictEqual(newRecords, 1)
    }).pipe(Effect.provide(services)),
  )
})

/** Runs `before` when an import is at its `piece`-th piece, and then goes on. */
const pausedAt = (piece: number, before: Effect.Effect<void>) => {
  let pieces = 0
  return Layer.succeed(Progress, {
    running: (_, effect) => effect,
    step: () => Effect.suspend(() => (++pieces === piece ? before : Effect.void)),
    cached: () => Effect.void,
    plan: () => Effect.void,
    say: () => Effect.void,
  })
}

describe("an import beside a garbage collection", () => {
  it.live("keeps what it finds stored, though nothing in the store has led to it so far", () =>
    Effect.gen(function* () {
      const { file, store: source } = yield* archiveOf(two)
      const store = join(yield* temporaryDirectory, "store")
      cpSync(join(source, "objects"), join(store, "objects"), { recursive: true })
      const objects = filesBelow(store)
      const long = new Date("2020-01-01")
      for (const name of objects) utimesSync(join(store, name), long, long)
      const collecting = Layer.fresh(Leases.layer("gc")).pipe(
        Layer.provideMerge(Layer.fresh(ArtifactStore.layer(store))),
      )
      const collection = gc({ dryRun: false }).pipe(
        Effect.provide(collecting.pipe(Layer.provideMerge(services))),
        Effect.asVoid,
        Effect.orDie,
      )
      // Two records, then artifacts: this is the last of them.
      const progress = pausedAt(2 + objects.length, collection)
      const { newArtifacts } = yield* importing(file).pipe(inStore(store), Effect.provide(progress))
      assert.strictEqual(newArtifacts, 0)
      const { damages, records } = yield* verify.pipe(inStore(store))
      assert.deepStrictEqual([records, damages], [2, []])
      // Without the import all of them were garbage.
      rmSync(join(store, "records"), { recursive: true })
      for (const name of objects) utimesSync(join(store, name), long, long)
      yield* collection
      assert.deepStrictEqual(filesBelow(store), [])
    }).pipe(Effect.provide(services)),
  )
})

/** A store is as it was: here, not there. */
const isUntouched = (store: string) =>
  assert.deepStrictEqual(existsSync(store) ? filesBelow(store) : "none", "none")

describe("an import that fails leaves nothing", () => {
  it.effect(
    "whichever byte of the file is another one, unless the byte does not matter",
    () =>
      Effect.gen(function* () {
        const { file } = yield* archiveOf([
          { stage: "train", seed: 1, direct: [], listed: [Uint8Array.of(4)] },
        ])
        const directory = yield* temporaryDirectory
        const [full, changed] = ["full", "changed.tar"].map((name) => join(directory, name))
        yield* importing(file).pipe(inStore(full))
        const reference = contentOf(full)
        const whole = readFileSync(file)
        let refused = 0
        // Every eleventh byte of content and of what headers say; of the zeros in between, one in 77.
        const bytes = Array.from(whole.keys()).filter((at) => at % (whole[at] === 0 ? 77 : 11) === 0)
        for (const at of bytes) {
          yield* write(changed, whole.with(at, whole[at] ^ (1 + (at % 255))))
          // Most go to a store that has it all, which takes no waiting for the disk.
          const store = at % 29 === 0 ? join(directory, String(at)) : full
          const result = yield* Effect.result(importing(changed).pipe(inStore(store)))
          if (result._tag === "Success") {
            assert.deepStrictEqual(Object.keys(contentOf(store)), Object.keys(reference), `byte ${at}`)
          } else {
            refused++
            assert.instanceOf(result.failure, BadArchive, `byte ${at}: ${result.failure.message}`)
            assert.match(result.failure.message, /^[^\n]+; nothing was imported$/)
            if (store !== full) isUntouched(store)
          }
        }
        assert.deepStrictEqual(contentOf(full), reference)
        // All but the padding to blocks of 512 bytes.
        assert.isAbove(refused, (3 * bytes.length) / 4)
      }).pipe(Effect.provide(services)),
    240_000,
  )

  it.effect("wherever the file is cut off", () =>
    Effect.gen(function* () {
      const { file } = yield* archiveOf(two)
      const directory = yield* temporaryDirectory
      const [store, torn] = ["store", "torn.tar"].map((name) => join(directory, name))
      const whole = readFileSync(file)
      for (let length = 0; length < whole.length; length += 331) {
        yield* write(torn, whole.subarray(0, length))
        const error = yield* Effect.flip(importing(torn).pipe(inStore(store)))
        assert.instanceOf(error, BadArchive, `${length} bytes`)
        isUntouched(store)
      }
    }).pipe(Effect.provide(services)),
  )

  it.effect(
    "whichever operation of the file system fails, as on a full disk",
    () =>
      Effect.gen(function* () {
        const { file } = yield* archiveOf(two)
        const directory = yield* temporaryDirectory
        const attempt = (store: string, faults: Faults) =>
          importing(file).pipe(
            inStore(store),
            Effect.provide(faultyFileSystem(faults).pipe(Layer.provideMerge(NodeServices.layer))),
          )
        const counting = noFaults()
        yield* attempt(join(directory, "all"), counting)
        assert.isAbove(counting.operations.filter((name) => name === "write").length, 5)
        let failed = 0
        for (const [i, operation] of counting.operations.entries()) {
          // What fails to be removed stays.
          if (operation === "remove") continue
          const store = join(directory, `${i}`)
          const result = yield* Effect.result(attempt(store, { ...noFaults(), failing: i + 1 }))
          if (result._tag === "Success") {
            // Who else is at work may stay unknown.
            const { damages, records } = yield* verify.pipe(inStore(store))
            assert.deepStrictEqual([records, damages], [2, []], operation)
          } else {
            failed++
            assert.isTrue(
              result.failure instanceof StoreFailure || result.failure instanceof BadArchive,
              `${operation}: ${result.failure}`,
            )
            assert.notInclude(result.failure.message, "\n")
            isUntouched(store)
          }
        }
        assert.isAbove(failed, counting.operations.length / 2)
      }).pipe(Effect.provide(services)),
    120_000,
  )

  it.effect("if it is interrupted, and what was there stays", () =>
    Effect.gen(function* () {
      const { file } = yield* archiveOf(two)
      const store = join(yield* temporaryDirectory, "store")
      mkdirSync(join(store, "objects"), { recursive: true })
      writeFileSync(join(store, "objects", "mine"), "")
      const reached = yield* Deferred.make<void>()
      const stopping = pausedAt(5, Effect.andThen(Deferred.succeed(reached, undefined), Effect.never))
      const fiber = yield* Effect.forkChild(importing(file).pipe(inStore(store), Effect.provide(stopping)))
      yield* Deferred.await(reached)
      assert.isAbove(filesBelow(store).length, 1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(filesBelow(store), ["objects/mine"])
    }).pipe(Effect.provide(services)),
  )
})
