/** Of each figure the rows that it is drawn from, as CSV: what `figures.ts` reads, by the figure's name; and tables that no figure is drawn from. */
import type { ClaimRow } from "../pipelines/Claim.ts"
import { type TableName, type Tables, toCsv } from "./tables.ts"

export interface FigureData {
  /** Of the file. */
  readonly name: string
  readonly csv: string
}

const cell = (value: string | number | null): string => {
  const text = value === null ? "" : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** The numbers of claims, one a line: what figures draw of them. */
export const claimsCsv = (rows: ReadonlyArray<ClaimRow>): string =>
  [
    "id,published,publishedLow,publishedHigh,value,low,high,n,unit,number,reading",
    ...rows.map(({ id, paper, measured, number, reading }) => {
      const { value, low, high, n, unit } = measured
      const published = "value" in paper ? paper.value : "atMost" in paper ? paper.atMost : null
      const range = "low" in paper ? [paper.low, paper.high] : [null, null]
      return [
        ...[id, published, ...range, value, low, high, n, unit],
        ...[number?.verdict ?? null, reading?.verdict ?? null],
      ]
        .map(cell)
        .join(",")
    }),
    "",
  ].join("\n")

const rowsOf = <Name extends TableName>(
  figure: string,
  tables: Tables,
  name: Name,
  isDrawn: (row: Tables[Name][number]) => boolean = () => true,
): FigureData => {
  const rows: ReadonlyArray<Tables[Name][number]> = tables[name]
  return { name: `${figure}-${name}.csv`, csv: toCsv(name, rows.filter(isDrawn)) }
}

const claimsOf = (figure: string, claims: ReadonlyArray<ClaimRow>, pattern: RegExp): FigureData => ({
  name: `${figure}-claims.csv`,
  csv: claimsCsv(claims.filter(({ id }) => pattern.test(id))),
})

/** Nothing for a figure that is not known here. */
export const figureData = (
  figure: string,
  tables: Tables,
  claims: ReadonlyArray<ClaimRow>,
): ReadonlyArray<FigureData> => {
  const [kind = "", ...rest] = figure.split("-")
  const of = rest.join("-")
  switch (kind) {
    case "overview":
      return [
        rowsOf(figure, tables, "coupling", ({ window, draw }) => window === "published" && draw === 0),
        rowsOf(figure, tables, "runs"),
        rowsOf(figure, tables, "interventions"),
      ]
    case "coupling":
      return [
        rowsOf(figure, tables, "coupling", ({ window }) => window === of),
        rowsOf(figure, tables, "accuracy"),
      ]
    case "peaks":
      return [claimsOf(figure, claims, /^coupling\.single\.\w+\.(update|gradient)\.peak$/)]
    case "window":
    case "epsilon":
    case "rank":
    case "noise":
      return [rowsOf(figure, tables, "sweeps", ({ setting }) => setting === kind)]
    case "multitask":
      return [rowsOf(figure, tables, "multitask")]
    case "interventions":
      return [
        rowsOf(figure, tables, "intervention-curves", ({ operation }) => operation === of),
        rowsOf(figure, tables, "interventions", ({ operation }) => operation === of),
      ]
    case "speedups":
      return [
        rowsOf(figure, tables, "interventions"),
        claimsOf(figure, claims, /^intervention\..*\.speedup$/),
      ]
    case "spectra":
      return [rowsOf(figure, tables, "spectra")]
    case "fourier":
      return [rowsOf(figure, tables, "harmonics", ({ operation }) => operation === of)]
    case "runs":
      return [{ name: "runs.csv", csv: toCsv("runs", tables.runs) }]
    case "centroid":
      return [{ name: "centroid-spectrum.csv", csv: toCsv("centroid-spectrum", tables["centroid-spectrum"]) }]
    case "per":
      return [rowsOf(figure, tables, "per-example")]
    default:
      return []
  }
}
