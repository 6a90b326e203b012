/**
 * The platform's file system, whose short look-ups stay in the thread: what a file is, and what a small one holds. By way of
 * the thread pool each takes several times as long, and a run that finds everything stored does nothing else.
 */
import { type BigIntStats, closeSync, constants, openSync, readSync, statSync } from "node:fs"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

/** Bytes; larger files are read by way of the thread pool, so that others get a turn meanwhile. */
const SMALL = 1_000_000

/** Where small files are read to, one at a time. */
const scratch = new Uint8Array(SMALL)

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

/** What `quick` finds; where it finds nothing or fails, `slow` does or tells why not. */
const firstQuickly = <A, E>(quick: () => A | undefined, slow: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.try({ try: quick, catch: () => undefined }).pipe(
    Effect.catch(() => Effect.succeed(undefined)),
    Effect.flatMap((found) => (found === undefined ? slow : Effect.succeed(found))),
  )

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

export const quickLookups = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (fs) =>
    FileSystem.FileSystem.of({
      ...fs,
      stat: (path) =>
        firstQuickly(() => {
          const stats = statsOf(path)
          return stats === undefined ? undefined : infoOf(stats)
        }, fs.stat(path)),
      readFile: (path) => firstQuickly(() => readSmall(path), fs.readFile(path)),
    }),
  ),
)
