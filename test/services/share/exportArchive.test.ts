import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { ArtifactStore, DamagedArtifact, StoreFailure } from "../../../src/services/ArtifactStore.ts"
import { MANIFEST } from "../../../src/services/share/archive.ts"
import { NothingSelected } from "../../../src/services/share/collect.ts"
import { CannotWrite } from "../../../src/services/share/exportArchive.ts"
import { sha256 } from "../../../src/services/store/canonical.ts"
import { faultyFileSystem, noFaults } from "../store/faults.ts"
import { filesBelow, temporaryDirectory } from "../store/temporary.ts"
import { archiveOf, COMMAND, commit, exporting, inStore, services, two, unpacked } from "./madeUp.ts"

const names = (file: string) => Effect.map(unpacked(file), (entries) => entries.map(({ name }) => name))

describe("an export", () => {
  it.effect("of a run has its manifest, its records and then its artifacts, as they are in the store", () =>
    Effect.gen(function* () {
      const { file, store } = yield* archiveOf(two)
      const [manifest, ...files] = yield* unpacked(file)
      const stored = filesBelow(store).filter((name) => !name.startsWith("runs"))
      assert.strictEqual(manifest.name, MANIFEST)
      assert.deepStrictEqual(
        files.map(({ name }) => name),
        [
          ...stored.filter((name) => name.startsWith("records")),
          ...stored.filter((name) => name.startsWith("objects")),
        ],
      )
      for (const { name, data } of files)
        assert.deepStrictEqual(Buffer.from(data), readFileSync(join(store, name)))
      const { version, grokscope, at, origin } = JSON.parse(new TextDecoder().decode(manifest.data))
      assert.deepStrictEqual([version, grokscope], [1, "0.0.0"])
      assert.strictEqual(at, "2026-01-03T00:00:00.000Z")
      assert.strictEqual(origin.command, COMMAND)
      assert.sameMembers(Object.values(origin.labels), ["train add/1", "measure-null add/2"])
    }).pipe(Effect.provide(services)),
  )

  it.effect("of equal content is the same, byte for byte, wherever it was made", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* archiveOf(two), yield* archiveOf(two)]
      assert.deepStrictEqual(readFileSync(second.file), readFileSync(first.file))
    }).pipe(Effect.provide(services)),
  )

  it.effect("of a label or a key has one record, and what its input leads to", () =>
    Effect.gen(function* () {
      const { file, store, records } = yield* archiveOf(two)
      const whole = yield* names(file)
      const one = join(yield* temporaryDirectory, "one.tar")
      const [train, measure] = records
      for (const what of ["measure-null add/2", measure.key, measure.key.slice(0, 8)]) {
        yield* exporting(what, one).pipe(inStore(store))
        assert.deepStrictEqual(
          yield* names(one),
          whole.filter((name) => !name.includes(train.key)),
        )
      }
      yield* exporting("train add/1", one).pipe(inStore(store))
      assert.isBelow((yield* names(one)).length, whole.length - 1)
    }).pipe(Effect.provide(services)),
  )

  it.effect("of a result whose input is gone for want of room has what is there", () =>
    Effect.gen(function* () {
      const { store } = yield* archiveOf(two)
      const one = join(yield* temporaryDirectory, "one.tar")
      yield* exporting("measure-null add/2", one).pipe(inStore(store))
      const whole = yield* names(one)
      const [direct] = two[0].direct
      rmSync(join(store, `objects/${sha256(direct[1]).slice(0, 2)}/${sha256(direct[1])}.${direct[0]}`))
      yield* exporting("measure-null add/2", one).pipe(inStore(store))
      assert.lengthOf(yield* names(one), whole.length - 1)
    }).pipe(Effect.provide(services)),
  )

  it.effect("of a command takes its latest run that was done, of a label its newest record", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = join(directory, "out.tar")
      const store = join(directory, "store")
      yield* Effect.gen(function* () {
        yield* commit(two)
        yield* TestClock.adjust("1 second")
        yield* commit([{ ...two[0], direct: [] }])
        const { root } = yield* ArtifactStore
        // As of a run that was killed.
        writeFileSync(
          join(root, "runs", "29990101T000000000Z-1.ndjson"),
          `${JSON.stringify({ _tag: "Started", at: "", command: COMMAND, pid: 1, host: "x" })}\n`,
        )
        yield* exporting(COMMAND, file)
      }).pipe(inStore(store))
      assert.lengthOf(
        (yield* names(file)).filter((name) => name.startsWith("records")),
        1,
      )
    }).pipe(Effect.provide(services)),
  )

  it.effect("of what nobody knows says what there is", () =>
    Effect.gen(function* () {
      const { store } = yield* archiveOf(two)
      const file = join(yield* temporaryDirectory, "out.tar")
      const error = yield* Effect.flip(exporting("run singel", file).pipe(inStore(store)))
      assert.instanceOf(error, NothingSelected)
      assert.sameMembers([...error.valid], [COMMAND, "train add/1", "measure-null add/2"])
      assert.isFalse(existsSync(file))
    }).pipe(Effect.provide(services)),
  )

  it.effect("of an artifact that is damaged or missing leaves no file", () =>
    Effect.gen(function* () {
      const { store } = yield* archiveOf(two)
      const directory = yield* temporaryDirectory
      const [object] = filesBelow(store).filter((name) => /^objects.*(parquet|safetensors)$/.test(name))
      const bytes = readFileSync(join(store, object))
      for (const damage of [
        () => writeFileSync(join(store, object), bytes.with(0, bytes[0] ^ 1)),
        () => rmSync(join(store, object), { force: true }),
      ]) {
        damage()
        const error = yield* Effect.flip(exporting(COMMAND, join(directory, "out.tar")).pipe(inStore(store)))
        assert.instanceOf(error, DamagedArtifact)
        assert.deepStrictEqual(filesBelow(directory), [])
      }
    }).pipe(Effect.provide(services)),
  )

  it.effect("that cannot be written leaves no file, and an earlier one as it was", () =>
    Effect.gen(function* () {
      const { file, store } = yield* archiveOf(two)
      const directory = yield* temporaryDirectory
      const out = join(directory, "out.tar")
      const attempt = (faults = noFaults()) =>
        exporting(COMMAND, out).pipe(
          inStore(store),
          Effect.provide(faultyFileSystem(faults).pipe(Layer.provideMerge(NodeServices.layer))),
          Effect.map(() => faults.operations),
        )
      const operations = yield* attempt()
      writeFileSync(out, "earlier")
      for (const [i, operation] of operations.entries()) {
        if (operation !== "write" && operation !== "open to write" && operation !== "sync") continue
        const error = yield* Effect.flip(attempt({ ...noFaults(), failing: i + 1 }))
        // The last one syncs the directory, when the new file is there.
        if (i === operations.lastIndexOf("sync")) break
        // Reading goes on beside writing, so it may be the next piece that fails.
        assert.isTrue(error instanceof CannotWrite || error instanceof StoreFailure, `${operation}: ${error}`)
        assert.deepStrictEqual(filesBelow(directory), ["out.tar"])
        assert.strictEqual(readFileSync(out, "utf8"), "earlier")
      }
      assert.isTrue(existsSync(file))
    }).pipe(Effect.provide(services)),
  )
})
