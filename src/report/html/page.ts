/** The whole report as one page that needs nothing else. */
import packageJson from "../../../package.json" with { type: "json" }
import type { ClaimRow } from "../../pipelines/Claim.ts"
import { tally } from "../claimsText.ts"
import type { FigureData } from "../figureData.ts"
import { findings } from "../findings.ts"
import type { Manifest } from "../manifest.ts"
import { type Ablation, ablationAnchor, ablationSection } from "./ablationSection.ts"
import { claimAnchor, claimsSection, verdictBadge } from "./claimsSection.ts"
import { figuresSection, type ShownFigure } from "./figuresSection.ts"
import { all, type Child, type Href, type Html, h, htmlDocument } from "./html.ts"
import { download, terms } from "./parts.ts"
import { prose } from "./prose.ts"
import { configSection, runSection } from "./runSection.ts"
import { css } from "./style.ts"

export interface Source {
  readonly manifest: Manifest
  readonly claims: ReadonlyArray<ClaimRow>
  readonly figures: ReadonlyArray<ShownFigure>
  /** Tables beside those of the figures. */
  readonly data: ReadonlyArray<FigureData>
  /** Files that are not as the manifest says. */
  readonly changed: ReadonlyArray<string>
  readonly ablations: ReadonlyArray<Ablation>
}

/** What the page allows itself: its own styles and data, and nothing from anywhere. */
export const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'"

const verdictList = (claims: ReadonlyArray<ClaimRow>): Html =>
  terms(
    (["contradicted", "partly", "reproduced", "not-tested"] as const).map((verdict) => {
      const rows = claims.filter((row) => row.verdict === verdict)
      return [
        [verdictBadge(verdict), ` ${rows.length}`],
        rows.length === 0
          ? "none"
          : h(
              "ul",
              { class: "ids" },
              ...rows.map((row) => h("li", {}, h("a", { href: `#${claimAnchor(row)}` }, row.id))),
            ),
      ]
    }),
  )

const summary = ({ claims, manifest }: Source): Html =>
  h(
    "section",
    { id: "summary", "aria-labelledby": "summary-title" },
    h("h2", { id: "summary-title" }, "Summary"),
    h("p", { class: "evidence" }, `What the numbers are worth: ${manifest.evidence}.`),
    h("p", {}, `${tally(claims)}.`),
    verdictList(claims),
    h("h3", {}, "What was found"),
    prose(findings(claims)),
  )

const navigation = ({ ablations }: Source): Html => {
  const link = (href: Href, text: string) => h("li", {}, h("a", { href }, text))
  return h(
    "nav",
    { "aria-label": "Sections" },
    h(
      "ul",
      {},
      link("#summary", "Summary"),
      link("#claims", "Claims"),
      link("#figures", "Figures"),
      ...ablations.map((one) => link(`#${ablationAnchor(one)}`, `Ablation: ${one.comparison.name}`)),
      link("#configuration", "Hyper-parameters"),
      link("#run", "Run and cost"),
    ),
  )
}

const sections = (source: Source): ReadonlyArray<Child> => [
  summary(source),
  claimsSection(source.claims, source.manifest),
  figuresSection(source.figures),
  h(
    "p",
    { class: "data" },
    "Further tables: ",
    source.data.map(({ name, csv }) => [download(name, csv), " "]),
  ),
  ...source.ablations.map(ablationSection),
  configSection(source.manifest),
  runSection(source.manifest, source.changed),
]

/** What a page that is served has beside what a file has. */
export interface Served {
  /** A section that stands first. */
  readonly live: Html
  readonly script: { readonly nonce: string; readonly code: string }
}

/** @param source none where nothing was written so far */
export const reportPage = (source: Source | undefined, served?: Served): string =>
  htmlDocument({
    title: "grokscope: claims of arXiv 2604.25143, measured",
    policy:
      served === undefined
        ? POLICY
        : `${POLICY}; script-src 'nonce-${served.script.nonce}'; connect-src 'self'`,
    css,
    ...(served === undefined ? {} : { script: served.script }),
    body: all(
      h("a", { href: "#content", class: "skip" }, "Skip to the content"),
      h(
        "header",
        {},
        h("h1", {}, "Claims of arXiv 2604.25143, measured"),
        h("p", {}, "Rendered from stored results; no measured number here was typed by hand."),
      ),
      source === undefined ? null : navigation(source),
      h(
        "main",
        { id: "content", tabindex: -1 },
        served === undefined ? null : served.live,
        ...(source === undefined ? [h("p", {}, "No results were written so far.")] : sections(source)),
      ),
      h("footer", {}, h("p", {}, `grokscope ${source?.manifest.versions.grokscope ?? packageJson.version}`)),
    ),
  })
