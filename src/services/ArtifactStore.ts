/**
 * The content-addressed artifact store.
 *
 *     objects/<first two>/<digest>.<format>   immutable blobs, named by their SHA-256
 *     records/<stage>/<key>.json              what a stage returned under a key, with the key's pre-image
 *     cursors/<stage>/<key>/<position>.json   how far a resumable stage came
 *     quarantine/                             blobs whose bytes are not what their name says, with the cause
 *
 * A record never names bytes that are not on disk. Readers verify digests. Knows no stage.
 */
import { Context, Effect, FileSystem, Layer, Option, Path, PlatformError, Schema } from "effect"
import { ArtifactRef, type Format } from "./Artifact.ts"
import { sha256 } from "./store/canonical.ts"
import { commitFile, makeDirectories } from "./store/files.ts"

/** The store cannot be used: `operation` on `path` failed. */
export class StoreFailure extends Schema.TaggedError<StoreFailure>()("StoreFailure", {
  operation: Schema.String,
  path: Schema.String,
  cause: Schema.Defect(),
}) {
  override get message() {
    return `cannot ${this.operation} ${this.path}: ${describeCause(this.cause)}; make room and check permissions, or choose another directory with --store DIR`
  }
}

/** A blob's bytes are missing or not those its name promises; a corrupt one was moved to quarantine. */
export class DamagedArtifact extends Schema.TaggedError<DamagedArtifact>()("DamagedArtifact", {
  digest: Schema.String,
  because: Schema.String,
}) {
  override get message() {
    return `artifact ${this.digest.slice(0, 12)} ${this.because}; run again to recompute it`
  }
}

export type StoreError = StoreFailure | DamagedArtifact

const describeCause = (cause: unknown): string =>
  PlatformError.isPlatformError(cause)
    ? cause.reason._tag
    : cause instanceof Error
      ? cause.message
      : String(cause)

/** What is stored under a key. `output` is the stage's encoded output; `preimage` is what the key digests. */
export const StageRecord = Schema.Struct({
  stage: Schema.String,
  key: Schema.String,
  preimage: Schema.Unknown,
  output: Schema.Unknown,
  provenance: Schema.Struct({
    committedAt: Schema.String,
    seconds: Schema.Finite,
    machine: Schema.String,
    node: Schema.String,
    /** What a reader must know before using it, such as that it comes from a smoke run. */
    note: Schema.optionalKey(Schema.String),
  }),
})
export type StageRecord = typeof StageRecord.Type

const StageRecordJson = Schema.fromJsonString(StageRecord)
const JsonText = Schema.fromJsonString(Schema.Unknown)

export class ArtifactStore extends Context.Service<
  ArtifactStore,
  {
    readonly root: string
    /** The file of a blob. */
    readonly pathOf: (ref: ArtifactRef) => string
    /** Makes the store's directory and checks that files can be written in it. */
    readonly requireWritable: Effect.Effect<void, StoreFailure>
    /** Stores a blob; equal bytes are stored once. */
    readonly put: (format: Format, bytes: Uint8Array) => Effect.Effect<ArtifactRef, StoreFailure>
    /** The bytes of a blob, verified. */
    readonly get: (ref: ArtifactRef) => Effect.Effect<Uint8Array, StoreError>
    /** Whether the blob is there with its full length (its digest is verified when it is read). */
    readonly has: (ref: ArtifactRef) => Effect.Effect<boolean, StoreFailure>
    /** Deletes a blob that nothing refers to any more. */
    readonly drop: (ref: ArtifactRef) => Effect.Effect<void, StoreFailure>
    /** Blobs whose digest starts with `prefix`. */
    readonly find: (prefix: string) => Effect.Effect<ReadonlyArray<ArtifactRef>, StoreFailure>
    readonly record: (stage: string, key: string) => Effect.Effect<Option.Option<StageRecord>, StoreFailure>
    readonly commitRecord: (record: StageRecord) => Effect.Effect<void, StoreFailure>
    /** All records of the store. */
    readonly records: Effect.Effect<ReadonlyArray<StageRecord>, StoreFailure>
    /** The entries of a cursor, in order. */
    readonly cursor: (stage: string, key: string) => Effect.Effect<ReadonlyArray<unknown>, StoreFailure>
    /** Writes entry `position` of a cursor. */
    readonly advance: (
      stage: string,
      key: string,
      position: number,
      entry: unknown,
    ) => Effect.Effect<void, StoreFailure>
  }
