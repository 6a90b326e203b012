/** Writes results of a store as one file, every byte of which is verified on the way. */

import { createHash } from "node:crypto"
import { Effect, FileSystem, Path, Schema, Stream } from "effect"
import type { ArtifactRef } from "../Artifact.ts"
import { ArtifactStore, DamagedArtifact, StoreFailure } from "../ArtifactStore.ts"
import { Progress } from "../Progress.ts"
import { sha256 } from "../store/canonical.ts"
import { stageFile, syncDirectory } from "../store/files.ts"
import { artifactPath, recordPath } from "../store/layout.ts"
import { type Entry, inOrder, MANIFEST, Manifest, VERSION } from "./archive.ts"
import { collect, type Selection } from "./collect.ts"
import { type TarEntry, writeTar } from "./tar.ts"

/** The file cannot be written; nothing is left of it. */
export class CannotWrite extends Schema.TaggedError<CannotWrite>()("CannotWrite", {
  file: Schema.String,
  reason: Schema.String,
}) {
  override get message() {
    return `cannot write ${this.file}: ${this.reason}; make room and check permissions, or choose another file`
  }
}

export interface Exported {
  readonly records: number
  readonly artifacts: number
  /** Of the file. */
  readonly bytes: number
}

type Content = TarEntry<DamagedArtifact | StoreFailure> & { readonly sha256: string }

const byName = (a: Entry, b: Entry): number => (inOrder(a.name, b.name) ? -1 : 1)

/** A stored artifact, piece by piece; fails at its end if that was not what its name says. */
const contentOf = Effect.fnUntraced(function* (ref: ArtifactRef) {
  const store = yield* ArtifactStore
  const fs = yield* FileSystem.FileSystem
  // It is missing, or not as long as it should be: reading it says so, and moves it to quarantine.
  if (!(yield* store.has(ref))) yield* store.get(ref)
  const path = store.pathOf(ref)
  const content = Stream.suspend(() => {
    const hash = createHash("sha256")
    const check = Effect.suspend(() =>
      hash.digest("hex") === ref.digest
        ? Effect.void
        : Effect.andThen(
            store.get(ref),
            new DamagedArtifact({
              name: `artifact ${ref.digest.slice(0, 12)}`,
              because: "changed while it was read",
            }),
          ),
    )
    return fs.stream(path).pipe(
      Stream.mapError((cause) => new StoreFailure({ operation: "read", path, cause })),
      Stream.tap((piece) => Effect.sync(() => hash.update(piece))),
      Stream.concat(Stream.drain(Stream.fromEffect(check))),
    )
  })
  const entry: Content = { name: artifactPath(ref), bytes: ref.bytes, sha256: ref.digest, content }
  return entry
})

/** The tar entry of a text. */
const textEntry = (name: string, text: Uint8Array): Content => ({
  name,
  bytes: text.length,
  sha256: sha256(text),
  content: Stream.succeed(text),
})

/** Writes what was selected to `file`, in the name of version `grokscope`. Equal content gives equal bytes. */
export const exportArchive = Effect.fn("exportArchive")(function* (
  selection: Selection,
  { file, grokscope }: { readonly file: string; readonly grokscope: string },
) {
  const store = yield* ArtifactStore
  const fs = yield* FileSystem.FileSystem
  const { dirname, join } = yield* Path.Path
  const progress = yield* Progress
  const { records, artifacts } = yield* collect(selection)
  const texts = yield* Effect.forEach(records, (record) => {
    const path = join(store.root, recordPath(record))
    return fs.readFile(path).pipe(
      Effect.mapError((cause) => new StoreFailure({ operation: "read", path, cause })),
      Effect.map((text) => textEntry(recordPath(record), text)),
    )
  })
  const contents = [...texts, ...(yield* Effect.forEach(artifacts, contentOf))].sort(byName)
  const labels = [...selection.labels].sort(([a], [b]) => (a < b ? -1 : 1))
  const manifest: Manifest = {
    version: VERSION,
    grokscope,
    at:
      records
        .map(({ provenance }) => provenance.committedAt)
        .toSorted()
        .at(-1) ?? "",
    origin: { command: selection.command, labels: Object.fromEntries(labels) },
    entries: contents.map(({ name, bytes, sha256 }) => ({ name, bytes, sha256 })),
  }
  const encoded = yield* Schema.encodeEffect(Manifest)(manifest)
  const first = textEntry(MANIFEST, new TextEncoder().encode(`${JSON.stringify(encoded)}\n`))

  const entries = [first, ...contents]
  const total = entries.reduce((sum, { bytes }) => sum + bytes, 0)
  let done = 0
  const advancing = (entry: Content): Content => ({
    ...entry,
    content: Stream.tap(entry.content, (piece) => {
      done += piece.length
      return progress.step({ done: Math.round(done / 1e6), total: Math.round(total / 1e6), unit: "MB" })
    }),
  })
  yield* Effect.scoped(
    Effect.gen(function* () {
      yield* yield* stageFile(file, (opened) => writeTar(opened, entries.map(advancing)))
      yield* syncDirectory(dirname(file))
    }),
  ).pipe(
    Effect.catchTag("PlatformError", ({ reason }) =>
      Effect.fail(new CannotWrite({ file, reason: reason._tag })),
    ),
  )
  const exported: Exported = { records: records.length, artifacts: artifacts.length, bytes: total }
  return exported
})
