/** Files that somebody else made, and did not make well. */
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { TarEntry } from "modern-tar"
import { BadArchive, MANIFEST } from "../../../src/services/share/archive.ts"
import { digestOf, sha256 } from "../../../src/services/store/canonical.ts"
import { sealed } from "../../../src/services/store/sealed.ts"
import { temporaryDirectory } from "../store/temporary.ts"
import { archiveOf, importing, inStore, packed, services, two, unpacked, write } from "./madeUp.ts"

interface File {
  readonly name: string
  readonly data: Uint8Array
}

type Header = Partial<TarEntry["header"]>

const text = (data: Uint8Array) => new TextDecoder().decode(data)
const encode = (value: string) => new TextEncoder().encode(value)

const tarEntry = ({ name, data }: File, header: Header = {}): TarEntry => ({
  header: { name, size: data.length, type: "file", mtime: new Date(0), ...header },
  ...(header.type === undefined || header.type === "file" ? { body: data } : {}),
})

const listed = ({ name, data }: File) => ({ name, bytes: data.length, sha256: sha256(data) })

/** Files with a manifest that says just what they are; `change` has the last word on it. */
const withManifest = (
  [manifest, ...files]: ReadonlyArray<File>,
  change: (manifest: Record<string, unknown>) => unknown = (manifest) => manifest,
): ReadonlyArray<File> => {
  const content = { ...JSON.parse(text(manifest.data)), entries: files.map(listed) }
  const changed = change(content)
  const data = encode(typeof changed === "string" ? changed : JSON.stringify(changed))
  return [{ name: MANIFEST, data }, ...files]
}

const isRecord = ({ name }: File) => name.startsWith("records/")
const isObject = ({ name }: File) => name.startsWith("objects/")

/** The files with the first one that fulfils `is` replaced, and a manifest to match. */
const replaced = (files: ReadonlyArray<File>, is: (file: File) => boolean, by: (file: File) => File) => {
  const at = files.findIndex(is)
  return withManifest(files.with(at, by(files[at])))
}

/** The first record, changed and sealed anew. */
const withRecord = (
  files: ReadonlyArray<File>,
  change: (record: Record<string, unknown>) => Record<string, unknown>,
) =>
  replaced(files, isRecord, ({ name, data }) => {
    const { seal: _, ...record } = JSON.parse(text(data))
    return { name, data: encode(sealed(change(record))) }
  })

/** The manifest as it is, one entry in the tar file with another header. */
const withHeader = (files: ReadonlyArray<File>, header: Header) =>
  packed(files.map((file, i) => tarEntry(file, i === 2 ? header : {})))

const pack = (files: ReadonlyArray<File>) => packed(files.map((file) => tarEntry(file)))

const digest = "ab".repeat(32)

/** What is done to the files of a good archive, or to its bytes; and what is said of it. */
const refusals: ReadonlyArray<
  readonly [
    what: string,
    make: (files: ReadonlyArray<File>, whole: Uint8Array) => Effect.Effect<Uint8Array>,
    says: RegExp,
  ]
