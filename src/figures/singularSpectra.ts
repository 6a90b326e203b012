/** Leading singular values of the windows of update and gradient rows, at three phases of training. */
import * as Plot from "@observablehq/plot"
import { around, logAxis, plotAreas, scale, unlabelled, xAxis, yAxis } from "./axes.ts"
import { type EndLabel, endLabels, meanLine, seedLine } from "./lines.ts"
import { overSeeds } from "./overSeeds.ts"
import { isPositive, leftOut, logDomain } from "./scales.ts"
import { type Panel, renderSvg } from "./svg.ts"
import { type Estimator, estimatorStyle, page } from "./theme.ts"

export const phases = ["initial", "middle", "last"] as const

export interface Spectrum {
  readonly operation: string
  readonly seed: number
  readonly kind: Estimator
  readonly phase: (typeof phases)[number]
  /** σ₁ ≥ σ₂ ≥ …, in any unit: they are drawn over σ₁. */
  readonly values: ReadonlyArray<number>
}

export interface SingularSpectra {
  readonly title: string
  readonly spectra: ReadonlyArray<Spectrum>
  /** What only the caller knows: W, the direction of the window. */
  readonly caption: string
}

const height = 200
const sides = { left: 54, right: 84 }

/** σ of rank k over σ₁, with k in the place of the step. */
const normalised = (values: ReadonlyArray<number>) =>
  values.map((value, i) => ({ step: i + 1, value: value / (values[0] ?? Number.NaN) }))

export const singularSpectra = (data: SingularSpectra): string => {
  const operations = [...new Set(data.spectra.map(({ operation }) => operation))]
  const shares = data.spectra.flatMap(({ values }) => normalised(values).map(({ value }) => value))
  const ranks = Math.max(...data.spectra.map(({ values }) => values.length))
  const x = {
    type: "linear" as const,
    domain: [0.7, ranks + 0.3] as const,
    ticks: Array.from({ length: ranks }, (_, i) => i + 1),
    format: String,
    label: "rank k",
  }
  const y = logAxis(logDomain(shares), "singular value / largest")
  const areas = plotAreas(
    phases.length,
    { from: page.margin + sides.left, to: page.width - page.margin - sides.right },
    22,
  )
  const panels = operations.flatMap((operation, row) =>
    phases.flatMap((phase, column): ReadonlyArray<Panel> => {
      const area = areas[column]
      if (area === undefined) return []
      const frame = around(area, row * height, height, { ...sides, top: 28, bottom: 38 })
      const here = data.spectra.filter(
        (spectrum) => spectrum.operation === operation && spectrum.phase === phase,
      )
      const drawn = [...Map.groupBy(here, ({ kind }) => kind)].map(([kind, spectra]) => {
        const curves = spectra.map(({ values }) => normalised(values))
        return { kind, style: estimatorStyle[kind], curves, mean: overSeeds(curves, "cut") }
      })
      const labels = drawn.flatMap(
        ({ kind, style, mean }): ReadonlyArray<EndLabel> =>
          mean
            .filter(({ mean }) => isPositive(mean))
            .slice(-1)
            .map((end) => ({ name: kind, style, x: end.step, y: end.mean })),
      )
      return [
        {
          ...frame,
          heading: `${operation}, ${phase}`,
          xScale: scale(x),
          yScale: scale(y),
          marks: [
            ...yAxis(column === 0 ? y : unlabelled(y), { y: 44 }),
            ...xAxis(x),
            ...drawn.flatMap(({ curves, style }) => curves.map((points) => seedLine(points, style, y))),
            ...drawn.map(({ mean, style }) => meanLine(mean, style, y)),
            ...drawn.map(({ mean, style }) =>
              Plot.dot(
                mean.filter((band) => isPositive(band.mean)),
                { x: "step", y: "mean", r: 3, symbol: style.marker, fill: style.colour },
              ),
            ),
            ...(column === phases.length - 1 ? endLabels(labels, x, y, frame) : []),
          ],
        },
      ]
    }),
  )
  const seeds = new Set(data.spectra.map(({ seed }) => seed)).size
  return renderSvg({
    title: data.title,
    panels,
    caption: [
      "Singular values over the largest of their window, without unit, log axis.",
      seeds > 1 ? `Thin lines: each of ${seeds} seeds; marks: their mean.` : "One seed.",
      "The first, middle and last measurement point whose window is full.",
      data.caption,
      leftOut(shares),
    ],
  })
}
