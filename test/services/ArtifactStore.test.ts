import { mkdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Layer, Option, PlatformError } from "effect"
import { TestClock } from "effect/testing"
import type { ArtifactRef } from "../../src/services/Artifact.ts"
import {
  ArtifactStore,
  DamagedArtifact,
  type StageRecord,
  StoreFailure,
} from "../../src/services/ArtifactStore.ts"
import { digestOf, sha256 } from "../../src/services/store/canonical.ts"
import { sealed, unsealed } from "../../src/services/store/sealed.ts"
import { type Faults, faultyFileSystem, noFaults } from "./store/faults.ts"
import { filesBelow, temporaryDirectory, temporaryFilesBelow, temporaryStore } from "./store/temporary.ts"

const bytes = new TextEncoder().encode("forty-two point two")

const objectOf = ({ digest, format }: ArtifactRef) =>
  join("objects", digest.slice(0, 2), `${digest}.${format}`)

const key = sha256("key")
const recordOf = (output: unknown): StageRecord => ({
  stage: "train",
  key,
  preimage: { stage: "train", input: { seed: 42, list: [1, null, "x"] } },
  cursor: sha256("cursor"),
  output,
  provenance: { committedAt: "2026-01-01T00:00:00.000Z", seconds: 1.5, machine: "test", node: "v24" },
})