> = [
  ["nothing", () => Effect.succeed(new Uint8Array(0)), /truncated|ends before/],
  [
    "another kind of file",
    () => Effect.succeed(encode("no tar file\n".repeat(100))),
    /is not a whole tar file/,
  ],
  [
    "one that is compressed by gzip",
    (_, whole) => Effect.succeed(gzipSync(whole)),
    /compressed by gzip; unpack it first/,
  ],
  [
    "one that is compressed by zstd",
    (_, whole) => Effect.succeed(zstdCompressSync(whole)),
    /compressed by zstd/,
  ],
  [
    "one that claims to be compressed by xz",
    () => Effect.succeed(Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)),
    /compressed by xz/,
  ],
  ["an empty tar file", () => pack([]), /"manifest.json" is missing/],
  ["one without a manifest", ([, ...files]) => pack(files), /where manifest.json was expected/],
  [
    "one with something before the manifest",
    (files) => pack([files[1], ...files]),
    /where manifest.json was expected/,
  ],
  [
    "one with garbage after its end",
    (_, whole) => Effect.succeed(Buffer.concat([whole, encode("garbage")])),
    /invalid eof/,
  ],
  [
    "one with another archive after its end",
    (_, whole) => Effect.succeed(Buffer.concat([whole, whole])),
    /invalid eof/,
  ],
  [
    "one that lacks its last entry",
    (files) => pack(files.slice(0, -1)),
    /is missing: the file ends before it/,
  ],
  ["one that lacks an entry in the middle", (files) => pack(files.toSpliced(2, 1)), /stands where records/],
  [
    "an entry that is not listed",
    (files) => pack([...files, { name: "extra", data: encode("x") }]),
    /"extra" is not in the manifest/,
  ],
  ["an entry twice", (files) => pack([...files, ...files.slice(-1)]), /is not in the manifest/],
  [
    "an entry that is listed twice",
    (files) => pack(withManifest([...files, ...files.slice(-1)])),
    /each name once/,
  ],
  [
    "entries in another order than listed",
    ([first, second, third, ...files]) => pack([first, third, second, ...files]),
    /stands where records/,
  ],
  [
    "entries in another order, as listed",
    (files) => pack(withManifest([files[0], ...files.slice(1).reverse()])),
    /records, then artifacts, in ascending order/,
  ],
  [
    "content that is longer than listed",
    (files) => pack(files.with(-1, { ...files[files.length - 1], data: new Uint8Array(5000) })),
    /5,000 bytes, where the manifest says/,
  ],
  [
    "content that is not what its name says",
    (files) => {
      const { name, data } = files[files.length - 1]
      return pack(files.with(-1, { name, data: data.with(0, data[0] ^ 1) }))
    },
    /has the digest [0-9a-f]{64}, where the manifest says/,
  ],
  [
    "an artifact by the name of another, as listed",
    (files) => pack(replaced(files, isObject, ({ name }) => ({ name, data: encode("{}") }))),
    /an artifact that is named by its digest/,
  ],
  ...(
    [
      ["a path out of the store", `objects/ab/../../../${digest}.json`],
      ["an absolute path", "/etc/passwd"],
      ["a path with backslashes", `objects\\ab\\${digest}.json`],
      ["a path with a dot", `./objects/ab/${digest}.json`],
      ["a directory of other digits", `objects/cd/${digest}.json`],
      ["a digest in capitals", `objects/AB/${digest.toUpperCase()}.json`],
      ["another format", `objects/ab/${digest}.exe`],
      ["a part of the store that is none of its business", `cursors/train/${digest}/00000000.json`],
      ["a stage that is a path", `records/../${digest}.json`],
      ["a line break at its end", `objects/ab/${digest}.json\n`],
      ["a NUL in it", `objects/ab/${digest}.json\u0000.exe`],
    ] as const
  ).map(
    ([what, name]) =>
      [
        `a name with ${what}`,
        (files: ReadonlyArray<File>) => pack(withManifest([...files, { name, data: encode("{}") }])),
        /records\/<stage>\/<key>\.json or objects/,
      ] as const,
  ),
  [
    "a name that the manifest does not have",
    (files) => withHeader(files, { name: "../../../etc/passwd" }),
    /"..\/..\/..\/etc\/passwd" stands where/,
  ],
  ...(["symlink", "link", "directory", "character-device", "block-device", "fifo"] as const).map(
    (type) =>
      [
        `a ${type}`,
        (files: ReadonlyArray<File>) => withHeader(files, { type, size: 0, linkname: "/etc/passwd" }),
        new RegExp(`is a ${type}, where a plain file was expected`),
      ] as const,
  ),
  [
    "an extended header",
    (files) => withHeader(files, { pax: { comment: "x" } }),
    /extended header, where a plain file/,
  ],
  [
    "an extended header with another name",
    (files) => withHeader(files, { pax: { path: "/etc/passwd" } }),
    /"\/etc\/passwd" stands where/,
  ],
  [
    "an extended header with another size",
    (files) => withHeader(files, { pax: { size: "1" } }),
    /exten|bytes|tar|size/,
  ],
  [
    "a manifest of another version",
    (files) => pack(withManifest(files, (m) => ({ ...m, version: 2 }))),
    /has version 2; this grokscope reads version 1/,
  ],
  [
    "a manifest without a version",
    (files) => pack(withManifest(files, ({ version: _, ...m }) => m)),
    /version/,
  ],
  [
    "a manifest with a field too many",
    (files) => pack(withManifest(files, (m) => ({ ...m, more: 1 }))),
    /more/,
  ],
  ["a manifest that is not JSON", (files) => pack(withManifest(files, () => "{")), /"manifest.json"/],
  [
    "a manifest that is not UTF-8",
    (files) => pack(files.with(0, { name: MANIFEST, data: Uint8Array.of(0xff) })),
    /not UTF-8/,
  ],
  [
    "a manifest with __proto__",
    (files) =>
      pack(withManifest(files, (m) => JSON.stringify(m).replace('"origin":{', '"origin":{"__proto__":{},'))),
    /the name __proto__ is refused/,
  ],
  [
    "a manifest with control characters",
    (files) => pack(withManifest(files, (m) => ({ ...m, origin: { command: "\u001b[2J", labels: {} } }))),
    /control characters/,
  ],
  [
    "a manifest that is nested too deep",
    (files) => pack(withManifest(files, () => `${"[".repeat(1e6)}${"]".repeat(1e6)}`)),
    /nested deeper than 64/,
  ],
  [
    "a manifest that lists what nobody can store",
    (files) =>
      pack(
        withManifest(files, (m) => ({
          ...m,
          entries: [{ name: `objects/ab/${digest}.parquet`, bytes: 2 ** 35, sha256: digest }],
        })),
      ),
    /16 GiB/,
  ],
  [
    "a record without a seal",
    (files) => pack(replaced(files, isRecord, ({ name }) => ({ name, data: encode("{}") }))),
    /not a record under its own seal/,
  ],
  [
    "a record whose seal is not its content's",
    (files) =>
      pack(
        replaced(files, isRecord, ({ name, data }) => ({
          name,
          data: encode(text(data).replace('"v24"', '"v25"')),
        })),
      ),
    /not a record under its own seal/,
  ],
  [
    "a record by the name of another",
    (files) => pack(withRecord(files, (record) => ({ ...record, stage: "other" }))),
    /holds the record of another key/,
  ],
  [
    "a record whose key is not its pre-image's",
    (files) => pack(withRecord(files, (record) => ({ ...record, preimage: {} }))),
    /not the digest of its pre-image/,
  ],
  [
    "a record with a field too many",
    (files) => pack(withRecord(files, (record) => ({ ...record, more: 1 }))),
    /not a record/,
  ],
  [
    "a record that writes to the terminal",
    (files) =>
      pack(
        withRecord(files, (record) => ({
          ...record,
          provenance: { committedAt: "", seconds: 1, machine: "\u001b]0;x", node: "" },
        })),
      ),
    /control characters/,
  ],
  [
    "a record that leads to what is nowhere",
    (files) =>
      pack(
        withRecord(files, (record) => ({
          ...record,
          output: { digest: digestOf(1), format: "parquet", bytes: 3 },
        })),
      ),
    /neither in the file nor in the store/,
  ],
  [
    "a document that leads to what is nowhere",
    (files) => pack(withManifest(files.slice(0, -1))),
    /neither in the file nor in the store/,
  ],
  [
    "a JSON artifact that is none",
    (files) => {
      const data = encode('{"constructor":1}')
      const name = `objects/${sha256(data).slice(0, 2)}/${sha256(data)}.json`
      return pack(withManifest([...files.filter((file) => !isObject(file)), { name, data }]))
    },
    /the name constructor is refused/,
  ],
]

