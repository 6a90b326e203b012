/** The whole report as one page that needs nothing else. */
import packageJson from "../../../package.json" with { type: "json" }
import type { ClaimRow } from "../../pipelines/Claim.ts"
import { headlinesOf, INTERVALS, tally } from "../claimsText.ts"
import type { FigureData } from "../figureData.ts"
import { answer, findings, QUESTION } from "../findings.ts"
import type { Manifest } from "../manifest.ts"
import { type Ablation, ablationAnchor, ablationSection } from "./ablationSection.ts"
import { claimsSection, claimsTable } from "./claimsSection.ts"
import { figureBlock, figuresSection, type ShownFigure } from "./figuresSection.ts"
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

/** Terms of the field and of this page, in the order in which they are needed. */
const vocabulary = terms([
  [
    "Grokking",
    "A network learns its training pairs by heart early on, and much later, within a few hundred steps, the rule behind them.",
  ],
  [
    "Feature, centroid",
    "What a network computes of an input. Its centroid for an input is the gradient of the correct answer's logit with respect to the embedded input (Linear Centroids Hypothesis): features show in how centroids lie.",
  ],
  [
    "SED",
    "Spectral-edge directions: the K\u00a0=\u00a03 leading right singular vectors of W\u00a0=\u00a020 rows, one for each checkpoint. Rows are the optimizer's updates, or gradients of the loss.",
  ],
  [
    "R₁, R̄",
    "How much further the centroids of the probes (1,024 pairs) move, squared, when the attention weights are displaced along a direction than along random ones: R₁ for the leading direction, R̄ the mean over all three. R̄\u00a0=\u00a0100 means ten times the displacement; R̄\u00a0=\u00a01 is a random direction.",
  ],
  [
    "Peak",
    "The largest R̄ over the points of a run. A maximum is biased upward, so time means stand beside it.",
  ],
  [
    "ρ",
    "R̄ of the loss's gradients ÷ R̄ of the gradients of randomly drawn logits, which have nothing to do with the task.",
  ],
  [
    "Arm, buffer, warm-up",
    "An arm is a training in which attention's gradient is changed at every step, such as projected on three directions. After 20 natural steps (the warm-up) the directions are those of a buffer of the last 20 vectors.",
  ],
])

/** What stands at the top, and the same for a narrow screen. */
const OVERVIEWS = ["overview", "overview-narrow"]

const summary = ({ claims, figures, manifest }: Paper): Html => {
  const [overview, narrow] = OVERVIEWS.map((wanted) => figures.find(({ name }) => name === wanted))
  return h(
    "section",
    { id: "summary", "aria-labelledby": "summary-title" },
    h("h2", { id: "summary-title" }, "Question and answer"),
    h("p", {}, QUESTION),
    h("p", { class: "answer" }, answer(claims)),
    h("p", { class: "evidence" }, `What the numbers are worth: ${manifest.evidence}.`),
    vocabulary,
    overview === undefined ? null : figureBlock(overview, narrow),
    claimsTable("The statements of the abstract", headlinesOf(claims)),
    h("p", {}, `${tally(claims)}. ${INTERVALS}.`),
    h("h3", {}, "What was found"),
    prose(findings(claims)),
  )
}

const navigation = ({ paper, ablations }: Source): Html => {
  const link = (href: Href, text: string) => h("li", {}, h("a", { href }, text))
  const ofPaper = (...links: ReadonlyArray<Html>) => (paper === null ? [] : links)
  return h(
    "nav",
    { "aria-label": "Sections" },
    h(
      "ul",
      {},
      ...ofPaper(link("#summary", "Question and answer"), link("#figures", "Figures")),
      ...ablations.map((one) => link(`#${ablationAnchor(one)}`, `Ablation: ${one.comparison.name}`)),
      ...ofPaper(link("#claims", "Claims in full")),
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
        figuresSection(paper.figures.filter(({ name }) => !OVERVIEWS.includes(name))),
        h(
          "p",
          { class: "data" },
          "Further tables: ",
          paper.data.map(({ name, csv }) => [download(name, csv), " "]),
        ),
        ...ablations.map(ablationSection),
        claimsSection(paper.claims, paper.manifest),
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
