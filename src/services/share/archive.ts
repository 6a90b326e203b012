/**
 * What an archive of results is: an uncompressed tar file of exactly
 *
 *     manifest.json                             what follows, in order, with sizes and digests
 *     records/<stage>/<key>.json                as in the store
 *     objects/<first two>/<digest>.<format>     as in the store
 *
 * It comes from anywhere, so everything in it has a limit, and whatever is not exactly this is refused.
 */
import { Option, Schema } from "effect"
import { type ArtifactRef, Digest, Format } from "../Artifact.ts"
import type { StoreName } from "../store/layout.ts"

/** A file is not an archive that this version reads; nothing of it was imported. */
export class BadArchive extends Schema.TaggedError<BadArchive>()("BadArchive", {
  file: Schema.String,
  /** What it is about: an entry by name, or empty for the file itself. */
  entry: Schema.String,
  because: Schema.String,
}) {
  override get message() {
    const entry = this.entry === "" ? "" : ` ${JSON.stringify(this.entry.slice(0, 200))}`
    return `${this.file}:${entry} ${this.because}; nothing was imported`
  }
}

export const MANIFEST = "manifest.json"
/** Counts changes after which older versions cannot read an archive. */
export const VERSION = 1

/** Bytes of a manifest, and of a record or a JSON artifact, which are read as a whole. */
export const LARGEST_DOCUMENT = 64 * 2 ** 20
/** Bytes of any other artifact. */
export const LARGEST_OBJECT = 16 * 2 ** 30
export const MOST_ENTRIES = 2_000_000

/** Text that a terminal shows as it is. */
export const isPlainText = (text: string): boolean => !/\p{Cc}/u.test(text)

const PlainText = (longest: number) =>
  Schema.String.check(
    Schema.isMaxLength(longest),
    Schema.makeFilter((text: string) => isPlainText(text), { expected: "text without control characters" }),
  )

const recordName = /^records\/([a-z][a-z0-9-]{0,63})\/([0-9a-f]{64})\.json$/
const objectName = /^objects\/([0-9a-f]{2})\/(\1[0-9a-f]{62})\.([a-z]+)$/

const isFormat = Schema.is(Format)

/** The record that an entry's name stands for. */
export const recordOf = (name: string): Option.Option<StoreName> =>
  Option.map(Option.fromNullishOr(recordName.exec(name)), ([, stage, key]) => ({ stage, key }))

/** The artifact that an entry's name stands for. */
export const objectOf = (name: string): Option.Option<Omit<ArtifactRef, "bytes">> =>
  Option.flatMap(Option.fromNullishOr(objectName.exec(name)), ([, , digest, format]) =>
    isFormat(format) ? Option.some({ digest, format }) : Option.none(),
  )

const isName = (name: string): boolean => Option.isSome(recordOf(name)) || Option.isSome(objectOf(name))

const largest = (name: string): number => (name.endsWith(".json") ? LARGEST_DOCUMENT : LARGEST_OBJECT)

/** A file of the archive. */
export const Entry = Schema.Struct({ name: Schema.String, bytes: Schema.Natural, sha256: Digest }).check(
  Schema.makeFilter(({ name }) => isName(name), {
    expected: "records/<stage>/<key>.json or objects/<first two>/<digest>.<format>",
  }),
  Schema.makeFilter(({ name, bytes }) => bytes <= largest(name), {
    expected: "at most 64 MiB of JSON, and 16 GiB of anything else",
  }),
  Schema.makeFilter(
    ({ name, sha256 }) => Option.getOrElse(objectOf(name), () => ({ digest: sha256 })).digest === sha256,
    {
      expected: "an artifact that is named by its digest",
    },
  ),
)
export type Entry = typeof Entry.Type

/** Records come first; within them, and within artifacts, names ascend. */
export const inOrder = (a: string, b: string): boolean =>
  a.startsWith("records/") === b.startsWith("records/") ? a < b : a.startsWith("records/")

export const Manifest = Schema.Struct({
  version: Schema.Literal(VERSION),
  /** The version of grokscope that wrote it. */
  grokscope: PlainText(100),
  /** When the newest of its records was committed: equal content has an equal manifest. */
  at: PlainText(100),
  origin: Schema.Struct({
    /** The command, or the label of the one stage, whose results these are. */
    command: PlainText(10_000),
    /** What runs called a key. */
    labels: Schema.Record(Digest, PlainText(1000)),
  }),
  entries: Schema.Array(Entry).check(
    Schema.isMaxLength(MOST_ENTRIES),
    Schema.makeFilter(
      (entries: ReadonlyArray<Entry>) =>
        entries.every(({ name }, i) => i === 0 || inOrder(entries[i - 1].name, name)),
      { expected: "each name once: records, then artifacts, in ascending order" },
    ),
  ),
})
export type Manifest = typeof Manifest.Type
