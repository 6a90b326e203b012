/** Figures, each with its caption and its data. */
import type { FigureData } from "../figureData.ts"
import type { CheckedSvg } from "./checkedSvg.ts"
import { type Html, h, inline } from "./html.ts"
import { download } from "./parts.ts"

export interface ShownFigure {
  readonly name: string
  readonly svg: CheckedSvg
  readonly data: ReadonlyArray<FigureData>
}

const card = (svg: CheckedSvg, kind: string): Html =>
  h(
    "div",
    { class: `scroll card${kind}`, role: "region", "aria-label": `${svg.title} (figure)`, tabindex: 0 },
    inline(svg),
  )

/** @param narrow the same figure for a narrow screen; without it, a narrow screen scrolls */
export const figureBlock = ({ name, svg, data }: ShownFigure, narrow?: ShownFigure): Html =>
  h(
    "figure",
    {},
    narrow === undefined ? card(svg, "") : [card(svg, " wide"), card(narrow.svg, " narrow")],
    h(
      "figcaption",
      {},
      h("p", {}, h("strong", {}, `${svg.title}. `), svg.description),
      h(
        "p",
        { class: "data" },
        `Data of ${name}: `,
        data.length === 0 ? "none recorded" : data.map(({ name, csv }) => [download(name, csv), " "]),
      ),
    ),
  )

export const figuresSection = (figures: ReadonlyArray<ShownFigure>): Html =>
  h(
    "section",
    { id: "figures", "aria-labelledby": "figures-title" },
    h("h2", { id: "figures-title" }, "Figures"),
    figures.length === 0
      ? h("p", {}, "No figures were written.")
      : figures.map((figure) => figureBlock(figure)),
  )
