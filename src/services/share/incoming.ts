/**
 * Files on their way into a store: all become visible together once everything is known to be right, or none does.
 * Whatever is not visible when the scope closes is gone, with the directories that were made for it. Until then the process
 * is known to be at work, so that a garbage collection beside leaves its files alone.
 */
import { rmdir } from "node:fs/promises"
import { Context, Effect, FileSystem, Layer, Path, type PlatformError, type Scope } from "effect"
import { ArtifactStore, StoreFailure } from "../ArtifactStore.ts"
import { Leases } from "../Leases.ts"
import { makeDirectories, stageFile, syncDirectory } from "../store/files.ts"
import { directories } from "../store/layout.ts"

/** A file that has a temporary name so far. */
interface Staged {
  readonly target: string
  readonly rename: Effect.Effect<void, StoreFailure>
}

export interface Incoming {
  /** Writes what will be the content of `path`. */
  readonly stage: <E, R>(
    path: string,
    write: (writeAll: (bytes: Uint8Array) => Effect.Effect<void, StoreFailure>) => Effect.Effect<void, E, R>,
  ) => Effect.Effect<Staged, E | StoreFailure, R>
  /** Durably gives files their names; those that are named by others go first. If that fails, none has its name. */
  readonly publish: (files: ReadonlyArray<Staged>) => Effect.Effect<void, StoreFailure>
}

export const incoming = Effect.fn("incoming")(function* (command: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const store = yield* ArtifactStore
  const services = yield* Effect.context<FileSystem.FileSystem | Path.Path | Scope.Scope>()
  const failed = (target: string) =>
    Effect.mapError(
      (cause: PlatformError.PlatformError) => new StoreFailure({ operation: "write", path: target, cause }),
    )
  const made = new Set<string>()
  // Only what is empty can be removed so: files of others are safe.
  yield* Effect.addFinalizer(() =>
    Effect.forEach([...made].reverse(), (directory) =>
      Effect.ignore(Effect.tryPromise(() => rmdir(directory))),
    ),
  )
  const remember = (directory: string): Effect.Effect<void, PlatformError.PlatformError> =>
    Effect.gen(function* () {
      if (made.has(directory) || (yield* fs.exists(directory))) return
      yield* remember(path.dirname(directory))
      made.add(directory)
    })
  const makeDirectory = (directory: string) =>
    Effect.andThen(remember(directory), makeDirectories(directory)).pipe(
      Effect.provideContext(services),
      failed(directory),
    )

  for (const name of directories) yield* remember(path.join(store.root, name)).pipe(failed(store.root))
  yield* store.requireWritable
  // Its signs go when the scope closes, before the directories.
  const leases = Context.get(yield* Layer.build(Layer.fresh(Leases.layer(command))), Leases)
  yield* leases.take("import", command)

  const stage: Incoming["stage"] = Effect.fnUntraced(function* (target, write) {
    yield* makeDirectory(path.dirname(target))
    const rename = yield* stageFile(target, (file) =>
      write((bytes) => failed(target)(file.writeAll(bytes))),
    ).pipe(
      Effect.catchTag("PlatformError", (cause) =>
        Effect.fail(new StoreFailure({ operation: "write", path: target, cause })),
      ),
      Effect.provideContext(services),
    )
    return { target, rename: failed(target)(rename) }
  })
  /** What has its name by now. */
  const named: Array<string> = []
  const publish: Incoming["publish"] = Effect.fnUntraced(
    function* (files) {
      for (const { target, rename } of files) {
        yield* rename
        named.push(target)
      }
      for (const directory of new Set(files.map(({ target }) => path.dirname(target)))) {
        yield* syncDirectory(directory).pipe(Effect.provideContext(services), failed(directory))
      }
    },
    Effect.onError(() =>
      Effect.forEach(named.toReversed(), (target) => Effect.ignore(fs.remove(target, { force: true }))),
    ),
  )
  return { stage, publish }
})
