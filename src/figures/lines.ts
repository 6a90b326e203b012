/** Curves over training: thin lines for seeds, a thick one for their mean, labels at the ends. */
import * as Plot from "@observablehq/plot"
import { type Axis, pixels } from "./axes.ts"
import type { Band, Point } from "./overSeeds.ts"
import { isPositive } from "./scales.ts"
import { spread } from "./spread.ts"
import type { Panel } from "./svg.ts"
import { wrapName } from "./text.ts"
import { fontSize, type Style } from "./theme.ts"

const drawable = (axis: Axis) => (value: number) =>
  axis.type === "log" ? isPositive(value) : Number.isFinite(value)

export const seedLine = (points: ReadonlyArray<Point>, style: Style, y: Axis): Plot.Markish =>
  Plot.line([...points], {
    x: "step",
    y: ({ value }: Point) => (drawable(y)(value) ? value : Number.NaN),
    stroke: style.colour,
    strokeWidth: 0.8,
    strokeOpacity: 0.55,
  })

export const meanLine = (band: ReadonlyArray<Band>, style: Style, y: Axis): Plot.Markish =>
  Plot.line([...band], {
    x: "step",
    y: ({ mean }: Band) => (drawable(y)(mean) ? mean : Number.NaN),
    stroke: style.colour,
    strokeWidth: 2.2,
    strokeDasharray: style.dash,
    strokeLinecap: "butt",
  })

/** From the least to the greatest seed. */
export const range = (band: ReadonlyArray<Band>, style: Style, y: Axis): Plot.Markish =>
  Plot.areaY(
    band.filter(({ low }) => drawable(y)(low)),
    { x: "step", y1: "low", y2: "high", fill: style.colour, fillOpacity: 0.13 },
  )

export interface EndLabel {
  readonly name: string
  readonly style: Style
  /** Where the labelled line ends, in the data's units. */
  readonly x: number
  readonly y: number
}

/** Ends no further apart than this, in pixels, count as level. */
const level = 6

const lead = { from: 3, to: 12, text: 15 }
const leading = 13

/**
 * Names right of the plot area, clear of each other, each tied to the end of its line. Of lines that end level, the one
 * that ends first stands on top.
 */
export const endLabels = (
  labels: ReadonlyArray<EndLabel>,
  x: Axis,
  y: Axis,
  { width, height, margins }: Pick<Panel, "width" | "height" | "margins">,
): ReadonlyArray<Plot.Markish> => {
  const edge = width - margins.right
  const across = pixels(x, margins.left, edge)
  const up = pixels(y, height - margins.bottom, margins.top)
  const row = ({ y }: EndLabel) => level * Math.round(up.of(y) / level)
  const order = labels.toSorted((a, b) => row(a) - row(b) || a.x - b.x)
  const texts = order.map(({ name }) => wrapName(name, margins.right - lead.text - 2, fontSize.label))
  const middles = spread(
    order.map((label, i) => ({ at: row(label), size: (texts[i]?.length ?? 1) * leading + 2 })),
    margins.top - 8,
    height - margins.bottom + 8,
  )
  return order.flatMap((label, i) => {
    const middle = up.at(middles[i] ?? 0)
    const atEdge = [across.at(edge + lead.from), label.y]
    const leader = { stroke: label.style.colour, strokeWidth: 0.9 }
    return [
      Plot.line([[label.x, label.y], atEdge], { ...leader, strokeDasharray: "1 2.5" }),
      Plot.line([atEdge, [across.at(edge + lead.to), middle]], leader),
      Plot.text([texts[i]?.join("\n") ?? ""], {
        x: across.at(edge + lead.text),
        y: middle,
        text: (text: string) => text,
        textAnchor: "start",
        fontSize: fontSize.label,
        fontWeight: 600,
        fill: label.style.ink,
      }),
    ]
  })
}
