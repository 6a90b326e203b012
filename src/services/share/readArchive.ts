/** Reads an archive of results entry by entry. Every entry's name, type, length and digest is what the manifest says. */
import { Effect, FileSystem, Option, Result, Schema, type Scope, Stream } from "effect"
import { StoreFailure } from "../ArtifactStore.ts"
import { parseJsonBytes } from "../formats/json.ts"
import { sha256 } from "../store/canonical.ts"
import { BadArchive, type Entry, LARGEST_DOCUMENT, MANIFEST, Manifest, VERSION } from "./archive.ts"
import { digestOfStream } from "./digest.ts"
import { type BadTar, type FoundEntry, readTar } from "./tar.ts"

export interface OpenArchive {
  readonly file: string
  readonly manifest: Manifest
  /** SHA-256 of the manifest's text: equal archives have equal ones. */
  readonly digest: string
  /** Reads the next entry of the manifest; its pieces go to `each` before its digest is known to be right. */
  readonly next: <E, R>(
    entry: Entry,
    each: (piece: Uint8Array) => Effect.Effect<void, E, R>,
  ) => Effect.Effect<void, E | BadArchive, R>
  /** Fails unless all is read. */
  readonly end: Effect.Effect<void, BadArchive>
}

const compressions: Readonly<Record<string, ReadonlyArray<number>>> = {
  gzip: [0x1f, 0x8b],
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a],
  bzip2: [0x42, 0x5a, 0x68],
  zip: [0x50, 0x4b, 0x03, 0x04],
}

const compressionOf = (start: Uint8Array): string | undefined =>
  Object.keys(compressions).find((name) => compressions[name].every((byte, i) => start[i] === byte))

const bytesText = (bytes: number): string => `${bytes.toLocaleString("en")} bytes`

const decodeManifest = Schema.decodeUnknownResult(Manifest, { onExcessProperty: "error" })
const isOfAnyVersion = Schema.is(Schema.Struct({ version: Schema.Int }))

/** The first bytes of a regular file. */
const startOf = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const bad = (because: string) => new BadArchive({ file, entry: "", because })
  const info = yield* fs
    .stat(file)
    .pipe(Effect.mapError(({ reason }) => bad(`cannot be read (${reason._tag})`)))
  if (info.type !== "File") return yield* bad("is no regular file")
  const pieces = yield* Stream.runCollect(fs.stream(file, { bytesToRead: 512 })).pipe(
    Effect.mapError((cause) => new StoreFailure({ operation: "read", path: file, cause })),
  )
  return Buffer.concat(pieces)
})

/** Opens an archive and checks its manifest. */
export const openArchive = Effect.fn("openArchive")(function* (
  file: string,
): Effect.fn.Return<OpenArchive, BadArchive | StoreFailure, FileSystem.FileSystem | Scope.Scope> {
  const bad = (entry: string, because: string) => new BadArchive({ file, entry, because })
  const compression = compressionOf(yield* startOf(file))
  if (compression !== undefined) return yield* bad("", `is compressed by ${compression}; unpack it first`)

  const torn = ({ message }: BadTar) => bad("", `is not a whole tar file (${message})`)
  const read = (yield* readTar(file)).pipe(Effect.mapError(torn))
  /** The next entry, which has to be the file `name`. */
  const expect = Effect.fnUntraced(function* (name: string) {
    const entry = yield* read
    if (Option.isNone(entry)) return yield* bad(name, "is missing: the file ends before it")
    const { name: found, type } = entry.value
    if (found !== name) return yield* bad(found, `stands where ${name} was expected`)
    if (type !== "file") return yield* bad(name, `is a ${type}, where a plain file was expected`)
    return entry.value
  })
  const digestOfEntry = <E, R>(
    { content }: FoundEntry,
    each: (piece: Uint8Array) => Effect.Effect<void, E, R>,
  ) => digestOfStream(Stream.mapError(content, torn), each)

  const first = yield* expect(MANIFEST)
  if (first.bytes > LARGEST_DOCUMENT) {
    return yield* bad(MANIFEST, `has ${bytesText(first.bytes)}, above the limit of 64 MiB`)
  }
  const pieces: Array<Uint8Array> = []
  yield* digestOfEntry(first, (piece) => Effect.sync(() => pieces.push(piece)))
  const text = Buffer.concat(pieces)
  const document = yield* Effect.fromResult(
    Result.mapError(parseJsonBytes(text), ({ message }) => bad(MANIFEST, message)),
  )
  if (isOfAnyVersion(document) && document.version !== VERSION) {
    return yield* bad(MANIFEST, `has version ${document.version}; this grokscope reads version ${VERSION}`)
  }
  const manifest = yield* Effect.fromResult(
    Result.mapError(decodeManifest(document), ({ message }) =>
      bad(MANIFEST, message.replaceAll(/\s*\n\s*/g, " ").slice(0, 500)),
    ),
  )
  return {
    file,
    manifest,
    digest: sha256(text),
    next: Effect.fnUntraced(function* ({ name, bytes, sha256: wanted }, each) {
      const entry = yield* expect(name)
      if (entry.bytes !== bytes) {
        return yield* bad(name, `has ${bytesText(entry.bytes)}, where the manifest says ${bytesText(bytes)}`)
      }
      const { sha256 } = yield* digestOfEntry(entry, each)
      if (sha256 !== wanted)
        return yield* bad(name, `has the digest ${sha256}, where the manifest says ${wanted}`)
    }),
    end: Effect.flatMap(
      read,
      Option.match({
        onNone: () => Effect.void,
        onSome: ({ name }) => bad(name, "is not in the manifest"),
      }),
    ),
  }
})
