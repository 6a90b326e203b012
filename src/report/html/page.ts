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

/** What `reproduce-all` wrote. */
export interface Paper {
  readonly manifest: Manifest
  readonly claims: ReadonlyArray<ClaimRow>
  readonly figures: ReadonlyArray<ShownFigure>
  /** Tables beside those of the figures. */
  readonly data: ReadonlyArray<FigureData>
  /** Files that are not as the manifest says. */
  readonly changed: ReadonlyArray<string>
}

export interface Source {
  /** Null where only ablations were run. */
  readonly paper: Paper | null
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

const summary = ({ claims, manifest }: Paper): Html =>
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

const navigation = ({ paper, ablations }: Source): Html => {
  const link = (href: Href, text: string) => h("li", {}, h("a", { href }, text))
  const ofPaper = (...links: ReadonlyArray<Html>) => (paper === null ? [] : links)
  return h(
    "nav",
    { "aria-label": "Sections" },
    h(
      "ul",
      {},
      ...ofPaper(link("#summary", "Summary"), link("#claims", "Claims"), link("#figures", "Figures")),
      ...ablations.map((one) => link(`#${ablationAnchor(one)}`, `Ablation: ${one.comparison.name}`)),
      ...ofPaper(link("#configuration", "Hyper-parameters"), link("#run", "Run and cost")),
    ),
  )
}

const isEmpty = ({ paper, ablations }: Source): boolean => paper === null && ablations.length === 0

const sections = ({ paper, ablations }: Source): ReadonlyArray<Child> =>
  paper === null
    ? [
        h("p", {}, "The paper's claims were not measured here: reproduce-all does that."),
        ...ablations.map(ablationSection),
      ]
    : [
        summary(paper),
        claimsSection(paper.claims, paper.manifest),
        figuresSection(paper.figures),
        h(
          "p",
          { class: "data" },
          "Further tables: ",
          paper.data.map(({ name, csv }) => [download(name, csv), " "]),
        ),
        ...ablations.map(ablationSection),
        configSection(paper.manifest),
        runSection(paper.manifest, paper.changed),
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
      source === undefined || isEmpty(source) ? null : navigation(source),
      h(
        "main",
        { id: "content", tabindex: -1 },
        served === undefined ? null : served.live,
        ...(source === undefined || isEmpty(source)
          ? [h("p", {}, "No results were written so far.")]
          : sections(source)),
      ),
      h(
        "footer",
        {},
        h("p", {}, `grokscope ${source?.paper?.manifest.versions.grokscope ?? packageJson.version}`),
      ),
    ),
  })
