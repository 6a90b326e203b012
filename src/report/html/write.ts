/** Reads what `reproduce-all` and ablations wrote, and writes it as one page. */
import { Effect, FileSystem, Option, Path, Schema } from "effect"
import { Comparison } from "../../pipelines/comparison.ts"
import { sha256 } from "../../services/store/canonical.ts"
import { commitFile } from "../../services/store/files.ts"
import { claimsCsv, type FigureData, figureData } from "../figureData.ts"
import { type Manifest, readManifest } from "../manifest.ts"
import { readResults } from "../rendered.ts"
import type { Ablation } from "./ablationSection.ts"
import { checkSvg } from "./checkedSvg.ts"
import type { ShownFigure } from "./figuresSection.ts"
import { type Paper, reportPage, type Source } from "./page.ts"
import { slug } from "./parts.ts"

/** Something that the page is made of is missing, or is not what it should be. */
export class UnreadableResults extends Schema.TaggedError<UnreadableResults>()("UnreadableResults", {
  path: Schema.String,
  because: Schema.String,
}) {
  override get message() {
    return `${this.path}: ${this.because}`
  }
}

const reading = (path: string) =>
  Effect.mapError((error: Error) => new UnreadableResults({ path, because: error.message }))

/** Names in a directory, sorted; none where it is not there. */
const namesIn = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  return (yield* fs.readDirectory(directory).pipe(
    Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed([])),
    reading(directory),
  )).toSorted()
})

/** The figures of a reproduction in the order of the story; others follow by name. */
const STORY = [
  "overview",
  "overview-narrow",
  "coupling-published",
  "coupling-backward",
  "peaks",
  "window",
  "epsilon",
  "rank",
  "noise",
  "per-example",
  "multitask",
  "speedups",
  "interventions",
  "spectra",
  "fourier",
]

/** Where a figure stands in an order of (beginnings of) names. */
const placeIn = (order: ReadonlyArray<string>, file: string): number => {
  const name = file.slice(0, -".svg".length)
  const exact = order.indexOf(name)
  const place = exact < 0 ? order.findIndex((one) => name.startsWith(one)) : exact
  return place < 0 ? order.length : place
}

/** The figures of a directory, checked, in the order of their names in `order`. */
const readFigures = Effect.fnUntraced(function* (
  directory: string,
  prefix: string,
  order: ReadonlyArray<string>,
  dataOf: (name: string) => ReadonlyArray<FigureData>,
) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const files = (yield* namesIn(directory))
    .filter((name) => name.endsWith(".svg"))
    .toSorted((one, other) => placeIn(order, one) - placeIn(order, other))
  return yield* Effect.forEach(files, (file) =>
    Effect.gen(function* () {
      const path = join(directory, file)
      const name = file.slice(0, -".svg".length)
      const text = yield* fs.readFileString(path).pipe(reading(path))
      const svg = yield* Effect.fromResult(checkSvg(text, slug(`${prefix}-${name}`))).pipe(reading(path))
      const figure: ShownFigure = { name, svg, data: dataOf(name) }
      return figure
    }),
  )
})

/** Files that are not what the manifest says, or not there. */
const changedSince = Effect.fnUntraced(function* (directory: string, { files = {} }: Manifest) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const digests = yield* Effect.forEach(Object.entries(files), ([name, digest]) =>
    Effect.map(Effect.option(fs.readFile(join(directory, name))), (bytes) => ({
      name,
      same: Option.exists(bytes, (bytes) => sha256(bytes) === digest),
    })),
  )
  return digests.filter(({ same }) => !same).map(({ name }) => name)
})

const readAblation = Effect.fnUntraced(function* (root: string, directory: string) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const at = join(root, directory)
  const path = join(at, "comparison.json")
  if (!(yield* fs.exists(path).pipe(reading(path)))) return Option.none<Ablation>()
  const text = yield* fs.readFileString(path).pipe(reading(path))
  const comparison = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Comparison))(text).pipe(
    reading(path),
  )
  const csv = Option.getOrNull(yield* Effect.option(fs.readFileString(join(at, "comparison.csv"))))
  const measured = comparison.metrics.map(({ id }) => id)
  const data = csv === null ? [] : [{ name: `${directory}.csv`, csv }]
  return Option.some<Ablation>({
    directory,
    comparison,
    manifest: Option.getOrNull(yield* Effect.option(readManifest(at))),
    csv,
    figures: yield* readFigures(join(at, "figures"), `ablation-${directory}`, measured, () => data),
  })
})

/** What `reproduce-all` wrote to a directory, if it did. */
const readPaper = Effect.fnUntraced(function* (from: string) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  if (!(yield* fs.exists(join(from, "claims.json")).pipe(reading(from)))) return null
  const { tables, claims, manifest } = yield* readResults(from).pipe(reading(from))
  const paper: Paper = {
    manifest,
    claims,
    figures: yield* readFigures(join(from, "figures"), "figure", STORY, (name) =>
      figureData(name, tables, claims),
    ),
    data: [
      { name: "claims.csv", csv: claimsCsv(claims) },
      ...figureData("runs", tables, claims),
      ...figureData("centroid-spectrum", tables, claims),
    ],
    changed: yield* changedSince(from, manifest),
  }
  return paper
})

/** @param ablations the directory of their directories; neither it nor `from` need be there */
export const readSource = Effect.fn("readSource")(function* (from: string, ablations: string) {
  const names = yield* namesIn(ablations)
  const found = yield* Effect.forEach(names, (name) => readAblation(ablations, name))
  const source: Source = { paper: yield* readPaper(from), ablations: found.flatMap(Option.toArray) }
  return source
})

/** Writes the page, and returns its bytes. */
export const writePage = Effect.fn("writePage")(function* (from: string, ablations: string, out: string) {
  const source = yield* readSource(from, ablations)
  if (source.paper === null && source.ablations.length === 0) {
    return yield* new UnreadableResults({
      path: `--from ${from}`,
      because: `there is no claims.json, and no ablation in ${ablations}; run reproduce-all or an ablation first`,
    })
  }
  const bytes = new TextEncoder().encode(reportPage(source))
  yield* commitFile(out, bytes).pipe(reading(out))
  return bytes.length
})