/** A good archive, made once. */
class Good extends Context.Service<
  Good,
  { readonly files: ReadonlyArray<File>; readonly whole: Uint8Array }
>()("test/Good") {
  static readonly layer = Layer.effect(
    Good,
    Effect.gen(function* () {
      const { file } = yield* archiveOf(two)
      return { files: yield* unpacked(file), whole: readFileSync(file) }
    }),
  )
}

layer(Good.layer.pipe(Layer.provideMerge(services)), { excludeTestServices: true, timeout: 60_000 })(
  "an archive",
  (it) => {
    it.effect.each(refusals)("is refused that is %s", ([, make, says]) =>
      Effect.gen(function* () {
        const { files, whole } = yield* Good
        const directory = yield* temporaryDirectory
        const [bad, store] = ["bad.tar", "store"].map((name) => join(directory, name))
        yield* write(bad, yield* make(files, whole))
        const error = yield* Effect.flip(importing(bad).pipe(inStore(store)))
        assert.instanceOf(error, BadArchive)
        assert.match(error.message, says)
        assert.match(error.message, /^[^\n]{1,900}; nothing was imported$/)
        assert.include(error.message, bad)
        assert.isFalse(existsSync(store))
      }),
    )

    it.effect("is refused that is no file", () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        mkdirSync(join(directory, "directory"))
        for (const [name, says] of [
          ["nothing", /cannot be read \(NotFound\)/],
          ["directory", /is no regular file/],
        ] as const) {
          const error = yield* Effect.flip(
            importing(join(directory, name)).pipe(inStore(join(directory, "store"))),
          )
          assert.instanceOf(error, BadArchive)
          assert.match(error.message, says)
        }
      }),
    )

    it.effect("is accepted when it is packed again as it was", () =>
      Effect.gen(function* () {
        const { files, whole } = yield* Good
        const again = join(yield* temporaryDirectory, "again.tar")
        yield* write(again, yield* pack(withManifest(files)))
        assert.deepStrictEqual(readFileSync(again).length, whole.length)
        yield* importing(again).pipe(inStore(join(yield* temporaryDirectory, "store")))
      }),
    )
  },
)
