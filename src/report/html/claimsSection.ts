/** Claims as tables: the statements of the abstract, then the details, each with everything behind its numbers. */
import type { ClaimRow, Estimate } from "../../pipelines/Claim.ts"
import type { Reading, Verdict } from "../../pipelines/verdicts.ts"
import { headlinesOf, INTERVALS, readingMark, verdictMark } from "../claimsText.ts"
import { digits, estimateText, publishedText, seedText } from "../estimateText.ts"
import type { Manifest } from "../manifest.ts"
import { provenanceIn } from "../provenance.ts"
import { type Child, type Html, h } from "./html.ts"
import { disclosure, slug, table, terms } from "./parts.ts"
import { provenanceTable } from "./stagesSection.ts"

type Rows = ReadonlyArray<ClaimRow>

const badge = (kind: Verdict | Reading, mark: string): Html => h("span", { class: `verdict ${kind}` }, mark)

/** Both judgements of a claim; nothing where nothing is judged. */
export const judgements = ({ number, reading }: ClaimRow): Child =>
  number === null || reading === null
    ? "not judged"
    : [
        h("span", { class: "judged" }, "number ", badge(number.verdict, verdictMark[number.verdict])),
        " ",
        h("span", { class: "judged" }, "reading ", badge(reading.verdict, readingMark[reading.verdict])),
      ]

export const claimAnchor = ({ id }: ClaimRow) => `claim-${slug(id)}`

/** Details by the first part of their ids, in the order of the page. */
const titles: ReadonlyArray<readonly [prefix: string, title: string]> = [
  ["coupling", "Coupling"],
  ["centroids", "Centroids"],
  ["intervention", "Interventions"],
  ["null", "The null objective"],
  ["robustness", "Other optimisers: the reviewer's question"],
  ["rebuttal", "A reviewer's simulated rebuttal"],
  ["definition", "Sensitivity to definitions"],
]

const prefixOf = ({ id }: ClaimRow): string => id.split(".")[0] ?? ""

export const groupsOf = (rows: Rows) => {
  const details = rows.filter(({ isHeadline }) => !isHeadline)
  const known = new Map(titles)
  const prefixes = [...new Set([...known.keys(), ...details.map(prefixOf)])]
  return prefixes
    .map((prefix) => ({
      prefix,
      title: known.get(prefix) ?? prefix,
      rows: details.filter((row) => prefixOf(row) === prefix),
    }))
    .filter(({ rows }) => rows.length > 0)
}

/** @param linked whether the page has the details of each claim */
export const claimsTable = (caption: string, rows: Rows, linked = true): Html =>
  table({
    caption,
    class: "claims",
    columns: ["Claim", "Judged", "Published", "Measured"],
    rows: rows.map((row) => [
      linked ? h("a", { href: `#${claimAnchor(row)}` }, row.short) : row.short,
      judgements(row),
      publishedText(row.paper, row.measured.unit),
      h("span", { class: "effect" }, estimateText(row.measured)),
    ]),
  })

const byRun = ({ perSeed, unit }: Estimate): string =>
  perSeed.length === 0
    ? "no run was measured"
    : perSeed
        .map(({ seed, operation, value }) => {
          const run = operation === undefined ? String(seed) : `${operation}/${seed}`
          return `${run}: ${seedText(unit, value)}`
        })
        .join("; ")

const numbersTable = ({ id, measured, definition, beside, controls, missing = [] }: ClaimRow): Html =>
  table({
    caption: `${id}: every number and its definition`,
    class: "numbers",
    columns: ["Number", "Mean", "By run", "Definition"],
    rows: [
      ["measured", estimateText(measured), byRun(measured), definition],
      ...Object.entries(beside).map(([name, other]) => [
        name,
        estimateText(other),
        byRun(other),
        other.definition,
      ]),
      ...Object.entries(controls).map(([name, control]) => [
        `control: ${name}`,
        [estimateText(control), control.compared === "" ? "" : `, ${control.compared}`],
        byRun(control),
        control.definition,
      ]),
      ...missing.map(({ name, because }) => [name, "missing", "–", because]),
    ],
  })

const testText = ({ measured: { test } }: ClaimRow): ReadonlyArray<readonly [string, string]> =>
  test === undefined
    ? []
    : [
        [
          "Test",
          `exact permutation test of the paired logarithms against 0, p = ${digits(test.p)}; so many pairs can give no less than ${digits(test.attainable)}`,
        ],
      ]

const reasons = ({ number, reading }: ClaimRow): ReadonlyArray<readonly [string, string]> => [
  ...(number === null ? [] : [["Number", `${number.verdict}: ${number.because}`] as const]),
  ...(reading === null ? [] : [["Reading", `${reading.verdict}: ${reading.because}`] as const]),
]

const claimDetails =
  (manifest: Manifest, provenanceOf: ReturnType<typeof provenanceIn>) =>
  (row: ClaimRow): Html =>
    disclosure(
      [row.short, " ", h("code", {}, row.id)],
      [
        h("p", { class: "statement" }, row.statement),
        terms([
          ["Published", `${publishedText(row.paper, row.measured.unit)} (${row.paper.source})`],
          ["Unit", row.measured.unit],
          ...reasons(row),
          ...testText(row),
        ]),
        numbersTable(row),
        provenanceTable(row, manifest, provenanceOf(row)),
      ],
      claimAnchor(row),
    )

/** Everything behind the statements of the abstract, then the details. */
export const claimsSection = (rows: Rows, manifest: Manifest): Html => {
  const details = claimDetails(manifest, provenanceIn(manifest))
  return h(
    "section",
    { id: "claims", "aria-labelledby": "claims-title" },
    h("h2", { id: "claims-title" }, "Claims in full"),
    h(
      "p",
      {},
      `Each claim opens to every number behind it: other definitions, controls, runs, stages. Means are geometric where a number is a ratio; n counts runs. ${INTERVALS}. The rules were written before the results were seen.`,
    ),
    h("h3", {}, "The statements of the abstract"),
    ...headlinesOf(rows).map(details),
    ...groupsOf(rows).map(({ prefix, title, rows }) =>
      h(
        "section",
        { "aria-labelledby": `claims-of-${slug(prefix)}` },
        h("h3", { id: `claims-of-${slug(prefix)}` }, title),
        claimsTable(`${title}: judgements`, rows),
        ...rows.map(details),
      ),
    ),
  )
}
