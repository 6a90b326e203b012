/**
 * The platform's file system, in which directories of buckets (`address.ts`) are the buckets themselves. So everything that is known of a store
 * holds for one in a bucket; of the order of things, too: blobs are there before the records that name them.
 *
 * Only blobs are kept on this machine as well, for they never change: they are read from here, and a bad one is had anew. What is being
 * written is here under its temporary name, and goes to the bucket in one piece when it gets its own.
 */
import { basename, dirname, join } from "node:path"
import * as ByteSize from "effect/ByteSize"
import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as Scope from "effect/Scope"
import { sha256 } from "../store/canonical.ts"
import { placeAt } from "./address.ts"
import { type Bucket, openBucket } from "./Bucket.ts"

/** Milliseconds between two times that a journal of so many bytes goes to the bucket: it goes whole. */
const uploadEvery = (bytes: number): number => Math.min(2_000 + bytes / 100, 30_000)

/** What is being written: `files.ts`. */
const isTemporary = (path: string): boolean => /^\..*\.tmp$/.test(basename(path))
const isBlob = (key: string): boolean => /(?:^|\/)objects\/[0-9a-f]{2}\/[0-9a-f]{64}\.[a-z]+$/.test(key)

const infoOf = (
  type: FileSystem.File.Type,
  bytes: number,
  mtime: Option.Option<Date>,
): FileSystem.File.Info => ({
  type,
  mtime,
  atime: Option.none(),
  birthtime: Option.none(),
  dev: 0n,
  ino: Option.none(),
  mode: 0o600,
  nlink: Option.none(),
  uid: Option.none(),
  gid: Option.none(),
  rdev: Option.none(),
  size: ByteSize.bytes(BigInt(bytes)),
  blksize: Option.none(),
  blocks: Option.none(),
})

