/**
 * Writes the results of an ablation:
 *
 *     comparison.json  comparison.md        every cell, as data and in words
 *     comparison.parquet  comparison.csv    a row for each cell, metric, control and seed
 *     figures/<metric>.svg                  every cell beside its controls
 *     manifest.json                         versions, machine, times and keys of everything that was run
 */
import { table } from "arquero"
import { Effect, FileSystem, Path, Schema } from "effect"
import { comparisonDots } from "../figures/comparisonDots.ts"
import type { Interval } from "../figures/Interval.ts"
import { type Estimate, RATIO, SPEEDUP } from "../pipelines/Claim.ts"
import { Comparison } from "../pipelines/comparison.ts"
import { encodeTable } from "../services/formats/parquet.ts"
import { digestOf, sha256 } from "../services/store/canonical.ts"
import { commitFile } from "../services/store/files.ts"
import { commonControls, comparisonDocument, comparisonRows } from "./comparisonText.ts"
import { intervalsText } from "./estimateText.ts"
import { MANIFEST, Manifest, manifestOf, readManifest } from "./manifest.ts"
import { comparisonTitle, measureText } from "./measureText.ts"

export const COMPARISON = "comparison.json"

/** None where no seed has a value. */
const intervalOf = ({ value, low, high, perSeed }: Estimate): Interval | null =>
  value === null
    ? null
    : { mean: value, low, high, perSeed: perSeed.flatMap(({ value }) => (value === null ? [] : [value])) }

const present = (beside: Readonly<Record<string, Estimate>>, isShown: (control: string) => boolean) =>
  Object.fromEntries(
    Object.entries(beside).flatMap(([name, estimate]) => {
      const interval = intervalOf(estimate)
      return interval === null || !isShown(name) ? [] : [[name, interval] as const]
    }),
  )

/** How many seeds have no value: they are in no mean. */
const missingText = (estimates: ReadonlyArray<Estimate>): string => {
  const missing = estimates.flatMap(({ perSeed }) => perSeed).filter(({ value }) => value === null).length
  return missing === 0 ? "" : `Seeds without a value, such as those that never grokked: ${missing}.`
}

/** A figure for each metric, as SVG by its id. */
export const comparisonFigures = (comparison: Comparison) => {
  const { axes, metrics, cells } = comparison
  const fields = axes.map(({ field }) => field)
  const common = commonControls(comparison)
  return metrics.map(({ id, definition, unit }) => {
    const isRatio = unit === RATIO || unit === SPEEDUP
    const found = cells.map(({ measured }) => measured[id])
    const own = found.filter((one) => one !== undefined)
    const all = own.flatMap(({ beside, ...one }) => [one, ...Object.values(beside)])
    const everywhere = present(found[0]?.beside ?? {}, (control) => common.includes(control))
    const svg = comparisonDots({
      title: comparisonTitle(id, fields),
      label: `${measureText(id)} (${isRatio ? "ratio, log axis" : unit})`,
      scale: isRatio ? "log" : "linear",
      cells: cells.map((cell, i) => ({
        name: cell.id,
        isBase: cell.isBase,
        value: found[i] === undefined ? null : intervalOf(found[i]),
        beside: present(found[i]?.beside ?? {}, (control) => !common.includes(control)),
      })),
      everywhere,
      caption: `${id}: ${definition}. Intervals: ${intervalsText(all)}. ${missingText(own)}`.trimEnd(),
    })
    return [id, svg] as const
  })
}

const columnsOf = (rows: ReadonlyArray<Readonly<Record<string, unknown>>>) =>
  table(Object.fromEntries(Object.keys(rows[0] ?? {}).map((name) => [name, rows.map((row) => row[name])])))

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** Files that hold what they should already are left as they are. */
export const writeComparison = Effect.fn("writeComparison")(function* (
  directory: string,
  comparison: Comparison,
  code: string,
) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const before = yield* Effect.option(readManifest(directory))
  const files: Record<string, string> = {}
  const write = Effect.fnUntraced(function* (name: string, content: string | Uint8Array) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
    files[name] = sha256(bytes)
    const there = yield* Effect.option(fs.readFile(join(directory, name)))
    if (there._tag === "Some" && sha256(there.value) === files[name]) return
    yield* commitFile(join(directory, name), bytes)
  })
  yield* write(COMPARISON, json(yield* Schema.encodeEffect(Comparison)(comparison)))
  yield* write("comparison.md", comparisonDocument(comparison))
  const rows = columnsOf(comparisonRows(comparison))
  yield* write("comparison.csv", rows.toCSV())
  yield* write("comparison.parquet", encodeTable(rows))
  const drawn = comparisonFigures(comparison)
  for (const [id, svg] of drawn) yield* write(`figures/${id}.svg`, svg)
  for (const name of yield* fs.readDirectory(join(directory, "figures"))) {
    if (!Object.hasOwn(files, `figures/${name}`)) yield* fs.remove(join(directory, "figures", name))
  }
  const renderedFrom = digestOf({ code, comparison: files[COMPARISON] })
  const { evidence } = comparison
  const manifest = yield* manifestOf({
    evidence,
    code,
    config: comparison.config,
    files,
    renderedFrom,
    before,
  })
  yield* commitFile(
    join(directory, MANIFEST),
    new TextEncoder().encode(json(yield* Schema.encodeEffect(Manifest)(manifest))),
  )
})
