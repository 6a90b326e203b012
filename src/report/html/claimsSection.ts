/** Claims as tables, the effect beside its controls; below each table everything behind every number. */
import type { ClaimRow, Estimate } from "../../pipelines/Claim.ts"
import type { Verdict } from "../../pipelines/verdicts.ts"
import { digits, estimateText, publishedText, seedText } from "../estimateText.ts"
import type { Manifest } from "../manifest.ts"
import { provenanceIn } from "../provenance.ts"
import { type Child, type Html, h } from "./html.ts"
import { disclosure, slug, table, terms } from "./parts.ts"
import { provenanceTable } from "./stagesSection.ts"

type Rows = ReadonlyArray<ClaimRow>

const marks: Record<Verdict, string> = {
  reproduced: "✓ reproduced",
  partly: "~ partly",
  contradicted: "✗ contradicted",
  "not-tested": "· not tested",
}

export const verdictBadge = (verdict: Verdict): Html =>
  h("span", { class: `verdict ${verdict}` }, marks[verdict])

export const claimAnchor = ({ id }: ClaimRow) => `claim-${slug(id)}`

/** Groups by the first part of their ids, in the order of the page. */
const titles: ReadonlyArray<readonly [prefix: string, title: string]> = [
  ["coupling", "The paper: coupling"],
  ["intervention", "The paper: interventions"],
  ["rebuttal", "The authors' rebuttal"],
  ["robustness", "The reviewer's question"],
  ["control", "Our controls"],
  ["definition", "Sensitivity to definitions"],
]

const prefixOf = ({ id }: ClaimRow): string => id.split(".")[0] ?? ""

export const groupsOf = (rows: Rows) => {
  const known = new Map(titles)
  const prefixes = [...new Set([...known.keys(), ...rows.map(prefixOf)])]
  return prefixes
    .map((prefix) => ({
      prefix,
      title: known.get(prefix) ?? prefix,
      rows: rows.filter((row) => prefixOf(row) === prefix),
    }))
    .filter(({ rows }) => rows.length > 0)
}

const besideList = ({ beside, missing = [] }: ClaimRow): Child =>
  Object.keys(beside).length + missing.length === 0
    ? "none"
    : h(
        "ul",
        { class: "beside" },
        ...Object.entries(beside).map(([name, other]) =>
          h("li", {}, h("span", { class: "name" }, `${name}: `), estimateText(other)),
        ),
        ...missing.map(({ name }) => h("li", {}, h("span", { class: "name" }, `${name}: `), "missing")),
      )

/** @param linked whether the page has the details of each claim */
export const claimsTable = (title: string, rows: Rows, linked = true): Html =>
  table({
    caption: `${title}: verdicts`,
    class: "claims",
    columns: ["Claim", "Paper", "Measured [95 %]", "Beside it: controls and other definitions", "Verdict"],
    rows: rows.map((row) => [
      linked ? h("a", { href: `#${claimAnchor(row)}` }, h("code", {}, row.id)) : h("code", {}, row.id),
      publishedText(row.paper, row.measured.unit),
      h("span", { class: "effect" }, estimateText(row.measured)),
      besideList(row),
      verdictBadge(row.verdict),
    ]),
  })

const bySeed = ({ perSeed, unit }: Estimate): string =>
  perSeed.length === 0
    ? "no seed was measured"
    : perSeed.map(({ seed, value }) => `${seed}: ${seedText(unit, value)}`).join("; ")

const numbersTable = ({ id, measured, definition, beside, missing = [] }: ClaimRow): Html =>
  table({
    caption: `${id}: every number and its definition`,
    class: "numbers",
    columns: ["Number", "Mean [95 %]", "By seed", "Definition"],
    rows: [
      ["measured", estimateText(measured), bySeed(measured), definition],
      ...Object.entries(beside).map(([name, other]) => [
        name,
        estimateText(other),
        bySeed(other),
        other.definition,
      ]),
      ...missing.map(({ name, because }) => [name, "missing", "–", because]),
    ],
  })

const testText = ({ test }: ClaimRow): ReadonlyArray<readonly [string, string]> =>
  test === null
    ? []
    : [
        [
          "Test",
          `exact sign test over seeds, p = ${digits(test.p)}; after Holm's correction over the family “${test.family}” ${digits(test.adjusted)}; with so many seeds p cannot be below ${digits(test.attainable)}`,
        ],
      ]

const claimDetails =
  (manifest: Manifest, provenanceOf: ReturnType<typeof provenanceIn>) =>
  (row: ClaimRow): Html =>
    disclosure(
      [h("code", {}, row.id), " ", verdictBadge(row.verdict)],
      [
        h("p", { class: "statement" }, row.statement),
        terms([
          ["Published", `${publishedText(row.paper, row.measured.unit)} (${row.paper.source})`],
          ["Unit", row.measured.unit],
          ["Verdict", `${row.verdict}: ${row.because}`],
          ...testText(row),
        ]),
        numbersTable(row),
        provenanceTable(row, manifest, provenanceOf(row)),
      ],
      claimAnchor(row),
    )

export const claimsSection = (rows: Rows, manifest: Manifest): Html => {
  const details = claimDetails(manifest, provenanceIn(manifest))
  return h(
    "section",
    { id: "claims", "aria-labelledby": "claims-title" },
    h("h2", { id: "claims-title" }, "Claims"),
    h(
      "p",
      {},
      "Every effect stands beside its controls. Means are geometric where a number is a ratio; intervals are 95 % bootstrap intervals over seeds, n counts seeds. The rules behind the verdicts were written before the results were seen.",
    ),
    ...groupsOf(rows).map(({ prefix, title, rows }) =>
      h(
        "section",
        { "aria-labelledby": `claims-of-${slug(prefix)}` },
        h("h3", { id: `claims-of-${slug(prefix)}` }, title),
        claimsTable(title, rows),
        h("h4", {}, `${title}: what is behind each number`),
        ...rows.map(details),
      ),
    ),
  )
}
