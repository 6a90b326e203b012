/**
 * The platform's file system, whose short look-ups stay in the thread: what a file is, and what a small one holds. By way of
 * the thread pool each takes several times as long, and a run that finds everything stored does nothing else.
 */
import { type BigIntStats, closeSync, openSync, readSync, statSync } from "node:fs"
import { ByteSize, Effect, FileSystem, Layer, Option } from "effect"

/** Bytes; larger files are read by way of the thread pool, so that others get a turn meanwhile. */
const SMALL = 1_000_000

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

/** The bytes of a small file; undefined for anything else. What is no file, such as a pipe, is not even opened. */
const readSmall = (path: string): Uint8Array | undefined => {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined || !stats.isFile() || stats.size > SMALL) return undefined
  const file = openSync(path, "r")
  try {
    const bytes = new Uint8Array(stats.size)
    // Fewer than there were: another cuts it off.
    return readSync(file, bytes, 0, stats.size, 0) === stats.size ? bytes : undefined
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
