/** Small stores of made-up results, and archives of them. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { Effect, Exit, Layer, Option, Scope, Stream } from "effect"
import * as fc from "fast-check"
import { packTar, type TarEntry } from "modern-tar"
import type { Format } from "../../../src/services/Artifact.ts"
import { ArtifactStore, type StageRecord } from "../../../src/services/ArtifactStore.ts"
import { Journal } from "../../../src/services/Journal.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { select } from "../../../src/services/share/collect.ts"
import { exportArchive } from "../../../src/services/share/exportArchive.ts"
import { importArchive } from "../../../src/services/share/importArchive.ts"
import { openArchive } from "../../../src/services/share/readArchive.ts"
import { readTar } from "../../../src/services/share/tar.ts"
import { digestOf, sha256 } from "../../../src/services/store/canonical.ts"
import { filesBelow, temporaryDirectory } from "../store/temporary.ts"

/** What a stage returned: blobs, some of them only named by a document. */
export interface Result {
  readonly stage: string
  readonly seed: number
  readonly direct: ReadonlyArray<readonly [Format, Uint8Array]>
  readonly listed: ReadonlyArray<Uint8Array>
}

const blob = fc.uint8Array({ maxLength: 1500 })
const direct = fc.tuple(fc.constantFrom<Format>("safetensors", "parquet"), blob)

/** Results of different keys. */
export const results: fc.Arbitrary<ReadonlyArray<Result>> = fc.uniqueArray(
  fc.record({
    stage: fc.constantFrom("train", "rolling-svd", "measure-null"),
    seed: fc.nat(5),
    direct: fc.array(direct, { maxLength: 3 }),
    listed: fc.array(blob, { maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 5, selector: ({ stage, seed }) => `${stage} ${seed}` },
)

/** Two results of which the second is small. */
export const two: ReadonlyArray<Result> = [
  { stage: "train", seed: 1, direct: [["parquet", Uint8Array.of(1, 2, 3)]], listed: [Uint8Array.of(4)] },
  { stage: "measure-null", seed: 2, direct: [["safetensors", new Uint8Array(700).fill(7)]], listed: [] },
]

export const COMMAND = "run single --set seed=1"

/** Commits results as a run of {@link COMMAND} does; each one's input is the output of the one before. */
export const commit = Effect.fn("commit")(function* (all: ReadonlyArray<Result>) {
  const store = yield* ArtifactStore
  const scope = yield* Scope.make()
  const records: Array<StageRecord> = []
  const journal = Layer.fresh(Journal.layer(COMMAND))
  yield* Effect.gen(function* () {
    const { append } = yield* Journal
    let input: unknown = null
    for (const { stage, seed, direct, listed } of all) {
      const refs = yield* Effect.forEach(direct, ([format, bytes]) => store.put(format, bytes))
      const behind = yield* Effect.forEach(listed, (bytes) => store.put("safetensors", bytes))
      const list = yield* store.put("json", new TextEncoder().encode(JSON.stringify({ stage, seed, behind })))
      const preimage = { stage, version: 1, input: { seed, before: input } }
      const output = { list, refs, value: -0 }
      const record: StageRecord = {
        stage,
        key: digestOf(preimage),
        preimage,
        cursor: sha256(stage),
        output,
        provenance: {
          committedAt: `2026-01-0${1 + seed}T00:00:00.000Z`,
          seconds: 1.5,
          machine: "test",
          node: "v24",
          note: "not evidence",
        },
      }
      yield* store.commitRecord(record)
      records.push(record)
      yield* append({
        _tag: "Computed",
        label: `${stage} add/${seed}`,
        stage,
        key: record.key,
        seconds: 1,
        bytes: 1,
      })
      input = output
    }
  }).pipe(Effect.provide(journal), Scope.provide(scope), Effect.ensuring(Scope.close(scope, Exit.void)))
  return records
})

/** Another empty store, in the context of an effect. */
export const inStore =
  (directory: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(effect, Layer.fresh(ArtifactStore.layer(directory)))

/** Exports what is known as `what` to a file. */
export const exporting = Effect.fn("exporting")(function* (what: string, file: string) {
  const selection = yield* select(what)
  return yield* exportArchive(selection, { file, grokscope: "0.0.0" })
})

/** Imports a file. */
export const importing = Effect.fn("importing")((file: string) =>
  Effect.scoped(Effect.flatMap(openArchive(file), (archive) => importArchive(archive, "import a test"))),
)

/** The archive of results that were committed to a store of their own. */
export const archiveOf = Effect.fn("archiveOf")(function* (all: ReadonlyArray<Result>) {
  const directory = yield* temporaryDirectory
  const file = join(directory, "results.tar")
  const records = yield* Effect.andThen(Effect.tap(commit(all), exporting(COMMAND, file)), (records) =>
    Effect.succeed(records),
  ).pipe(inStore(join(directory, "store")))
  return { file, store: join(directory, "store"), records }
})

/** Entries of a tar file, to be changed and packed again. */
export const unpacked = Effect.fn("unpacked")(function* (file: string) {
  const next = yield* readTar(file)
  const entries: Array<{ readonly name: string; readonly data: Uint8Array }> = []
  for (let entry = yield* next; Option.isSome(entry); entry = yield* next) {
    entries.push({
      name: entry.value.name,
      data: Buffer.concat(yield* Stream.runCollect(entry.value.content)),
    })
  }
  return entries
})

export const packed = (entries: ReadonlyArray<TarEntry>) => Effect.promise(() => packTar(entries))

/** Every file of a store but its journals, with its content. */
export const contentOf = (store: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    filesBelow(store)
      .filter((file) => !file.startsWith("runs"))
      .map((file) => [file, readFileSync(join(store, file), "hex")]),
  )

export const write = (file: string, bytes: Uint8Array) => Effect.sync(() => writeFileSync(file, bytes))

export const services = Layer.merge(NodeServices.layer, Progress.silent)
