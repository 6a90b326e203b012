/** A file system that fails on demand, to see what is left when an operation does not come to its end. */
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

/** What Linux tells about this process, with another start: whoever looks for that process finds that it is gone. */
const ofAnotherProcess = (stat: Uint8Array): Uint8Array => {
  const line = new TextDecoder().decode(stat)
  const afterName = line.lastIndexOf(")") + 2
  const fields = line.slice(afterName).split(" ")
  return new TextEncoder().encode(`${line.slice(0, afterName)}${fields.with(19, "1").join(" ")}`)
}

/**
 * The platform's file system, whose every operation is counted and may fail: those that look as well as those that
 * change. Whoever uses it counts as a process of its own, which is dead to all others.
 */
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
      // A write that fails has written half.
      const halfOf = (bytes: Uint8Array) => bytes.subarray(0, bytes.length / 2)
      const countedFile = (file: FileSystem.File): FileSystem.File => ({
        ...file,
        // Methods of a class, which are not spread.
        seek: (offset, from) => file.seek(offset, from),
        readAlloc: (size, options) => counted("read piece", file.readAlloc(size, options)),
        sync: counted("sync", file.sync),
        writeAll: (bytes) => counted("write", file.writeAll(bytes), file.writeAll(halfOf(bytes))),
      })
      const own = `/proc/${process.pid}/stat`
      return FileSystem.make({
        ...fs,
        access: (path, options) => counted("access", fs.access(path, options)),
        chmod: (path, mode) => counted("chmod", fs.chmod(path, mode)),
        copy: (from, to, options) => counted("copy", fs.copy(from, to, options)),
        copyFile: (from, to) => counted("copy", fs.copyFile(from, to)),
        link: (from, to) => counted("link", fs.link(from, to)),
        lstat: (path) => counted("stat", fs.lstat(path)),
        makeDirectory: (path, options) => counted("mkdir", fs.makeDirectory(path, options)),
        open: (path, options) =>
          Effect.map(
            counted(options?.flag === "r" ? "open to read" : "open to write", fs.open(path, options)),
            countedFile,
          ),
        readDirectory: (path, options) => counted("list", fs.readDirectory(path, options)),
        readDirectoryEntries: (path) => counted("list", fs.readDirectoryEntries(path)),
        readFile: (path) => {
          const read = fs.readFile(path)
          return counted("read", path === own ? Effect.map(read, ofAnotherProcess) : read)
        },
        readLink: (path) => counted("read link", fs.readLink(path)),
        realPath: (path) => counted("real path", fs.realPath(path)),
        remove: (path, options) => counted("remove", fs.remove(path, options)),
        rename: (from, to) => counted("rename", fs.rename(from, to)),
        stat: (path) => counted("stat", fs.stat(path)),
        symlink: (from, to) => counted("symlink", fs.symlink(from, to)),
        truncate: (path, length) => counted("truncate", fs.truncate(path, length)),
        utimes: (path, atime, mtime) =>
          faults.withoutTimes === true
            ? Effect.fail(
                PlatformError.systemError({
                  _tag: "PermissionDenied",
                  module: "FileSystem",
                  method: "utimes",
                }),
              )
            : counted("utimes", fs.utimes(path, atime, mtime)),
        writeFile: (path, bytes, options) =>
          counted(
            "write file",
            fs.writeFile(path, bytes, options),
            fs.writeFile(path, halfOf(bytes), options),
          ),
      })
    }),
  )
