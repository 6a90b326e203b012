/**
 * Writes the results of a reproduction:
 *
 *     claims.json  claims.md        every claim with its verdict, as data and in words
 *     tables/*.parquet  *.csv       what the figures are drawn from
 *     figures/*.svg  *.png
 *     manifest.json                 versions, machine, times and keys of everything that was run
 */
import { Effect, FileSystem, Path, Schema } from "effect"
import { renderPng } from "../figures/png.ts"
import { ClaimRow } from "../pipelines/Claim.ts"
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

export const writeReport = Effect.fn("writeReport")(function* (report: Report) {
  const { directory, evidence, tables, claims } = report
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  for (const part of ["tables", "figures"]) {
    // What a former run drew, and this one does not, must not stay.
    yield* fs.remove(path.join(directory, part), { recursive: true, force: true })
  }
  const write = (name: string, content: string | Uint8Array) =>
    commitFile(
      path.join(directory, name),
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    )
  for (const name of tableNames) {
    yield* write(`tables/${name}.parquet`, toParquet(name, tables[name]))
    yield* write(`tables/${name}.csv`, toCsv(name, tables[name]))
  }
  yield* write("claims.json", json(yield* Schema.encodeEffect(Schema.Array(ClaimRow))(claims)))
  for (const [name, text] of rendered({ tables, claims, evidence })) {
    yield* write(name, text)
    if (name.endsWith(".svg")) yield* write(name.replace(/svg$/, "png"), renderPng(text))
  }
  yield* write("manifest.json", json(yield* Schema.encodeEffect(Manifest)(yield* manifestOf(evidence))))
})
