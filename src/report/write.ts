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
import { ClaimRow } from "../pipelines/Claim.ts"
import { digestOf, sha256 } from "../services/store/canonical.ts"
import { commitFile } from "../services/store/files.ts"
import { MANIFEST, Manifest, manifestOf, readManifest } from "./manifest.ts"
import { readAblations } from "./overviewAblations.ts"
import { type Tables, tableNames, toCsv, toParquet } from "./tables.ts"

export interface Report {
  readonly directory: string
  /** What the numbers are worth. */
  readonly evidence: string
  /** The configuration that was run, every field resolved. */
  readonly config?: unknown
  readonly tables: Tables
  readonly claims: ReadonlyArray<ClaimRow>
  /** Fingerprint of the code of claims and report. */
  readonly code: string
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

const RENDERER = "@resvg/resvg-js"

/** Whether a PNG was drawn from this SVG by the renderer at hand, as far as a manifest knows. */
const isDrawnFrom = (png: string, svg: string, digest: string) => (manifest: Manifest) =>
  manifest.files?.[svg] === digest &&
  manifest.files[png] !== undefined &&
  manifest.versions[RENDERER] === packageJson.dependencies[RENDERER]

// Loading these takes longer than looking up that there is nothing to render.
const loadRendering = Effect.promise(() => import("./rendered.ts"))
const loadPng = Effect.promise(() => import("../figures/png.ts"))

const isRendered = (name: string): boolean => name.startsWith("figures/") || name.endsWith(".md")

/** Files that hold what they should already are left as they are; what a former run wrote and this one does not is removed. */
export const writeReport = Effect.fn("writeReport")(function* (report: Report) {
  const { directory, evidence, config, tables, claims, code } = report
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
    else yield* write(png, (yield* loadPng).renderPng(text))
  })
  const render = Effect.gen(function* () {
    const { rendered } = yield* loadRendering
    for (const [name, text] of rendered({ tables, claims, evidence, ablations })) {
      yield* write(name, text)
      if (name.endsWith(".svg")) yield* writePng(name, text)
    }
  })
  /** What a former run rendered from the same, by name, if it all is there as it was. */
  const renderedFrom = Effect.fnUntraced(function* (sources: string) {
    const same = Option.filter(before, (manifest) => manifest.renderedFrom === sources)
    const names = Option.map(same, ({ files = {} }) =>
      Object.entries(files).filter(([name]) => isRendered(name)),
    )
    const isThere = ([name, digest]: readonly [string, string]) =>
      Effect.map(digestOnDisk(name), Option.contains(digest))
    const all = Option.getOrElse(names, () => [])
    return all.length > 0 && (yield* Effect.forEach(all, isThere)).every((there) => there)
      ? Option.some(Object.fromEntries(all))
      : Option.none()
  })

  for (const name of tableNames) {
    yield* write(`tables/${name}.parquet`, toParquet(name, tables[name]))
    yield* write(`tables/${name}.csv`, toCsv(name, tables[name]))
  }
  const ablations = yield* readAblations(directory, evidence)
  yield* write("claims.json", json(yield* Schema.encodeEffect(Schema.Array(ClaimRow))(claims)))
  const sources = digestOf({
    code,
    renderer: packageJson.dependencies[RENDERER],
    evidence,
    files,
    ablations: ablations.map((one) => digestOf(one)),
  })
  const kept = yield* renderedFrom(sources)
  if (Option.isSome(kept)) Object.assign(files, kept.value)
  else yield* render
  for (const part of ["tables", "figures"]) {
    for (const name of yield* fs.readDirectory(join(directory, part))) {
      if (!Object.hasOwn(files, `${part}/${name}`)) yield* fs.remove(join(directory, part, name))
    }
  }
  const manifest = yield* manifestOf({ evidence, config, code, files, renderedFrom: sources, before })
  const encoded = json(yield* Schema.encodeEffect(Manifest)(manifest))
  yield* commitFile(join(directory, MANIFEST), new TextEncoder().encode(encoded))
})
