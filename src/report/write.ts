/**
 * Writes the results of a reproduction:
 *
 *     claims.json  claims.md        every claim with its verdict, as data and in words
 *     tables/*.parquet  *.csv       what the figures are drawn from
 *     figures/*.svg  *.png
 *     manifest.json                 versions, machine, times and keys of everything that was run
 */
import { Effect, FileSystem, Option, Path, Schema } from "effect"
import packageJson from "../../package.json" with { type: "json" }
import { renderPng } from "../figures/png.ts"
import { ClaimRow } from "../pipelines/Claim.ts"
import { sha256 } from "../services/store/canonical.ts"
import { commitFile } from "../services/store/files.ts"
import { Manifest, manifestOf } from "./manifest.ts"
import { rendered } from "./rendered.ts"
import { type Tables, tableNames, toCsv, toParquet } from "./tables.ts"

export interface Report {
  readonly directory: string
  /** What the numbers are worth. */
  readonly evidence: string
  readonly tables: Tables
  readonly claims: ReadonlyArray<ClaimRow>
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

const MANIFEST = "manifest.json"
const RENDERER = "@resvg/resvg-js"

/** The manifest that a directory holds. */
const readManifest = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const text = yield* fs.readFileString(join(directory, MANIFEST))
  return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Manifest))(text)
})

/** Whether a PNG was drawn from this SVG by the renderer at hand, as far as a manifest knows. */
const isDrawnFrom = (png: string, svg: string, digest: string) => (manifest: Manifest) =>
  manifest.files?.[svg] === digest &&
  manifest.files[png] !== undefined &&
  manifest.versions[RENDERER] === packageJson.dependencies[RENDERER]

/** Files that hold what they should already are left as they are; what a former run wrote and this one does not is removed. */
export const writeReport = Effect.fn("writeReport")(function* (report: Report) {
  const { directory, evidence, tables, claims } = report
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const before = yield* Effect.option(readManifest(directory))
  /** SHA-256 by name of everything that belongs there. */
  const files: Record<string, string> = {}
  const digestOnDisk = (name: string) =>
    Effect.option(Effect.map(fs.readFile(join(directory, name)), (bytes) => sha256(bytes)))
  const write = Effect.fnUntraced(function* (name: string, content: string | Uint8Array) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
    files[name] = sha256(bytes)
    if (Option.contains(yield* digestOnDisk(name), files[name])) return
    yield* commitFile(join(directory, name), bytes)
  })
  /** Drawing takes longer than everything else here. */
  const writePng = Effect.fnUntraced(function* (svg: string, text: string) {
    const png = svg.replace(/svg$/, "png")
    const drawn = Option.filter(before, isDrawnFrom(png, svg, files[svg]))
    const known = Option.flatMapNullishOr(drawn, ({ files }) => files?.[png])
    const onDisk = yield* digestOnDisk(png)
    if (Option.isSome(known) && Option.contains(onDisk, known.value)) files[png] = known.value
    else yield* write(png, renderPng(text))
  })
  for (const name of tableNames) {
    yield* write(`tables/${name}.parquet`, toParquet(name, tables[name]))
    yield* write(`tables/${name}.csv`, toCsv(name, tables[name]))
  }
  yield* write("claims.json", json(yield* Schema.encodeEffect(Schema.Array(ClaimRow))(claims)))
  for (const [name, text] of rendered({ tables, claims, evidence })) {
    yield* write(name, text)
    if (name.endsWith(".svg")) yield* writePng(name, text)
  }
  for (const part of ["tables", "figures"]) {
    for (const name of yield* fs.readDirectory(join(directory, part))) {
      if (!Object.hasOwn(files, `${part}/${name}`)) yield* fs.remove(join(directory, part, name))
    }
  }
  const manifest = yield* manifestOf(evidence, files, before)
  const encoded = json(yield* Schema.encodeEffect(Manifest)(manifest))
  yield* commitFile(join(directory, MANIFEST), new TextEncoder().encode(encoded))
})