export const bucketFiles = Layer.effect(
  FileSystem.FileSystem,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const scope = yield* Effect.scope

    const buckets = yield* Cache.make({
      capacity: Number.POSITIVE_INFINITY,
      lookup: (name: string) => Effect.orDie(Scope.provide(openBucket(name), scope)),
    })
    /** Directories that were made or seen: a bucket has none without anything in them, and asking for each write is slow. */
    const made = new Set<string>()

    /** What `there` does with the place of a path in a bucket, or `here` for any other path. */
    const at = <A, E>(
      path: string,
      here: Effect.Effect<A, E>,
      there: (bucket: Bucket, key: string) => Effect.Effect<A, E | PlatformError.PlatformError>,
    ): Effect.Effect<A, E | PlatformError.PlatformError> => {
      const place = isTemporary(path) ? undefined : placeAt(path)
      return place === undefined
        ? here
        : Effect.flatMap(Cache.get(buckets, place.bucket), (bucket) => there(bucket, place.key))
    }
    const below = (key: string): string => (key === "" ? "" : `${key}/`)
    const makeHere = (directory: string) => fs.makeDirectory(directory, { recursive: true })
    /** Keeps a blob on this machine. */
    const keep = Effect.fnUntraced(function* (path: string, bytes: Uint8Array) {
      const temporary = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}.tmp`)
      yield* makeHere(dirname(path))
      yield* fs.writeFile(temporary, bytes)
      yield* fs.rename(temporary, path)
    })
    const had = Effect.fnUntraced(function* (path: string, bucket: Bucket, key: string) {
      if (!isBlob(key)) return yield* bucket.get(key)
      const kept = yield* Effect.option(fs.readFile(path))
      if (Option.isSome(kept)) return kept.value
      const bytes = yield* bucket.get(key)
      // It is had, whether it can be kept or not.
      yield* Effect.ignore(keep(path, bytes))
      return bytes
    })
    const stat = (path: string, bucket: Bucket, key: string) =>
      Effect.gen(function* () {
        const directory = infoOf("Directory", 0, Option.none())
        if (made.has(path)) return directory
        const entry = key === "" ? Option.none() : yield* bucket.find(key)
        if (Option.isSome(entry)) return infoOf("File", entry.value.bytes, Option.some(entry.value.changedAt))
        if (yield* bucket.isEmpty(below(key))) {
          return yield* PlatformError.systemError({
            _tag: "NotFound",
            module: "Bucket",
            method: "stat",
            pathOrDescriptor: path,
          })
        }
        made.add(path)
        return directory
      })

    /** A file that grows, here and, every while and when it is closed, in the bucket. */
    const appended = Effect.fnUntraced(function* (path: string, bucket: Bucket, key: string) {
      yield* makeHere(dirname(path))
      const file = yield* fs.open(path, { flag: "a" })
      let isBehind = false
      let pause = uploadEvery(0)
      const upload = Effect.suspend(() => {
        if (!isBehind) return Effect.void
        isBehind = false
        return Effect.flatMap(fs.readFile(path), (bytes) => {
          pause = uploadEvery(bytes.length)
          return bucket.put(key, bytes)
        }).pipe(
          Effect.onError(() =>
            Effect.sync(() => {
              isBehind = true
            }),
          ),
        )
      })
      yield* Effect.addFinalizer(() => Effect.ignore(upload))
      yield* Effect.suspend(() => Effect.delay(Effect.ignore(upload), pause)).pipe(
        Effect.forever,
        Effect.forkScoped,
      )
      const noted = <A, E>(write: Effect.Effect<A, E>) =>
        Effect.tap(
          write,
          Effect.sync(() => {
            isBehind = true
          }),
        )
      return {
        [FileSystem.FileTypeId]: FileSystem.FileTypeId,
        stat: file.stat,
        sync: file.sync,
        seek: (offset, from) => file.seek(offset, from),
        read: (buffer, options) => file.read(buffer, options),
        readAlloc: (size, options) => file.readAlloc(size, options),
        truncate: (length) => noted(file.truncate(length)),
        write: (buffer) => noted(file.write(buffer)),
        writeAll: (buffer) => noted(file.writeAll(buffer)),
      } satisfies FileSystem.File
    })

    /** Puts a blob unless it is there, as far as its length tells. */
    const create = Effect.fnUntraced(function* (bucket: Bucket, key: string, bytes: Uint8Array) {
      if (yield* bucket.create(key, bytes)) return
      const there = yield* bucket.find(key)
      if (!Option.exists(there, (entry) => entry.bytes === bytes.length)) yield* bucket.put(key, bytes)
    })

    /** Moves what is in the bucket, and what is kept of it; where that alone is bad, the bucket's stays. */
    const move = Effect.fnUntraced(function* (from: string, to: string, bucket: Bucket, key: string) {
      const bytes = yield* had(from, bucket, key)
      yield* at(to, fs.writeFile(to, bytes), (bucket, key) => bucket.put(key, bytes))
      yield* fs.remove(from, { force: true })
      const isSame = Effect.map(bucket.get(key), (other) => sha256(other) === sha256(bytes))
      if (!isBlob(key) || (yield* Effect.catch(isSame, () => Effect.succeed(false))))
        yield* bucket.remove(key)
    })

    return FileSystem.make({
      ...fs,
      access: (path, options) =>
        at(path, fs.access(path, options), (bucket, key) => Effect.asVoid(stat(path, bucket, key))),
      stat: (path) => at(path, fs.stat(path), (bucket, key) => stat(path, bucket, key)),
      makeDirectory: (path, options) =>
        at(path, fs.makeDirectory(path, options), () => {
          made.add(path)
          return makeHere(path)
        }),
      readDirectory: (path, options) =>
        at(path, fs.readDirectory(path, options), (bucket, key) =>
          Effect.map(bucket[options?.recursive === true ? "listAll" : "list"](below(key)), (names) => [
            ...names,
          ]),
        ),
      readFile: (path) => at(path, fs.readFile(path), (bucket, key) => had(path, bucket, key)),
      writeFile: (path, bytes, options) =>
        at(path, fs.writeFile(path, bytes, options), (bucket, key) => bucket.put(key, bytes)),
      remove: (path, options) =>
        at(path, fs.remove(path, options), (bucket, key) => {
          if (!isBlob(key)) made.delete(dirname(path))
          return Effect.andThen(fs.remove(path, { force: true }), bucket.remove(key))
        }),
      utimes: (path, atime, mtime) =>
        at(path, fs.utimes(path, atime, mtime), (bucket, key) => bucket.touch(key)),
      rename: (from, to) =>
        at(
          from,
          at(to, fs.rename(from, to), (bucket, key) =>
            Effect.gen(function* () {
              const bytes = yield* fs.readFile(from)
              yield* isBlob(key) ? create(bucket, key, bytes) : bucket.put(key, bytes)
              yield* isBlob(key) ? fs.rename(from, to) : fs.remove(from)
            }),
          ),
          (bucket, key) => move(from, to, bucket, key),
        ),
      open: (path, options) =>
        Effect.suspend(() => {
          const place = placeAt(path)
          if (place === undefined) return fs.open(path, options)
          if (isTemporary(path)) return Effect.andThen(makeHere(dirname(path)), fs.open(path, options))
          return Effect.flatMap(Cache.get(buckets, place.bucket), (bucket) =>
            Effect.gen(function* () {
              if (options?.flag === "a") return yield* appended(path, bucket, place.key)
              const { type } = yield* stat(path, bucket, place.key)
              if (type === "Directory") yield* makeHere(path)
              else if (isBlob(place.key)) yield* had(path, bucket, place.key)
              else yield* keep(path, yield* bucket.get(place.key))
              return yield* fs.open(path, options)
            }),
          )
        }),
    })
  }),
)
