/**
 * Durable files: what a path names is either absent, the old bytes or the new bytes, also after a power cut.
 *
 * Temp file in the same directory → fsync → rename → fsync of the directory.
 */
import { randomUUID } from "node:crypto"
import { Effect, FileSystem, Path, type PlatformError, Scope } from "effect"

/** This thread among all that may write to the same directory: process numbers are those of a machine, or of a container. */
const writer = randomUUID()
let serial = 0

/** A name beside `path` that no other writer has, and that readers of directories pass over. */
const temporaryName = (path: string) =>
  Effect.map(Path.Path, ({ dirname, basename, join }) =>
    join(dirname(path), `.${basename(path)}.${writer}.${serial++}.tmp`),
  )

export const syncDirectory = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  yield* Effect.scoped(Effect.flatMap(fs.open(path, { flag: "r" }), (directory) => directory.sync))
})

/**
 * Makes a directory and those above it, one by one: asked to do it recursively where the file system refuses
 * (such as below /proc), Node never returns.
 */
export const makeDirectories = (
  path: string,
): Effect.Effect<void, PlatformError.PlatformError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { dirname } = yield* Path.Path
    if (yield* fs.exists(path)) return
    yield* makeDirectories(dirname(path))
    yield* fs.makeDirectory(path).pipe(
      Effect.andThen(syncDirectory(dirname(path))),
      Effect.catchReason("PlatformError", "AlreadyExists", () => Effect.void), // another process was faster
    )
  })

/** Atomically and durably makes `parts`, one after another, the content of `path`; makes its directory where it is missing. */
export const commitFile = Effect.fn("commitFile")(function* (
  path: string,
  ...parts: ReadonlyArray<Uint8Array>
): Effect.fn.Return<void, PlatformError.PlatformError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  const directory = dirname(path)
  const temporary = yield* temporaryName(path)
  yield* makeDirectories(directory)
  yield* Effect.scoped(
    Effect.gen(function* () {
      const file = yield* fs.open(temporary, { flag: "w" })
      for (const part of parts) yield* file.writeAll(part)
      yield* file.sync
    }),
  ).pipe(
    Effect.andThen(fs.rename(temporary, path)),
    Effect.onError(() => Effect.ignore(fs.remove(temporary))),
    Effect.uninterruptible,
  )
  yield* syncDirectory(directory)
})

/**
 * Durably writes what will be the content of `path`, in a directory that is there, under a temporary name, which is gone
 * when the scope closes. Returns what gives it its name; that lasts once the directory is synced too.
 */
export const stageFile = Effect.fn("stageFile")(function* <E, R>(
  path: string,
  write: (file: FileSystem.File) => Effect.Effect<void, E, R>,
): Effect.fn.Return<
  Effect.Effect<void, PlatformError.PlatformError>,
  E | PlatformError.PlatformError,
  R | FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const fs = yield* FileSystem.FileSystem
  const temporary = yield* temporaryName(path)
  yield* Effect.addFinalizer(() => Effect.ignore(fs.remove(temporary, { force: true })))
  yield* Effect.scopedWith((scope) =>
    Effect.gen(function* () {
      const file = yield* Scope.provide(fs.open(temporary, { flag: "w" }), scope)
      yield* write(file)
      yield* file.sync
    }),
  )
  return fs.rename(temporary, path)
})

/**
 * Moves a file where nothing may happen to it. Where the file system cannot rename across directories, it is copied, and
 * the old name goes last.
 */
export const moveFile = Effect.fn("moveFile")(function* (
  from: string,
  to: string,
): Effect.fn.Return<void, PlatformError.PlatformError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  yield* makeDirectories(dirname(to))
  const copied = Effect.flatMap(fs.readFile(from), (bytes) => commitFile(to, bytes))
  yield* fs.rename(from, to).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag !== "NotFound",
      () => Effect.andThen(copied, fs.remove(from)),
    ),
  )
  yield* syncDirectory(dirname(from))
})
