/**
 * Durable files: what a path names is either absent, the old bytes or the new bytes, also after a power cut.
 *
 * Temp file in the same directory → fsync → rename → fsync of the directory.
 */
import { Effect, FileSystem, Path, type PlatformError } from "effect"

let serial = 0

const syncDirectory = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  yield* Effect.scoped(Effect.flatMap(fs.open(path, { flag: "r" }), (directory) => directory.sync))
})

/** Atomically and durably makes `bytes` the content of `path`; makes its directory where it is missing. */
export const commitFile = Effect.fn("commitFile")(function* (
  path: string,
  bytes: Uint8Array,
): Effect.fn.Return<void, PlatformError.PlatformError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const { dirname, basename, join } = yield* Path.Path
  const directory = dirname(path)
  const temporary = join(directory, `.${basename(path)}.${process.pid}.${serial++}.tmp`)
  yield* fs.makeDirectory(directory, { recursive: true })
  yield* Effect.scoped(
    Effect.gen(function* () {
      const file = yield* fs.open(temporary, { flag: "w" })
      yield* file.writeAll(bytes)
      yield* file.sync
    }),
  ).pipe(
    Effect.andThen(fs.rename(temporary, path)),
    Effect.onError(() => Effect.ignore(fs.remove(temporary))),
    Effect.uninterruptible,
  )
  yield* syncDirectory(directory)
})