describe("blobs", () => {
  it.effect("come back as they were put, under their SHA-256", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const ref = yield* store.put("json", bytes)
      assert.deepStrictEqual(ref, { digest: sha256(bytes), format: "json", bytes: bytes.length })
      assert.deepStrictEqual(yield* store.get(ref), bytes)
      assert.isTrue(yield* store.has(ref))
      assert.deepStrictEqual(filesBelow(store.root), [objectOf(ref)])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("may be put in parts, and are the same", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const ref = yield* store.put("json", bytes.subarray(0, 5), new Uint8Array(0), bytes.subarray(5))
      assert.deepStrictEqual(yield* store.get(ref), bytes)
      assert.deepStrictEqual(yield* store.put("json", bytes), ref)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("may be empty, and as large as a gradient matrix", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      for (const content of [new Uint8Array(0), new Uint8Array(8 * 2 ** 20).map((_, i) => (i * 31) >> 3)]) {
        const ref = yield* store.put("safetensors", content)
        assert.isTrue(yield* store.has(ref))
        assert.strictEqual(sha256(yield* store.get(ref)), ref.digest)
      }
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect(
    "are stored once when they are equal, and not written again; their time is that of the last put",
    () =>
      Effect.gen(function* () {
        const store = yield* ArtifactStore
        const first = yield* store.put("json", bytes)
        const { ino } = statSync(join(store.root, objectOf(first)))
        yield* TestClock.setTime(1_000_000_000)
        const second = yield* store.put("json", bytes.slice())
        const after = statSync(join(store.root, objectOf(first)))
        assert.deepStrictEqual(second, first)
        assert.deepStrictEqual({ ino: after.ino, mtimeMs: after.mtimeMs }, { ino, mtimeMs: 1_000_000_000 })
        assert.lengthOf(filesBelow(store.root), 1)
      }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("whose time cannot be renewed, such as another user's, are written again", () =>
    Effect.gen(function* () {
      const { faulty, root } = yield* faultyStore({ ...noFaults(), withoutTimes: true })
      const ref = yield* faulty.put("json", bytes)
      const file = join(root, objectOf(ref))
      utimesSync(file, 1000, 1000)
      assert.deepStrictEqual(yield* faulty.put("json", bytes), ref)
      assert.isAbove(statSync(file).mtimeMs, 1_000_000)
      assert.deepStrictEqual(yield* faulty.get(ref), bytes)
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  it.effect("that are put by many fibers at once are stored once and whole", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const refs = yield* Effect.forEach(Array.from({ length: 20 }), () => store.put("json", bytes), {
        concurrency: "unbounded",
      })
      assert.strictEqual(new Set(refs.map(({ digest }) => digest)).size, 1)
      assert.deepStrictEqual(filesBelow(store.root), [objectOf(refs[0])])
      assert.deepStrictEqual(yield* store.get(refs[0]), bytes)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("are found by the first digits of their digest", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const ref = yield* store.put("json", bytes)
      assert.deepStrictEqual(yield* store.find(ref.digest.slice(0, 6)), [ref])
      assert.deepStrictEqual(yield* store.find(ref.digest), [ref])
      assert.deepStrictEqual(yield* store.find(`${ref.digest.slice(0, 2)}ffffffff`), [])
      assert.deepStrictEqual(yield* store.find("0123"), [])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("are gone after a drop, which may be repeated", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const ref = yield* store.put("json", bytes)
      yield* store.drop(ref)
      yield* store.drop(ref)
      assert.isFalse(yield* store.has(ref))
      assert.deepStrictEqual(filesBelow(store.root), [])
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("a damaged blob", () => {
  const damages: ReadonlyArray<readonly [string, (file: string) => void]> = [
    ["whose first bit is flipped", (file) => writeFileSync(file, bytes.with(0, bytes[0] ^ 1))],
    ["whose last bit is flipped", (file) => writeFileSync(file, bytes.with(-1, (bytes.at(-1) ?? 0) ^ 128))],
    ["that is one byte short", (file) => truncateSync(file, bytes.length - 1)],
    ["that is one byte too long", (file) => writeFileSync(file, Uint8Array.of(...bytes, 0))],
    ["that is empty", (file) => truncateSync(file, 0)],
  ]

  it.effect.each(damages)("%s is quarantined with its cause", ([, damage]) =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const ref = yield* store.put("parquet", bytes)
      damage(join(store.root, objectOf(ref)))
      const damaged = readFileSync(join(store.root, objectOf(ref)))

      const error = yield* Effect.flip(store.get(ref))
      assert.instanceOf(error, DamagedArtifact)
      assert.include(error.message, ref.digest.slice(0, 12))
      assert.notInclude(error.message, "\n")

      assert.isFalse(yield* store.has(ref))
      const name = join("quarantine", objectOf(ref).replaceAll("/", "."))
      assert.deepStrictEqual(filesBelow(store.root), [name, `${name}.cause.json`])
      assert.deepStrictEqual(readFileSync(join(store.root, name)), damaged)
      const cause = JSON.parse(readFileSync(join(store.root, `${name}.cause.json`), "utf8"))
      assert.strictEqual(cause.file, objectOf(ref))
      assert.include(cause.because, "do not match its digest")
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect.each(damages)("%s is replaced by putting it again, once it was found", ([, damage]) =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const ref = yield* store.put("parquet", bytes)
      for (const _ of [1, 2]) {
        damage(join(store.root, objectOf(ref)))
        yield* Effect.flip(store.get(ref))
        yield* store.put("parquet", bytes)
        assert.deepStrictEqual(yield* store.get(ref), bytes)
      }
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("of the wrong length does not count as there, and putting it again repairs it", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const ref = yield* store.put("json", bytes)
      truncateSync(join(store.root, objectOf(ref)), 3)
      assert.isFalse(yield* store.has(ref))
      yield* store.put("json", bytes)
      assert.deepStrictEqual(yield* store.get(ref), bytes)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("that is deleted is missing; there is nothing to quarantine", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const ref = yield* store.put("json", bytes)
      rmSync(join(store.root, objectOf(ref)))
      const error = yield* Effect.flip(store.get(ref))
      assert.instanceOf(error, DamagedArtifact)
      assert.include(error.message, "is missing")
      assert.isFalse(yield* store.has(ref))
      assert.deepStrictEqual(filesBelow(store.root), [])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("swapped with another is found, and so is the other", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const other = bytes.toReversed()
      const refs = [yield* store.put("json", bytes), yield* store.put("json", other)]
      writeFileSync(join(store.root, objectOf(refs[0])), other)
      writeFileSync(join(store.root, objectOf(refs[1])), bytes)
      for (const ref of refs) assert.instanceOf(yield* Effect.flip(store.get(ref)), DamagedArtifact)
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("records", () => {
  it.effect("come back as they were committed; a newer one replaces an older", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const record = recordOf({ loss: 0.1, none: null, nested: [{ ok: true }] })
      assert.deepStrictEqual(yield* store.record("train", key), Option.none())
      yield* store.commitRecord(record)
      assert.deepStrictEqual(yield* store.record("train", key), Option.some(record))
      assert.deepStrictEqual(yield* store.record("test", key), Option.none())
      yield* store.commitRecord(recordOf("newer"))
      assert.deepStrictEqual(yield* store.record("train", key), Option.some(recordOf("newer")))
      assert.deepStrictEqual(filesBelow(store.root), [join("records", "train", `${key}.json`)])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("of all stages are listed; an empty store has none", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      assert.deepStrictEqual(yield* store.records, [])
      const others = ["a", "b"].map((name) => ({ ...recordOf(name), stage: name, key: sha256(name) }))
      const records = [...others, recordOf("last")]
      for (const record of records.toReversed()) yield* store.commitRecord(record)
      assert.deepStrictEqual(yield* store.records, records)
    }).pipe(Effect.provide(temporaryStore())),
  )

  const recordFile = join("records", "train", `${key}.json`)

  const whole = sealed({ ...recordOf(1) })
  const another = { ...recordOf(1), key: sha256("another") }
  it.effect.each<[string, string | Uint8Array]>([
    ["empty", ""],
    ["cut in half", whole.slice(0, whole.length / 2)],
    ["one byte short of its end", whole.slice(0, -3)],
    ["one byte too long", `${whole}}`],
    ["nothing", "null"],
    ["a list", "[]"],
    ["without fields", "{}"],
    ["of other types", whole.replace('"seconds": 1.5', '"seconds": "1.5"')],
    ["of another number", whole.replace('"seconds": 1.5', '"seconds": 1.25')],
    ["of other names", whole.replace('"stage"', '"Stage"')],
    ["without its seal", JSON.stringify(recordOf(1))],
    ["that of another key", sealed(another)],
    ["not text", Uint8Array.of(0xff, 0xfe, 0, 1)],
  ])("that are %s are quarantined, with the cause, and may be written again", ([, content]) =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const file = join(store.root, recordFile)
      yield* store.commitRecord(recordOf(1))
      writeFileSync(file, content)
      assert.deepStrictEqual(yield* store.records, [], "a list leaves it where it is")
      const error = yield* Effect.flip(store.record("train", key))
      assert.instanceOf(error, DamagedArtifact)
      assert.include(error.message, `record ${key.slice(0, 12)} of train`)
      const moved = join("quarantine", `records.train.${key}.json`)
      assert.deepStrictEqual(filesBelow(store.root), [moved, `${moved}.cause.json`])
      assert.deepStrictEqual(yield* store.record("train", key), Option.none())
      yield* store.commitRecord(recordOf(2))
      assert.deepStrictEqual(yield* store.record("train", key), Option.some(recordOf(2)))
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("lose no bit unnoticed", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const file = join(store.root, recordFile)
      yield* store.commitRecord(recordOf({ loss: -0.25, zero: -0, text: "é" }))
      const written = readFileSync(file)
      for (let bit = 0; bit < written.length * 8; bit++) {
        const flipped = Uint8Array.from(written)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        assert.deepStrictEqual(unsealed(new TextDecoder().decode(flipped)), Option.none(), `bit ${bit}`)
      }
    }).pipe(Effect.provide(temporaryStore())),
  )

  it("are read where an earlier version sealed them, by the digest of their content", () => {
    const content = { a: { b: [1, "é"] }, zero: 0.5 }
    const former = (seal: string) => `${JSON.stringify({ ...content, seal }, null, 2)}\n`
    assert.deepStrictEqual(unsealed(former(digestOf(content))), Option.some(content))
    assert.deepStrictEqual(unsealed(former(digestOf({ ...content, zero: 0 }))), Option.none())
  })

  it.effect("keep a minus zero, whose key differs from zero's", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      yield* store.commitRecord(recordOf({ zero: -0 }))
      assert.deepStrictEqual(yield* store.record("train", key), Option.some(recordOf({ zero: -0 })))
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("a cursor", () => {
  const cursorFile = (position: number) =>
    join("cursors", "train", key, `${String(position).padStart(8, "0")}.json`)

  it.effect("has its entries in the order of their positions, whenever they were written", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      assert.deepStrictEqual(yield* store.cursor("train", key), [])
      for (const step of [100, 0, 9, 1000, 25]) yield* store.advance("train", key, step, { step })
      const steps = [0, 9, 25, 100, 1000]
      assert.deepStrictEqual(
        yield* store.cursor("train", key),
        steps.map((step) => ({ step })),
      )
      assert.deepStrictEqual(filesBelow(store.root), steps.map(cursorFile))
      assert.deepStrictEqual(yield* store.cursor("train", sha256("another")), [])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("keeps the last of two entries at one position", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      yield* store.advance("train", key, 5, "old")
      yield* store.advance("train", key, 5, "new")
      assert.deepStrictEqual(yield* store.cursor("train", key), ["new"])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("ends before an entry that stands at another's place", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      for (const step of [0, 1, 2]) yield* store.advance("train", key, step, { step })
      const [first, second] = [0, 1].map((position) => join(store.root, cursorFile(position)))
      const [a, b] = [readFileSync(first), readFileSync(second)]
      writeFileSync(first, b)
      writeFileSync(second, a)
      assert.deepStrictEqual(yield* store.cursor("train", key), [])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("ends before the first torn entry", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      for (const step of [0, 1, 2, 3]) yield* store.advance("train", key, step, { step })
      writeFileSync(join(store.root, cursorFile(3)), '{ "step": ')
      assert.deepStrictEqual(yield* store.cursor("train", key), [{ step: 0 }, { step: 1 }, { step: 2 }])
      writeFileSync(join(store.root, cursorFile(1)), "")
      assert.deepStrictEqual(yield* store.cursor("train", key), [{ step: 0 }])
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("leftovers of a killed writer", () => {
  it.effect("are not blobs, records or entries", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const ref = yield* store.put("json", bytes)
      yield* store.commitRecord(recordOf(1))
      yield* store.advance("train", key, 0, { step: 0 })
      for (const file of filesBelow(store.root)) {
        const directory = join(store.root, file, "..")
        writeFileSync(join(directory, `.${file.split("/").at(-1)}.4711.0.tmp`), '{ "half of": ')
      }
      assert.lengthOf(temporaryFilesBelow(store.root), 3)

      assert.deepStrictEqual(yield* store.get(ref), bytes)
      assert.deepStrictEqual(yield* store.find(ref.digest.slice(0, 4)), [ref])
      assert.deepStrictEqual(yield* store.records, [recordOf(1)])
      assert.deepStrictEqual(yield* store.cursor("train", key), [{ step: 0 }])
    }).pipe(Effect.provide(temporaryStore())),
  )
})

/** A store whose writes go through a file system with faults, and one without them on the same directory. */
const faultyStore = Effect.fn("faultyStore")(function* (faults: Faults) {
  const root = yield* temporaryDirectory
  const healthy = yield* ArtifactStore.pipe(Effect.provide(Layer.fresh(ArtifactStore.layer(root))))
  const faulty = yield* ArtifactStore.pipe(
    Effect.provide(ArtifactStore.layer(root).pipe(Layer.provide(faultyFileSystem(faults)))),
  )
  return { root, healthy, faulty }
})

describe("a write", () => {
  it.effect("is durable before it is visible: temp file, sync, rename, sync of the directory", () =>
    Effect.gen(function* () {
      const faults = noFaults()
      const { faulty, root } = yield* faultyStore(faults)
      yield* faulty.commitRecord(recordOf(1))
      const file = ["open to write", "write", "sync", "rename", "open to read", "sync"]
      const directory = ["mkdir", "open to read", "sync"]
      const records = [...directory, ...directory]
      assert.deepStrictEqual(faults.operations.slice(-file.length), file)
      assert.deepStrictEqual(
        faults.operations.slice(0, -file.length).slice(-records.length),
        records,
        "each new directory is made, and synced in the one above it, before",
      )
      assert.deepStrictEqual(temporaryFilesBelow(root), [])
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  // SQLite's way: fail at the N-th operation for every N, then look with healthy eyes.
  for (const forGood of [false, true]) {
    const failure = forGood ? "that dies at any operation" : "that fails at any operation"

    it.effect(`${failure} leaves the old record or the new one`, () =>
      Effect.gen(function* () {
        const outcomes = new Set<unknown>()
        for (let failing = 1; ; failing++) {
          const faults = noFaults()
          const { faulty, healthy, root } = yield* faultyStore(faults)
          yield* faulty.commitRecord(recordOf("old"))
          Object.assign(faults, { operations: [], failing, forGood })
          const exit = yield* Effect.result(faulty.commitRecord(recordOf("new")))
          const left = Option.map(yield* healthy.record("train", key), ({ output }) => output)
          outcomes.add(Option.getOrNull(left))
          assert.include(["old", "new"], Option.getOrNull(left), `at operation ${failing}`)
          assert.lengthOf(yield* healthy.records, 1)
          if (!forGood) assert.deepStrictEqual(temporaryFilesBelow(root), [], `at operation ${failing}`)
          if (exit._tag === "Success") {
            assert.strictEqual(failing, faults.operations.length + 1, "every operation has failed once")
            break
          }
          assert.instanceOf(exit.failure, StoreFailure)
          yield* healthy.commitRecord(recordOf("again"))
          assert.deepStrictEqual(yield* healthy.record("train", key), Option.some(recordOf("again")))
        }
        assert.sameMembers([...outcomes], ["old", "new"])
      }).pipe(Effect.provide(NodeServices.layer)),
    )

    it.effect(`${failure} leaves a whole blob or none`, () =>
      Effect.gen(function* () {
        const outcomes = new Set<boolean>()
        for (let failing = 1; ; failing++) {
          const { faulty, healthy, root } = yield* faultyStore({ ...noFaults(), failing, forGood })
          const ref: ArtifactRef = { digest: sha256(bytes), format: "json", bytes: bytes.length }
          const exit = yield* Effect.result(faulty.put("json", bytes))
          const there = yield* healthy.has(ref)
          outcomes.add(there)
          if (there) assert.deepStrictEqual(yield* healthy.get(ref), bytes)
          if (!forGood) assert.deepStrictEqual(temporaryFilesBelow(root), [], `at operation ${failing}`)
          if (exit._tag === "Success") break
          assert.instanceOf(exit.failure, StoreFailure)
          assert.deepStrictEqual(yield* healthy.put("json", bytes), ref)
          assert.deepStrictEqual(yield* healthy.get(ref), bytes)
          assert.isBelow(failing, 20)
        }
        assert.sameMembers([...outcomes], [true, false])
      }).pipe(Effect.provide(NodeServices.layer)),
    )

    it.effect(`${failure} leaves the entries before, and the new one whole or not at all`, () =>
      Effect.gen(function* () {
        for (let failing = 1; ; failing++) {
          const faults = noFaults()
          const { faulty, healthy } = yield* faultyStore(faults)
          yield* faulty.advance("train", key, 0, { step: 0 })
          Object.assign(faults, { operations: [], failing, forGood })
          const exit = yield* Effect.result(faulty.advance("train", key, 25, { step: 25 }))
          const entries = yield* healthy.cursor("train", key)
          assert.deepStrictEqual(entries, [{ step: 0 }, { step: 25 }].slice(0, entries.length))
          assert.isAtLeast(entries.length, exit._tag === "Success" ? 2 : 1)
          if (exit._tag === "Success") break
          assert.isBelow(failing, 20)
        }
      }).pipe(Effect.provide(NodeServices.layer)),
    )
  }

  it.live("that is interrupted leaves a whole blob or none, and no temp file", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      for (let delay = 0; delay < 10; delay++) {
        const content = new Uint8Array(2 ** 21).fill(delay)
        const ref: ArtifactRef = { digest: sha256(content), format: "json", bytes: content.length }
        const fiber = yield* Effect.forkChild(store.put("json", content))
        yield* Effect.sleep(delay)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(temporaryFilesBelow(store.root), [])
        if (yield* store.has(ref)) assert.strictEqual(sha256(yield* store.get(ref)), ref.digest)
      }
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("onto something that cannot be replaced fails and leaves no temp file", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const target = join(store.root, "records", "train", `${key}.json`)
      mkdirSync(join(target, "in the way"), { recursive: true })
      const error = yield* Effect.flip(store.commitRecord(recordOf(1)))
      assert.instanceOf(error, StoreFailure)
      assert.strictEqual(error.path, target)
      assert.deepStrictEqual(temporaryFilesBelow(store.root), [])
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("a root that cannot be written", () => {
  const refusal = (_tag: "NotFound" | "Unknown", message: string) =>
    PlatformError.systemError({ _tag, module: "FileSystem", method: "open", cause: new Error(message) })

  it.effect("fails each operation with one line that says which directory and what to do", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = join(directory, "file")
      writeFileSync(file, "not a directory")
      const root = join(file, "store")
      const store = yield* ArtifactStore.pipe(Effect.provide(ArtifactStore.layer(root)))
      const errors = yield* Effect.forEach(
        [
          store.requireWritable,
          store.put("json", bytes),
          store.commitRecord(recordOf(1)),
          store.advance("train", key, 0, {}),
        ],
        (operation) => Effect.flip(operation),
      )
      for (const error of errors) {
        assert.instanceOf(error, StoreFailure)
        assert.include(error.message, root)
        assert.include(error.message, "--store DIR")
        assert.notInclude(error.message, "\n")
      }
      assert.deepStrictEqual(filesBelow(directory), ["file"])
      assert.strictEqual(readFileSync(file, "utf8"), "not a directory")
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  it.effect("fails with the operating system's reason where the platform has no name for it", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const error = yield* Effect.flip(store.put("json", bytes))
      assert.include(error.message, "ENOSPC: no space left on device;")
    }).pipe(
      Effect.provide(ArtifactStore.layer("/full")),
      Effect.provide(
        FileSystem.layerNoop({
          stat: () => Effect.fail(refusal("NotFound", "ENOENT: no such file or directory, stat '/full'")),
          exists: () => Effect.succeed(true),
          open: () => Effect.fail(refusal("Unknown", "ENOSPC: no space left on device, open '/full'")),
          remove: () => Effect.void,
        }),
      ),
      Effect.provide(NodeServices.layer),
    ),
  )

  it.effect("is found before anything is written; a root that does not exist yet is made", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const root = join(directory, "a", "b")
      const store = yield* ArtifactStore.pipe(Effect.provide(ArtifactStore.layer(root)))
      assert.deepStrictEqual(yield* store.records, [])
      assert.throws(() => statSync(root), "ENOENT")
      yield* store.requireWritable
      assert.isTrue(statSync(root).isDirectory())
    }).pipe(Effect.provide(NodeServices.layer)),
  )
})
