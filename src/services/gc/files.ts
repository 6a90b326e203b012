/** The files of a store as a garbage collection sees them: listed with size and time, deleted only as they were listed. */
import { rmdir } from "node:fs/promises"
import { Effect, FileSystem, Option, Path, type PlatformError } from "effect"
import { ArtifactStore, StoreFailure } from "../ArtifactStore.ts"
import { cursorPath, directories, type Place, placeOf } from "../store/layout.ts"

export interface StoredFile {
  /** Below the store's root, its names parted by `/`. */
  readonly path: string
  readonly place: Place
  readonly bytes: number
  /** Milliseconds since 1970, by the clock of the file system. */
  readonly changedAt: number
}

const changedAt = ({ mtime }: FileSystem.File.Info): number =>
  Option.match(mtime, { onNone: () => 0, onSome: (time) => time.getTime() })

const failed = (operation: string, path: string) =>
  Effect.mapError((cause: unknown) => new StoreFailure({ operation, path, cause }))

type Listing = Effect.Effect<
  ReadonlyArray<StoredFile>,
  PlatformError.PlatformError,
  FileSystem.FileSystem | Path.Path
>

/** The files at `path` below a root, hidden ones too; what goes away meanwhile is left out. */
const filesAt = (root: string, path: string): Listing =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const target = join(root, path)
    const info = yield* fs.stat(target)
    if (info.type === "File") {
      const place = placeOf(path)
      return place === undefined
        ? []
        : [{ path, place, bytes: Number(info.size), changedAt: changedAt(info) }]
    }
    if (info.type !== "Directory") return []
    const names = (yield* fs.readDirectory(target)).sort()
    const found = yield* Effect.forEach(names, (name) => filesAt(root, `${path}/${name}`), { concurrency: 8 })
    return found.flat()
  }).pipe(Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed([])))

/** Every file that a collection may delete. */
export const storedFiles = Effect.gen(function* () {
  const { root } = yield* ArtifactStore
  const found = yield* Effect.forEach(directories, (name) => filesAt(root, name)).pipe(failed("list", root))
  return found.flat()
})

/** Deletes a file, and says that it is gone; one that was changed since it was listed stays. */
export const removeFile = Effect.fn("removeFile")(function* (file: StoredFile) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const path = join((yield* ArtifactStore).root, file.path)
  return yield* Effect.gen(function* () {
    if (changedAt(yield* fs.stat(path)) !== file.changedAt) return false
    yield* fs.remove(path)
    return true
  }).pipe(
    Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(true)),
    failed("delete", path),
  )
})

/** Removes the directories of cursors without entries while `isQuiet`: a writer expects one that it has seen to stay. */
export const removeEmptyCursors = Effect.fn("removeEmptyCursors")(function* <E>(
  isQuiet: Effect.Effect<boolean, E>,
) {
  const { cursorNames, root } = yield* ArtifactStore
  const { join } = yield* Path.Path
  for (const name of yield* cursorNames) {
    if (!(yield* isQuiet)) return
    // Fails where there are entries.
    yield* Effect.ignore(Effect.tryPromise(() => rmdir(join(root, cursorPath(name)))))
  }
})
