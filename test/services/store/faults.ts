/** A file system that fails on demand, to see what is left when a write does not come to its end. */
import { Effect, FileSystem, Layer, PlatformError } from "effect"

export interface Faults {
  /** Operations so far, by name. */
  readonly operations: Array<string>
  /** The operation, counted from 1, that fails; none if undefined. */
  failing?: number | undefined
  /** Whether every later operation fails too, as after the death of the process. */
  forGood: boolean
  /** Whether the times of files may not be set, as of another user's. */
  withoutTimes?: boolean
}

export const noFaults = (): Faults => ({ operations: [], forGood: false })

/** The platform's file system; operations that change files, and the look before, are counted and may fail. */
export const faultyFileSystem = (faults: Faults) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      /** Counts an operation; the failing one is replaced by what remains of it. */
      const counted = <A, E, R>(
        method: string,
        operation: Effect.Effect<A, E, R>,
        remains: Effect.Effect<unknown, E> = Effect.void,
      ) =>
        Effect.suspend((): Effect.Effect<A, E | PlatformError.PlatformError, R> => {
          const number = faults.operations.push(method)
          const { failing, forGood } = faults
          if (failing === undefined || number < failing || (number > failing && !forGood)) return operation
          const error = PlatformError.systemError({ _tag: "WriteZero", module: "FileSystem", method })
          return Effect.andThen(number === failing ? remains : Effect.void, Effect.fail(error))
        })
      const countedFile = (file: FileSystem.File): FileSystem.File => ({
        ...file,
        sync: counted("sync", file.sync),
        // A write that fails has written half.
        writeAll: (bytes) =>
          counted("write", file.writeAll(bytes), file.writeAll(bytes.subarray(0, bytes.length / 2))),
      })
      return FileSystem.FileSystem.of({
        ...fs,
        stat: (path) => counted("stat", fs.stat(path)),
        makeDirectory: (path, options) => counted("mkdir", fs.makeDirectory(path, options)),
        open: (path, options) =>
          Effect.map(
            counted(options?.flag === "r" ? "open to read" : "open to write", fs.open(path, options)),
            countedFile,
          ),
        rename: (from, to) => counted("rename", fs.rename(from, to)),
        utimes: (path, atime, mtime) =>
          faults.withoutTimes === true
            ? Effect.fail(
                PlatformError.systemError({
                  _tag: "PermissionDenied",
                  module: "FileSystem",
                  method: "utimes",
                }),
              )
            : fs.utimes(path, atime, mtime),
        remove: (path, options) => counted("remove", fs.remove(path, options)),
      })
    }),
  )