>()("grokscope/services/ArtifactStore") {
  static readonly layer = (directory: string) =>
    Layer.effect(
      ArtifactStore,
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const services = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
        const root = path.resolve(directory)

        const attempt = (operation: string, target: string) =>
          Effect.mapError((cause: unknown) => new StoreFailure({ operation, path: target, cause }))
        const commit = (target: string, bytes: Uint8Array) =>
          commitFile(target, bytes).pipe(Effect.provideContext(services), attempt("write", target))
        const list = (target: string) =>
          fs.readDirectory(target).pipe(
            Effect.map((names) => names.filter((name) => !name.startsWith(".")).sort()),
            Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed([])),
            attempt("list", target),
          )
        /** A file's bytes, or none where it does not exist. */
        const read = (target: string): Effect.Effect<Option.Option<Uint8Array>, StoreFailure> =>
          fs.readFile(target).pipe(
            Effect.map((bytes) => Option.some<Uint8Array>(bytes)),
            Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(Option.none<Uint8Array>())),
            attempt("read", target),
          )
        /** Decoded JSON of a file; none where it is missing or cannot have been written by us. */
        const readJson = <S extends Schema.ConstraintCodec<unknown, unknown>>(
          target: string,
          codec: S,
        ): Effect.Effect<Option.Option<S["Type"]>, StoreFailure> =>
          Effect.map(
            read(target),
            Option.flatMap((bytes) => Schema.decodeUnknownOption(codec)(new TextDecoder().decode(bytes))),
          )
        const writeJson = (target: string, value: unknown) =>
          commit(target, new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`))

        const objectPath = ({ digest, format }: ArtifactRef) =>
          path.join(root, "objects", digest.slice(0, 2), `${digest}.${format}`)
        const recordPath = (stage: string, key: string) => path.join(root, "records", stage, `${key}.json`)

        const has = Effect.fn("ArtifactStore.has")(function* (ref: ArtifactRef) {
          const target = objectPath(ref)
          return yield* fs.stat(target).pipe(
            Effect.map((info) => Number(info.size) === ref.bytes),
            Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(false)),
            attempt("read", target),
          )
        })

        const quarantine = Effect.fn("ArtifactStore.quarantine")(function* (
          ref: ArtifactRef,
          because: string,
        ) {
          const target = path.join(root, "quarantine", `${ref.digest}.${ref.format}`)
          yield* fs.makeDirectory(path.dirname(target), { recursive: true }).pipe(
            Effect.andThen(fs.rename(objectPath(ref), target)),
            // Another reader was faster.
            Effect.catchReason("PlatformError", "NotFound", () => Effect.void),
            attempt("quarantine", target),
          )
          yield* writeJson(`${target}.cause.json`, { ref, because })
        })

        return ArtifactStore.of({
          root,
          pathOf: objectPath,
          requireWritable: makeDirectories(root).pipe(
            Effect.provideContext(services),
            Effect.andThen(fs.access(root, { writable: true })),
            Effect.andThen(fs.readDirectory(root)),
            Effect.asVoid,
            attempt("write to the store", root),
          ),
          has,
          put: Effect.fn("ArtifactStore.put")(function* (format, bytes) {
            const ref: ArtifactRef = { digest: sha256(bytes), format, bytes: bytes.length }
            if (!(yield* has(ref))) yield* commit(objectPath(ref), bytes)
            return ref
          }),
          get: Effect.fn("ArtifactStore.get")(function* (ref) {
            const bytes = yield* read(objectPath(ref))
            if (Option.isNone(bytes)) {
              return yield* new DamagedArtifact({ digest: ref.digest, because: "is missing from the store" })
            }
            if (sha256(bytes.value) !== ref.digest) {
              const because = "has bytes that do not match its digest and was moved to quarantine"
              yield* quarantine(ref, because)
              return yield* new DamagedArtifact({ digest: ref.digest, because })
            }
            return bytes.value
          }),
          drop: (ref) => fs.remove(objectPath(ref), { force: true }).pipe(attempt("delete", objectPath(ref))),
          find: Effect.fn("ArtifactStore.find")(function* (prefix) {
            const directory = path.join(root, "objects", prefix.slice(0, 2))
            const names = yield* list(directory)
            const found = names.flatMap((name) => {
              const [digest, format] = name.split(".")
              return digest.startsWith(prefix) ? [{ digest, format, name }] : []
            })
            return yield* Effect.forEach(found, ({ digest, format, name }) =>
              fs.stat(path.join(directory, name)).pipe(
                Effect.flatMap(({ size }) =>
                  Schema.decodeUnknownEffect(ArtifactRef)({ digest, format, bytes: Number(size) }),
                ),
                attempt("read", path.join(directory, name)),
              ),
            )
          }),
          record: (stage, key) => readJson(recordPath(stage, key), StageRecordJson),
          commitRecord: (record) => writeJson(recordPath(record.stage, record.key), record),
          records: Effect.gen(function* () {
            const stages = yield* list(path.join(root, "records"))
            const files = yield* Effect.forEach(stages, (stage) =>
              list(path.join(root, "records", stage)).pipe(
                Effect.map((names) => names.map((name) => path.join(root, "records", stage, name))),
              ),
            )
            const records = yield* Effect.forEach(files.flat(), (file) => readJson(file, StageRecordJson))
            return records.flatMap(Option.toArray)
          }),
          cursor: Effect.fn("ArtifactStore.cursor")(function* (stage, key) {
            const directory = path.join(root, "cursors", stage, key)
            const entries = yield* Effect.forEach(yield* list(directory), (name) =>
              readJson(path.join(directory, name), JsonText),
            )
            const torn = entries.findIndex(Option.isNone)
            return entries.slice(0, torn === -1 ? entries.length : torn).flatMap(Option.toArray)
          }),
          advance: (stage, key, position, entry) => {
            const name = `${String(position).padStart(8, "0")}.json`
            return writeJson(path.join(root, "cursors", stage, key, name), entry)
          },
        })
      }),
    )
}
