/** Rows of `claims.json` as text: lines for the terminal, and `claims.md` for readers. */
import type { ClaimRow, Estimate } from "../pipelines/Claim.ts"
import type { Reading, Verdict } from "../pipelines/verdicts.ts"
import { digits, estimateText, publishedText, seedText } from "./estimateText.ts"
import { findings } from "./findings.ts"

type Rows = ReadonlyArray<ClaimRow>

export const verdictMark: Record<Verdict, string> = {
  reproduced: "✓ reproduced",
  partly: "~ partly",
  "not-reproduced": "✗ not reproduced",
  "not-tested": "· not tested",
}

export const readingMark: Record<Reading, string> = {
  supported: "✓ supported",
  "not-supported": "~ not supported",
  refuted: "✗ refuted",
  "not-tested": "· not tested",
}

const widths = { claim: 57, paper: 19, measured: 30, number: 16 }

const column = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width)

const line = (claim: string, paper: string, measured: string, number: string, reading: string): string =>
  `${column(claim, widths.claim)} ${column(paper, widths.paper)} ${column(measured, widths.measured)} ${column(number, widths.number)} ${reading}`.trimEnd()

/** A claim on a line; below it, why nothing was tested where nothing was. */
export const claimLine = ({ short, paper, measured, number, reading }: ClaimRow): string => {
  const shown = line(
    short,
    publishedText(paper, measured.unit),
    estimateText(measured),
    number === null ? "" : verdictMark[number.verdict],
    reading === null ? "" : readingMark[reading.verdict],
  )
  return number?.verdict === "not-tested" && measured.value === null ? `${shown}\n  ${number.because}` : shown
}

export const claimsHeader = line("claim", "paper", "measured [range or 95 %]", "number", "reading")

const RULE = "─".repeat(142)

/** How often each judgement was given. */
const counts = (names: ReadonlyArray<string>, given: ReadonlyArray<string>): string =>
  names
    .map((name) => ({ name, count: given.filter((one) => one === name).length }))
    .filter(({ count }) => count > 0)
    .map(({ name, count }) => `${count} ${name}`)
    .join(", ")

export const headlinesOf = (rows: Rows): Rows => rows.filter(({ isHeadline }) => isHeadline)
const detailsOf = (rows: Rows): Rows => rows.filter(({ isHeadline }) => !isHeadline)

/** What became of the statements of the abstract. */
export const tally = (rows: Rows): string => {
  const headlines = headlinesOf(rows)
  const numbers = headlines.flatMap(({ number }) => (number === null ? [] : [number.verdict]))
  const readings = headlines.flatMap(({ reading }) => (reading === null ? [] : [reading.verdict]))
  if (numbers.length === 0) return "Nothing is judged: these are not the paper's sizes"
  const verdicts = Object.keys(verdictMark)
  const readingNames = Object.keys(readingMark)
  return `Of the ${headlines.length} statements of the abstract the number is ${counts(verdicts, numbers)}; the reading is ${counts(readingNames, readings)}`
}

/** The statements of the abstract, then the details. */
export const claimsTable = (rows: Rows): string =>
  [
    claimsHeader,
    RULE,
    ...headlinesOf(rows).map(claimLine),
    "",
    "details",
    RULE,
    ...detailsOf(rows).map(claimLine),
    "",
    tally(rows),
  ].join("\n")

/** Text that Markdown shows as it is, on one line: in a table cell too. */
const plain = (text: string): string => text.replace(/[\\|`*<]/g, "\\$&").replace(/\s*\n\s*/g, " ")

const seedValues = ({ perSeed, unit }: Estimate): string =>
  perSeed.length === 0
    ? "none"
    : perSeed
        .map(({ seed, operation, value }) => {
          const run = operation === undefined ? String(seed) : `${operation}/${seed}`
          return `${run}: ${seedText(unit, value)}`
        })
        .join(", ")

const testText = ({ test }: Estimate): string =>
  test === undefined
    ? ""
    : ` Exact permutation test against 1: p = ${digits(test.p)}; so many pairs can give no less than ${digits(test.attainable)}.`

const judged = (row: ClaimRow): string =>
  [row.number?.verdict, row.reading?.verdict].some((verdict) => verdict !== undefined)
    ? `: number ${row.number?.verdict ?? "–"}, reading ${row.reading?.verdict ?? "–"}`
    : ""

const section = (row: ClaimRow): ReadonlyArray<string> => [
  `### \`${row.id}\`${judged(row)}`,
  "",
  `${plain(row.statement)}.`,
  "",
  `* Paper: ${plain(publishedText(row.paper, row.measured.unit))} (${row.paper.source}).`,
  `* Measured: ${estimateText(row.measured)}. By run: ${seedValues(row.measured)}.${testText(row.measured)}`,
  `* Definition: ${plain(row.definition)}.`,
  ...(row.number === null ? [] : [`* Number ${row.number.verdict}: ${plain(row.number.because)}.`]),
  ...(row.reading === null ? [] : [`* Reading ${row.reading.verdict}: ${plain(row.reading.because)}.`]),
  ...Object.entries(row.beside).map(
    ([name, beside]) => `* Also, ${plain(name)}: ${estimateText(beside)} (by run: ${seedValues(beside)}).`,
  ),
  ...Object.entries(row.controls).map(
    ([name, control]) =>
      `* Control, ${plain(name)}: ${estimateText(control)}${control.compared === "" ? "" : `, ${control.compared}`} (by run: ${seedValues(control)}).`,
  ),
  ...(row.missing ?? []).map(({ name, because }) => `* Missing, ${plain(name)}: ${plain(because)}.`),
  "",
]

/** Claims as a Markdown table, named by `name`. */
const markdownTable = (rows: Rows, name: (row: ClaimRow) => string): string =>
  [
    "| claim | published | measured | number | reading |",
    "|---|---|---|---|---|",
    ...rows.map(
      (row) =>
        `| ${name(row)} | ${plain(publishedText(row.paper, row.measured.unit))} | ${estimateText(row.measured)} | ${row.number?.verdict ?? ""} | ${row.reading?.verdict ?? ""} |`,
    ),
  ].join("\n")

/** The statements of the abstract as a Markdown table. */
export const headlinesMarkdown = (rows: Rows): string =>
  markdownTable(headlinesOf(rows), ({ short }) => plain(short))

/** Every claim with its definition, reasons, other definitions and controls. */
export const claimSections = (rows: Rows): string => rows.flatMap(section).join("\n")

/** What the interval in brackets is. */
export const INTERVALS =
  "In brackets: the smallest and largest of fewer than five runs; else 95 % by Student's t, pooled over operations and seeds where there are several operations"

/** `claims.md`: what was found, the statements of the abstract, every claim in a line, then every claim in full. */
export const claimsDocument = (rows: Rows, evidence: string): string =>
  [
    "# Claims",
    "",
    `${tally(rows)}. ${evidence[0]?.toUpperCase()}${evidence.slice(1)}. ${INTERVALS}. Rules: \`src/pipelines/verdicts.ts\`.`,
    "",
    "## Findings",
    "",
    findings(rows),
    "",
    "## The statements of the abstract",
    "",
    headlinesMarkdown(rows),
    "",
    "## Details",
    "",
    markdownTable(detailsOf(rows), ({ id }) => `\`${id}\``),
    "",
    "## Every claim in full",
    "",
    claimSections(rows),
  ].join("\n")
