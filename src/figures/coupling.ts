/** R̄(t) of one operation on a log axis: what the figures of coupling over training share. */
import * as Plot from "@observablehq/plot"
import type { Axis } from "./axes.ts"
import { type EndLabel, meanLine, range, seedLine } from "./lines.ts"
import { overSeeds } from "./overSeeds.ts"
import { isPositive } from "./scales.ts"
import { type Estimator, estimatorNames, estimatorStyle, neutral } from "./theme.ts"

export interface CouplingPoint {
  readonly step: number
  /** R̄(t) (experiment.md §5): a ratio, 1 for a random direction. */
  readonly value: number
}

/** R̄(t) of one run and one kind of rows. */
export interface CouplingCurve {
  readonly operation: string
  readonly seed: number
  readonly kind: Estimator
  readonly points: ReadonlyArray<CouplingPoint>
}

export const couplingLabel = "coupling R̄(t)"

/** How to read the panels. */
export const couplingCaption = (curves: ReadonlyArray<CouplingCurve>): ReadonlyArray<string> => {
  const seeds = new Set(curves.map(({ seed }) => seed)).size
  return [
    "R̄(t) is a ratio without unit, log axis; the grey line at 1 is a random direction.",
    seeds > 1
      ? `Thin lines: each of ${seeds} seeds. Thick line and band: mean and range over seeds, up to where the first run ends.`
      : "One seed.",
  ]
}

const kindsOf = (curves: ReadonlyArray<CouplingCurve>) => [...new Set(curves.map(({ kind }) => kind))]

const meanOf = (curves: ReadonlyArray<CouplingCurve>, kind: Estimator) =>
  overSeeds(
    curves.filter((curve) => curve.kind === kind).map(({ points }) => points),
    "cut",
  )

/** All curves of one operation. */
export const couplingMarks = (curves: ReadonlyArray<CouplingCurve>, y: Axis): ReadonlyArray<Plot.Markish> => {
  const bands = kindsOf(curves).map((kind) => ({ style: estimatorStyle[kind], band: meanOf(curves, kind) }))
  return [
    Plot.ruleY([1], { stroke: neutral.axis, strokeWidth: 1.2 }),
    ...bands.map(({ style, band }) => range(band, style, y)),
    ...curves.map(({ kind, points }) => seedLine(points, estimatorStyle[kind], y)),
    ...bands.map(({ style, band }) => meanLine(band, style, y)),
  ]
}

/** The name of each kind at the last point of its mean. */
export const couplingLabels = (curves: ReadonlyArray<CouplingCurve>): ReadonlyArray<EndLabel> =>
  kindsOf(curves).flatMap((kind) => {
    const last = meanOf(curves, kind).at(-1)
    return last === undefined || !isPositive(last.mean)
      ? []
      : [{ name: estimatorNames[kind], style: estimatorStyle[kind], x: last.step, y: last.mean }]
  })
