/** Tar files as streams of entries. Knows nothing of what they hold. */
import { Effect, FileSystem, Option, PlatformError, Schema, type Scope, Stream } from "effect"
import { createTarDecoder, createTarPacker, type ParsedTarEntry } from "modern-tar"

/** A file is not a whole tar file. */
export class BadTar extends Schema.TaggedError<BadTar>()("BadTar", { message: Schema.String }) {}

const messageOf = (cause: unknown): string =>
  PlatformError.isPlatformError(cause)
    ? `cannot be read: ${cause.reason._tag}`
    : (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, "").toLowerCase()

const badTar = (cause: unknown): BadTar => new BadTar({ message: messageOf(cause) })

export interface TarEntry<E, R = never> {
  readonly name: string
  readonly bytes: number
  readonly content: Stream.Stream<Uint8Array, E, R>
}

/** An entry as it was found, which may be no file. */
export interface FoundEntry extends TarEntry<BadTar> {
  /** `file`, or what else it is. */
  readonly type: string
}

const CHUNK = 2 ** 18

/** The size from which on tar needs an extended header. */
const LARGEST_PLAIN = 8 * 2 ** 30

const found = ({ header, body }: ParsedTarEntry): FoundEntry => {
  const extended = header.pax !== undefined && header.size < LARGEST_PLAIN
  return {
    name: header.name,
    bytes: header.size,
    type: extended ? "file with an extended header" : (header.type ?? "file"),
    content: Stream.fromReadableStream({ evaluate: () => body, onError: badTar }),
  }
}

/** Gives a tar file's entries one after another, then none; each one's content has to be read before the next. */
export const readTar = Effect.fn("readTar")(function* (
  path: string,
): Effect.fn.Return<
  Effect.Effect<Option.Option<FoundEntry>, BadTar>,
  never,
  FileSystem.FileSystem | Scope.Scope
> {
  const fs = yield* FileSystem.FileSystem
  const bytes = yield* Stream.toReadableStreamEffect(fs.stream(path, { chunkSize: CHUNK }))
  const reader = yield* Effect.acquireRelease(
    Effect.sync(() => bytes.pipeThrough(createTarDecoder({ strict: true })).getReader()),
    (reader) => Effect.ignore(Effect.tryPromise(() => reader.cancel())),
  )
  return Effect.tryPromise({ try: () => reader.read(), catch: badTar }).pipe(
    Effect.map(({ value }) => Option.map(Option.fromNullishOr(value), found)),
  )
})

/** Writes entries as a tar file: equal entries, equal bytes. */
export const writeTar = Effect.fn("writeTar")(function* <E, R>(
  file: FileSystem.File,
  entries: Iterable<TarEntry<E, R>>,
) {
  const { readable, controller } = createTarPacker()
  const packed = Effect.gen(function* () {
    for (const { name, bytes, content } of entries) {
      const header = { name, size: bytes, type: "file", mode: 0o644, mtime: new Date(0) } as const
      const writer = (yield* Effect.try({ try: () => controller.add(header), catch: badTar })).getWriter()
      yield* Stream.runForEach(content, (chunk) =>
        Effect.tryPromise({ try: () => writer.write(chunk), catch: badTar }),
      )
      yield* Effect.tryPromise({ try: () => writer.close(), catch: badTar })
    }
    yield* Effect.try({ try: () => controller.finalize(), catch: badTar })
  })
  const written = Stream.runForEach(
    Stream.fromReadableStream({ evaluate: () => readable, onError: badTar }),
    (chunk) => file.writeAll(chunk),
  )
  yield* Effect.all([packed, written], { concurrency: 2, discard: true })
})
