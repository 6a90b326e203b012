/** Rows of `claims.json` as text: lines for the terminal, and `claims.md` for readers. */
import type { ClaimRow, Estimate } from "../pipelines/Claim.ts"
import type { Verdict } from "../pipelines/verdicts.ts"
import { digits, estimateText, publishedText, seedText } from "./estimateText.ts"
import { findings } from "./findings.ts"

const verdictMark: Record<Verdict, string> = {
  reproduced: "✓ reproduced",
  partly: "~ partly",
  contradicted: "✗ contradicted",
  "not-tested": "· not tested",
}

const widths = { id: 50, paper: 14, measured: 32 }

const column = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width)

const line = (id: string, paper: string, measured: string, verdict: string): string =>
  `${column(id, widths.id)} ${column(paper, widths.paper)} ${column(measured, widths.measured)} ${verdict}`.trimEnd()

export const claimLine = ({ id, paper, measured, verdict }: ClaimRow): string =>
  line(
    id,
    "statement" in paper ? "(statement)" : publishedText(paper, measured.unit),
    estimateText(measured),
    verdictMark[verdict],
  )

export const claimsHeader = line("claim", "paper", "measured [95 %]", "verdict")

const counts = (rows: ReadonlyArray<ClaimRow>): string =>
  (["reproduced", "partly", "contradicted", "not-tested"] as const)
    .map((verdict) => `${rows.filter((row) => row.verdict === verdict).length} ${verdict}`)
    .join(", ")

/** How many claims of the paper got each verdict, and apart from them how many of others. */
export const tally = (rows: ReadonlyArray<ClaimRow>): string => {
  const ofThePaper = rows.filter(({ id }) => /^(coupling|intervention)\./.test(id))
  const others = rows.filter((row) => !ofThePaper.includes(row))
  const further =
    others.length === 0
      ? ""
      : `; of ${others.length} others (the rebuttal's, the reviewer's question, our controls) ${counts(others)}`
  return `Of ${ofThePaper.length} claims of the paper ${counts(ofThePaper)}${further}`
}

export const claimsTable = (rows: ReadonlyArray<ClaimRow>): string =>
  [claimsHeader, "─".repeat(114), ...rows.map(claimLine), "", tally(rows)].join("\n")

/** Text that Markdown shows as it is, on one line: in a table cell too. */
const plain = (text: string): string => text.replace(/[\\|`*<]/g, "\\$&").replace(/\s*\n\s*/g, " ")

const seedValues = ({ perSeed, unit }: Estimate): string =>
  perSeed.length === 0
    ? "none"
    : perSeed.map(({ seed, value }) => `${seed}: ${seedText(unit, value)}`).join(", ")

const testText = ({ test }: ClaimRow): ReadonlyArray<string> =>
  test === null
    ? []
    : [
        `Exact sign test over seeds: p = ${digits(test.p)}, after Holm's correction over the family “${test.family}” ${digits(test.adjusted)}; with so many seeds that differ from 1, p cannot be below ${digits(test.attainable)}.`,
      ]

const section = (row: ClaimRow): ReadonlyArray<string> => [
  `### \`${row.id}\`: ${row.verdict}`,
  "",
  `${plain(row.statement)}.`,
  "",
  `* Paper: ${plain(publishedText(row.paper, row.measured.unit))} (${row.paper.source}).`,
  `* Measured: ${estimateText(row.measured)}. By seed: ${seedValues(row.measured)}.`,
  `* Definition: ${plain(row.definition)}.`,
  `* Verdict: ${plain(row.because)}.`,
  ...testText(row).map((text) => `* ${text}`),
  ...Object.entries(row.beside).map(
    ([name, beside]) => `* Beside it, ${name}: ${estimateText(beside)} (by seed: ${seedValues(beside)}).`,
  ),
  ...(row.missing ?? []).map(({ name, because }) => `* Missing beside it, ${name}: ${plain(because)}.`),
  "",
]

/** All claims as a Markdown table. */
export const claimsMarkdown = (rows: ReadonlyArray<ClaimRow>): string =>
  [
    "| claim | paper | measured, 95 % interval over seeds | verdict |",
    "|---|---|---|---|",
    ...rows.map(
      (row) =>
        `| \`${row.id}\` | ${plain(publishedText(row.paper, row.measured.unit))} | ${estimateText(row.measured)} | ${row.verdict} |`,
    ),
  ].join("\n")

/** Every claim with its definition, reason, test and controls. */
export const claimSections = (rows: ReadonlyArray<ClaimRow>): string => rows.flatMap(section).join("\n")

const list = (rows: ReadonlyArray<ClaimRow>): string =>
  rows.length === 0 ? "none" : rows.map(({ id }) => `\`${id}\``).join(", ")

/** `claims.md`: verdicts first, those that contradict the paper before the others, then every claim in full. */
export const claimsDocument = (rows: ReadonlyArray<ClaimRow>, evidence: string): string => {
  const of = (verdict: Verdict) => rows.filter((row) => row.verdict === verdict)
  return [
    "# Claims of arXiv 2604.25143, measured",
    "",
    `Rendered from \`claims.json\` (${evidence}); no measured number here was typed by hand. ${tally(rows)}.`,
    "",
    "## What was found",
    "",
    findings(rows),
    "",
    "## Verdicts",
    "",
    `* **Contradicted**: ${list(of("contradicted"))}.`,
    `* **Partly**: ${list(of("partly"))}.`,
    `* **Reproduced**: ${list(of("reproduced"))}.`,
    `* **Not tested**: ${list(of("not-tested"))}.`,
    "",
    claimsMarkdown(rows),
    "",
    "The rules behind the verdicts were written before these results were seen; they stand in `src/pipelines/verdicts.ts` and beside the claims. Intervals are 95 % bootstrap intervals over seeds: with three seeds they span the smallest to the largest value. A value is the geometric mean over seeds where it is a ratio. A speed-up is the steps of the natural run over those of the arm; “never” is a run that did not grok within the steps it was given, and counts as a speed-up of 0.",
    "",
    "## Claim by claim",
    "",
    claimSections(rows),
  ].join("\n")
}
