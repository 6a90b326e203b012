/** How much of each centroid component a single frequency explains, family by family. */
import * as Plot from "@observablehq/plot"
import { linearTicks } from "./scales.ts"
import { type Panel, renderSvg } from "./svg.ts"
import { textWidth } from "./text.ts"
import { fontSize, neutral, page } from "./theme.ts"

export interface FourierRow {
  /** 1 for the first principal component. */
  readonly component: number
  /** What the angles are formed from, such as "a + b". */
  readonly family: string
  /** R² in [0, 1] at ω = 1, 2, … */
  readonly fit: ReadonlyArray<number>
}

export interface FourierHeatMap {
  readonly title: string
  readonly rows: ReadonlyArray<FourierRow>
  /** What only the caller knows: operation, seed, step. */
  readonly caption: string
}

const cellHeight = 13
const gap = 14
const scaleSteps = 64

/** Ends of the colour scale: the first that holds every value. */
const tops = [0.1, 0.2, 0.5, 1]

export const fourierHeatMap = (data: FourierHeatMap): string => {
  const highest = Math.max(0, ...data.rows.flatMap(({ fit }) => fit.filter(Number.isFinite)))
  const most = tops.find((end) => highest <= end) ?? 1
  /** From white to dark blue: lightness falls all the way, so it reads in greyscale. */
  const colour = { type: "linear", scheme: "blues", domain: [0, most] } as const
  const families = [...Map.groupBy(data.rows, ({ family }) => family)]
  const count = Math.max(...data.rows.map(({ fit }) => fit.length))
  const frequencies = Array.from({ length: count }, (_, i) => i + 1)
  const familyWidth = Math.max(...families.map(([name]) => textWidth(name, fontSize.heading, true)))
  const left = familyWidth + 54
  const width = page.width - 2 * page.margin
  let top = 40
  const maps = families.map(([family, rows], i): Panel => {
    const components = rows.map(({ component }) => component).sort((a, b) => a - b)
    const last = i === families.length - 1
    const margins = { top: gap / 2, bottom: gap / 2 + (last ? 36 : 0), left, right: 4 }
    const height = components.length * cellHeight + margins.top + margins.bottom
    const panel: Panel = {
      x: page.margin,
      y: top,
      width,
      height,
      margins,
      xScale: { type: "band", domain: frequencies, padding: 0.06 },
      yScale: { type: "band", domain: components, padding: 0.06 },
      colour,
      marks: [
        Plot.cell(
          rows.flatMap(({ component, fit }) =>
            fit.map((value, k) => ({ component, frequency: k + 1, value })),
          ),
          { x: "frequency", y: "component", fill: "value", inset: 0 },
        ),
        Plot.frame({ stroke: neutral.axis, strokeWidth: 0.8 }),
        Plot.text(components, {
          frameAnchor: "left",
          y: (component: number) => component,
          text: (component: number) => `PC${component}`,
          textAnchor: "end",
          dx: -7,
          fill: neutral.text,
        }),
        Plot.text([family], {
          frameAnchor: "left",
          textAnchor: "end",
          dx: -44,
          fontSize: fontSize.heading,
          fontWeight: 600,
        }),
        ...(last
          ? [
              Plot.axisX(
                frequencies.filter((frequency) => frequency === 1 || frequency % 4 === 0),
                {
                  tickSize: 3,
                  label: "frequency ω",
                  labelAnchor: "center",
                  labelArrow: "none",
                  labelOffset: 36,
                },
              ),
            ]
          : []),
      ],
    }
    top += height
    return panel
  })
  const steps = Array.from({ length: scaleSteps }, (_, i) => (most * i) / scaleSteps)
  const scalePanel: Panel = {
    x: page.width - page.margin - 300,
    y: 0,
    width: 300,
    height: 40,
    margins: { top: 6, bottom: 22, left: 90, right: 14 },
    xScale: { type: "linear", domain: [0, most] },
    yScale: { type: "linear", domain: [0, 1] },
    colour,
    marks: [
      Plot.rect(steps, {
        x1: (from: number) => from,
        x2: (from: number) => from + most / scaleSteps,
        y1: 0,
        y2: 1,
        fill: (from: number) => from + (0.5 * most) / scaleSteps,
        insetRight: -0.5,
      }),
      Plot.frame({ stroke: neutral.axis, strokeWidth: 0.8 }),
      Plot.axisX(linearTicks([0, most], 4), { tickSize: 3, tickFormat: String, label: null }),
      Plot.text(["R²"], { frameAnchor: "left", textAnchor: "end", dx: -8, fontWeight: 600 }),
    ],
  }
  return renderSvg({
    title: data.title,
    panels: [scalePanel, ...maps],
    caption: [
      "Share of the variance of a principal component's scores (PC) that the cosine and sine of frequency ω explain: R² of ordinary least squares, without unit.",
      data.caption,
    ],
  })
}
