/**
 * The content-addressed artifact store.
 *
 *     objects/<first two>/<digest>.<format>   immutable blobs, named by their SHA-256
 *     records/<stage>/<key>.json              what a stage returned under a key, with the key's pre-image
 *     cursors/<stage>/<key>/<position>.json   how far a resumable stage came
 *     quarantine/                             what did not hold what its name says, with the cause
 *
 * A record never names bytes that are not on disk. Readers verify digests: those of blobs, and those that records and
 * entries carry of themselves. Knows no stage.
 */
import {
  Context,
  DateTime,
  Effect,
  FileSystem,
  Layer,
  Option,
  Path,
  PlatformError,
  Result,
  Schema,
} from "effect"
import { ArtifactRef, type Format } from "./Artifact.ts"
import { isAddress, nameOf } from "./bucket/address.ts"
import { Grade } from "./Grade.ts"
import { sha256 } from "./store/canonical.ts"
import { commitFile, makeDirectories, moveFile } from "./store/files.ts"
import * as layout from "./store/layout.ts"
import { sealed, unsealed } from "./store/sealed.ts"

/** The store cannot be used: `operation` on `path` failed. */
export class StoreFailure extends Schema.TaggedError<StoreFailure>()("StoreFailure", {
  operation: Schema.String,
  path: Schema.String,
  cause: Schema.Defect(),
}) {
  override get message() {
    const name = nameOf(this.path)
    const advice = isAddress(name)
      ? "check the bucket's name, AWS_ENDPOINT_URL_S3 and the credentials, or choose another store with --store"
      : "make room and check permissions, or choose another directory with --store DIR"
    return `cannot ${this.operation} ${name}: ${describeCause(this.cause)}; ${advice}`
  }
}

/** A blob, record or entry is missing or not what its name promises; a bad one was moved to quarantine. */
export class DamagedArtifact extends Schema.TaggedError<DamagedArtifact>()("DamagedArtifact", {
  /** What it is, such as `artifact 3fa9c1…`. */
  name: Schema.String,
  because: Schema.String,
}) {
  override get message() {
    return `${this.name} ${this.because}; run again to recompute it`
  }
}

export type StoreError = StoreFailure | DamagedArtifact

const describeCause = (cause: unknown): string => {
  if (PlatformError.isPlatformError(cause)) {
    const { _tag, cause: system } = cause.reason
    // Such as `ENOSPC: no space left on device, write`: the platform has no name for it, the operating system has.
    return _tag === "Unknown" && system instanceof Error ? system.message.split(", ")[0] : _tag
  }
  return cause instanceof Error ? cause.message : String(cause)
}

/** What is stored under a key. `output` is the stage's encoded output; `preimage` is what the key digests. */
export const StageRecord = Schema.Struct({
  stage: Schema.String,
  key: Schema.String,
  preimage: Schema.Unknown,
  /** Names the cursor that it was computed on. */
  cursor: Schema.String,
  output: Schema.Unknown,
  provenance: Schema.Struct({
    committedAt: Schema.String,
    seconds: Schema.Finite,
    machine: Schema.String,
    node: Schema.String,
    /** What a reader must know before using it, such as that it comes from a smoke run. */
    note: Schema.optionalKey(Schema.String),
    /** It was computed by other code, under the key `from`; a person said why that does not matter. */
    accepted: Schema.optionalKey(
      Schema.Struct({ from: Schema.String, because: Schema.String, at: Schema.String }),
    ),
    /** It was computed again, to see how well it is determined: `rerun.ts`. */
    determinism: Schema.optionalKey(
      Schema.Struct({ grade: Grade, at: Schema.String, machine: Schema.String }),
    ),
    /** It came in an archive whose manifest has the digest `from`. */
    imported: Schema.optionalKey(Schema.Struct({ from: Schema.String, at: Schema.String })),
  }),
})
export type StageRecord = typeof StageRecord.Type

