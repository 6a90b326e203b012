/**
 * The platform's file system, whose short operations stay in the thread: what is there, what a small file holds, and the changes
 * that wait for no disk. By way of the thread pool each takes several times as long, and a run that finds everything stored, or
 * a worker of a cluster between two stages, does nothing else.
 *
 * Only where the file system is this machine's: one of a network may never answer, and a thread that waits for it hears no Ctrl-C.
 */
import {
  accessSync,
  type BigIntStats,
  closeSync,
  constants,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs"
import { statfs } from "node:fs/promises"
import { dirname } from "node:path"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"

/** Bytes; larger files are read by way of the thread pool, so that others get a turn meanwhile. */
const SMALL = 1_000_000

/** Where small files are read to, one at a time. */
const scratch = new Uint8Array(SMALL)

/** File systems of a machine's own, by the numbers that Linux gives them; the last are those of memory and of the kernel. */
const LOCAL: ReadonlySet<number> = new Set([
  ...[0xef53, 0x58465342, 0x9123683e, 0x2fc12fc1, 0xf2f52010, 0xca451a4e, 0x794c7630], // ext, XFS, Btrfs, ZFS, F2FS, bcachefs, overlay
  ...[0x01021994, 0x858458f6, 0x9fa0, 0x62656572],
])

const isMissing = (cause: unknown): boolean => Predicate.hasProperty(cause, "code") && cause.code === "ENOENT"

/** Whether a directory, where it was asked, is of such a file system. Off Linux all are taken for that. */
const known = new Map<string, boolean>()
const isKnown = (directory: string): boolean | undefined =>
  process.platform === "linux" ? known.get(directory) : true

/**
 * Asks it of a directory, by way of the thread pool: it may not answer. One that is not there would be made where its parent is; of
 * one that cannot be asked nothing is remembered.
 */
const ask = Effect.fnUntraced(function* (directory: string): Effect.fn.Return<boolean> {
  const found = yield* Effect.result(Effect.tryPromise(() => statfs(directory)))
  const parent = dirname(directory)
  if (Result.isFailure(found) && (!isMissing(found.failure.cause) || parent === directory)) return false
  const isLocal = Result.isSuccess(found)
    ? LOCAL.has(found.success.type)
    : (isKnown(parent) ?? (yield* ask(parent)))
  known.set(directory, isLocal)
  return isLocal
})

const typeOf = (stats: BigIntStats): FileSystem.File.Type => {
  if (stats.isFile()) return "File"
  if (stats.isDirectory()) return "Directory"
  return stats.isSymbolicLink() ? "SymbolicLink" : "Unknown"
}

const infoOf = (stats: BigIntStats): FileSystem.File.Info => ({
  type: typeOf(stats),
  mtime: Option.some(stats.mtime),
  atime: Option.some(stats.atime),
  birthtime: Option.some(stats.birthtime),
  dev: stats.dev,
  ino: Option.some(stats.ino),
  mode: Number(stats.mode),
  nlink: Option.some(stats.nlink),
  uid: Option.some(Number(stats.uid)),
  gid: Option.some(Number(stats.gid)),
  rdev: Option.some(stats.rdev),
  size: ByteSize.bytes(stats.size),
  blksize: Option.some(ByteSize.bytes(stats.blksize)),
  blocks: Option.some(stats.blocks),
})

/**
 * What `quick` comes to in this thread; where it returns nothing or throws, or may not return, `slow` does it or tells why not.
 * That something is not there is told at once: most of what is looked for is not.
 */
const quickly = <A>(
  method: string,
  path: string,
  quick: () => Effect.Effect<A> | undefined,
  slow: Effect.Effect<A, PlatformError.PlatformError>,
): Effect.Effect<A, PlatformError.PlatformError> =>
  Effect.suspend(() => {
    const directory = dirname(path)
    // The path itself may be where a file system is mounted.
    const isLocal = isKnown(path) ?? isKnown(directory)
    if (isLocal === undefined) {
      return Effect.flatMap(ask(directory), (is) => (is ? quickly(method, path, quick, slow) : slow))
    }
    if (!isLocal) return slow
    try {
      return quick() ?? slow
    } catch (cause) {
      if (!isMissing(cause)) return slow
      return Effect.fail(
        PlatformError.systemError({
          _tag: "NotFound",
          module: "FileSystem",
          method,
          pathOrDescriptor: path,
          syscall: Predicate.hasProperty(cause, "syscall") ? String(cause.syscall) : "",
          cause,
        }),
      )
    }
  })

/** Stats of what is there; undefined for what is not, without the cost of an exception. */
const statsOf = (path: string) => statSync(path, { bigint: true, throwIfNoEntry: false })

/**
 * The bytes of a small file; undefined for anything else. Its size is not asked for first: that takes as long as to read it.
 * What would keep us waiting, such as a pipe, has nothing to read and is left to the thread pool.
 */
const readSmall = (path: string): Uint8Array | undefined => {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    let length = 0
    for (let read = -1; read !== 0 && length < SMALL; length += read)
      read = readSync(file, scratch, length, SMALL - length, null)
    return length === 0 || length === SMALL ? undefined : scratch.slice(0, length)
  } finally {
    closeSync(file)
  }
}

export const quickFiles = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (fs) =>
    FileSystem.make({
      ...fs,
      stat: (path) =>
        quickly(
          "stat",
          path,
          () => {
            const stats = statsOf(path)
            return stats === undefined ? undefined : Effect.succeed(infoOf(stats))
          },
          fs.stat(path),
        ),
      access: (path, options) => {
        const slow = fs.access(path, options)
        return options !== undefined
          ? slow
          : quickly("access", path, () => Effect.succeed(accessSync(path)), slow)
      },
      readFile: (path) =>
        quickly(
          "readFile",
          path,
          () => {
            const bytes = readSmall(path)
            return bytes === undefined ? undefined : Effect.succeed(bytes)
          },
          fs.readFile(path),
        ),
      readDirectory: (path, options) => {
        const slow = fs.readDirectory(path, options)
        return options !== undefined
          ? slow
          : quickly("readDirectory", path, () => Effect.succeed(readdirSync(path)), slow)
      },
      writeFile: (path, data, options) => {
        const slow = fs.writeFile(path, data, options)
        return options !== undefined || data.length > SMALL
          ? slow
          : quickly("writeFile", path, () => Effect.succeed(writeFileSync(path, data)), slow)
      },
      rename: (from, to) =>
        quickly("rename", from, () => Effect.succeed(renameSync(from, to)), fs.rename(from, to)),
      remove: (path, options) => {
        const slow = fs.remove(path, options)
        // Node's own looks at it twice before.
        return options?.force !== true
          ? slow
          : quickly("remove", path, () => Effect.succeed(unlinkSync(path)), slow).pipe(
              Effect.catchReason("PlatformError", "NotFound", () => Effect.void),
            )
      },
    }),
  ),
)