export type StoreName = layout.StoreName

/** Entry of a cursor as it is written: `entry`, and where it belongs. */
const CursorEntry = Schema.Struct({ cursor: Schema.String, position: Schema.Int, entry: Schema.Unknown })

/** A file is there, and bad. */
class Bad extends Schema.TaggedError<Bad>()("Bad", { because: Schema.String }) {}

const utf8 = new TextDecoder()
const decodeRecord = Schema.decodeUnknownOption(StageRecord)
const decodeEntry = Schema.decodeUnknownOption(CursorEntry)
const decodeRef = Schema.decodeUnknownOption(ArtifactRef)

export class ArtifactStore extends Context.Service<
  ArtifactStore,
  {
    readonly root: string
    /** The file of a blob. */
    readonly pathOf: (ref: ArtifactRef) => string
    /** Makes the store's directory and checks that files can be written in it. */
    readonly requireWritable: Effect.Effect<void, StoreFailure>
    /** Stores a blob, the parts one after another; equal bytes are stored once, with the time of the last put. */
    readonly put: (
      format: Format,
      ...parts: ReadonlyArray<Uint8Array>
    ) => Effect.Effect<ArtifactRef, StoreFailure>
    /** The bytes of a blob, verified. */
    readonly get: (ref: ArtifactRef) => Effect.Effect<Uint8Array, StoreError>
    /** Whether the blob is there with its full length (its digest is verified when it is read). */
    readonly has: (ref: ArtifactRef) => Effect.Effect<boolean, StoreFailure>
    /** Deletes a blob that nothing refers to any more. */
    readonly drop: (ref: ArtifactRef) => Effect.Effect<void, StoreFailure>
    /** Blobs whose digest starts with `prefix`, by name and size alone; all of them for an empty one. */
    readonly find: (prefix: string) => Effect.Effect<ReadonlyArray<ArtifactRef>, StoreFailure>
    /** The record of a key; none where there is none. */
    readonly record: (stage: string, key: string) => Effect.Effect<Option.Option<StageRecord>, StoreError>
    readonly commitRecord: (record: StageRecord) => Effect.Effect<void, StoreFailure>
    /** All records of the store but damaged ones. */
    readonly records: Effect.Effect<ReadonlyArray<StageRecord>, StoreFailure>
    /** Stage and key of each record file, whether it can be read or not. */
    readonly recordNames: Effect.Effect<ReadonlyArray<StoreName>, StoreFailure>
    /** Stage and key of each cursor. */
    readonly cursorNames: Effect.Effect<ReadonlyArray<StoreName>, StoreFailure>
    /** The entries of a cursor, in order, up to a damaged one; that is moved to quarantine. */
    readonly cursor: (stage: string, key: string) => Effect.Effect<ReadonlyArray<unknown>, StoreFailure>
    /** How many entries a cursor has, by their names alone. */
    readonly countEntries: (stage: string, key: string) => Effect.Effect<number, StoreFailure>
    /** Reads every entry of a cursor, and fails at the first damaged one. */
    readonly checkCursor: (stage: string, key: string) => Effect.Effect<void, StoreError>
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
        const commit = (target: string, ...parts: ReadonlyArray<Uint8Array>) =>
          commitFile(target, ...parts).pipe(Effect.provideContext(services), attempt("write", target))
        const list = (target: string) =>
          fs.readDirectory(target).pipe(
            Effect.map((names) => names.filter((name) => !name.startsWith(".")).sort()),
            Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed([])),
            attempt("list", target),
          )
        /** A file's bytes; none where it does not exist. */
        const read = (target: string): Effect.Effect<Option.Option<Uint8Array>, Bad | StoreFailure> =>
          fs.readFile(target).pipe(
            Effect.map((bytes) => Option.some<Uint8Array>(bytes)),
            Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(Option.none<Uint8Array>())),
            Effect.mapError((cause) =>
              cause.reason._tag === "PermissionDenied"
                ? new Bad({ because: "may not be read" })
                : new StoreFailure({ operation: "read", path: target, cause }),
            ),
          )
        /** A sealed document that fulfils `is`; none where there is none. */
        const readDocument = Effect.fnUntraced(function* <A>(
          target: string,
          decode: (content: unknown) => Option.Option<A>,
          is: (content: A) => boolean,
        ) {
          const bytes = yield* read(target)
          if (Option.isNone(bytes)) return Option.none<A>()
          const content = unsealed(utf8.decode(bytes.value)).pipe(Option.flatMap(decode), Option.filter(is))
          return Option.isSome(content)
            ? content
            : yield* new Bad({ because: "is not what was written there" })
        })
        /** Moves a bad file to quarantine, with the cause, and fails with its name. */
        const quarantined =
          (name: string, target: string) =>
          <A>(reading: Effect.Effect<A, Bad | StoreFailure>) =>
            Effect.catchTag(
              reading,
              "Bad",
              Effect.fnUntraced(function* ({ because }) {
                const to = path.join(
                  root,
                  "quarantine",
                  path.relative(root, target).replaceAll(path.sep, "."),
                )
                yield* moveFile(target, to).pipe(
                  // Another reader was faster.
                  Effect.catchReason("PlatformError", "NotFound", () => Effect.void),
                  Effect.provideContext(services),
                  attempt("quarantine", target),
                )
                yield* writeDocument(`${to}.cause.json`, { file: path.relative(root, target), because })
                return yield* new DamagedArtifact({
                  name,
                  because: `${because} and was moved to quarantine`,
                })
              }),
            )
        const writeDocument = (target: string, content: Readonly<Record<string, unknown>>) =>
          commit(target, new TextEncoder().encode(sealed(content)))

        const objectPath = (ref: ArtifactRef) => path.join(root, layout.artifactPath(ref))
        const recordPath = (stage: string, key: string) => path.join(root, layout.recordPath({ stage, key }))

        const has = Effect.fnUntraced(function* (ref: ArtifactRef) {
          const target = objectPath(ref)
          return yield* fs.stat(target).pipe(
            Effect.map((info) => Number(info.size) === ref.bytes),
            Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(false)),
            attempt("read", target),
          )
        })

        /**
         * Makes the time of a blob that is there now, so that a garbage collection beside sees that it is wanted. False
         * where it is not there, or is another user's: then it is written.
         */
        const renew = Effect.fnUntraced(function* (ref: ArtifactRef) {
          if (!(yield* has(ref))) return false
          const now = DateTime.toDateUtc(yield* DateTime.now)
          return yield* fs.utimes(objectPath(ref), now, now).pipe(
            Effect.as(true),
            Effect.catchTag("PlatformError", () => Effect.succeed(false)),
          )
        })

        const nameOf = ({ digest }: ArtifactRef) => `artifact ${digest.slice(0, 12)}`
        const readRecord = (stage: string, key: string) =>
          readDocument(
            recordPath(stage, key),
            decodeRecord,
            (record) => record.stage === stage && record.key === key,
          )

        const cursorPath = (stage: string, key: string) => path.join(root, layout.cursorPath({ stage, key }))
        const readEntry = (stage: string, key: string, file: string) => {
          const target = path.join(cursorPath(stage, key), file)
          return readDocument(
            target,
            decodeEntry,
            ({ cursor, position }) => cursor === key && file === layout.entryName(position),
          ).pipe(
            Effect.map(Option.map(({ entry }) => entry)),
            quarantined(`entry ${file} of cursor ${key.slice(0, 12)} of ${stage}`, target),
          )
        }

        /** What is named by a directory for each stage, and one file or directory for each key. */
        const namesBelow = (kind: "records" | "cursors") =>
          Effect.gen(function* () {
            const stages = yield* list(path.join(root, kind))
            const names = yield* Effect.forEach(stages, (stage) =>
              Effect.map(list(path.join(root, kind, stage)), (files) =>
                files.map((file): StoreName => ({ stage, key: path.basename(file, ".json") })),
              ),
            )
            return names.flat()
          })
        const recordNames = namesBelow("records")

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
          put: Effect.fn("ArtifactStore.put")(function* (format, ...parts) {
            const bytes = parts.reduce((length, part) => length + part.length, 0)
            const ref: ArtifactRef = { digest: sha256(...parts), format, bytes }
            if (!(yield* renew(ref))) yield* commit(objectPath(ref), ...parts)
            return ref
          }),
          get: Effect.fn("ArtifactStore.get")(function* (ref) {
            const name = nameOf(ref)
            const bytes = yield* read(objectPath(ref)).pipe(
              Effect.filterOrFail(
                (bytes) => Option.isNone(bytes) || sha256(bytes.value) === ref.digest,
                () => new Bad({ because: "has bytes that do not match its digest" }),
              ),
              quarantined(name, objectPath(ref)),
            )
            if (Option.isSome(bytes)) return bytes.value
            return yield* new DamagedArtifact({ name, because: "is missing from the store" })
          }),
          drop: (ref) => fs.remove(objectPath(ref), { force: true }).pipe(attempt("delete", objectPath(ref))),
          find: Effect.fn("ArtifactStore.find")(function* (prefix) {
            const directories = (yield* list(path.join(root, "objects")))
              .filter((name) => name.startsWith(prefix.slice(0, 2)))
              .map((name) => path.join(root, "objects", name))
            const files = yield* Effect.forEach(directories, (directory) =>
              Effect.map(list(directory), (names) => names.map((name) => path.join(directory, name))),
            )
            const found = files.flat().filter((file) => path.basename(file).startsWith(prefix))
            return yield* Effect.forEach(found, (file) => {
              const [digest, format] = path.basename(file).split(".")
              return fs.stat(file).pipe(
                Effect.map(({ size }) => decodeRef({ digest, format, bytes: Number(size) })),
                attempt("read", file),
              )
            }).pipe(Effect.map((refs) => refs.flatMap(Option.toArray)))
          }),
          record: (stage, key) =>
            quarantined(
              `record ${key.slice(0, 12)} of ${stage}`,
              recordPath(stage, key),
            )(readRecord(stage, key)),
          commitRecord: (record) => writeDocument(recordPath(record.stage, record.key), record),
          records: Effect.gen(function* () {
            const records = yield* Effect.forEach(yield* recordNames, ({ stage, key }) =>
              Effect.catchTag(readRecord(stage, key), "Bad", () =>
                Effect.succeed(Option.none<StageRecord>()),
              ),
            )
            return records.flatMap(Option.toArray)
          }),
          recordNames,
          cursorNames: namesBelow("cursors"),
          cursor: Effect.fn("ArtifactStore.cursor")(function* (stage, key) {
            const entries: Array<unknown> = []
            for (const file of yield* list(cursorPath(stage, key))) {
              const read = yield* Effect.result(readEntry(stage, key, file))
              if (Result.isSuccess(read)) entries.push(...Option.toArray(read.success))
              else if (read.failure instanceof DamagedArtifact) break
              else return yield* read.failure
            }
            return entries
          }),
          countEntries: (stage, key) => Effect.map(list(cursorPath(stage, key)), ({ length }) => length),
          checkCursor: (stage, key) =>
            Effect.flatMap(list(cursorPath(stage, key)), (files) =>
              Effect.forEach(files, (file) => readEntry(stage, key, file), { discard: true }),
            ),
          advance: (stage, key, position, entry) =>
            writeDocument(path.join(cursorPath(stage, key), layout.entryName(position)), {
              cursor: key,
              position,
              entry,
            }),
        })
      }),
    )
}
