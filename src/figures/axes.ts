/** Axes and grid lines of a panel, and where its plot area lies. */
import * as Plot from "@observablehq/plot"
import { compact, type Domain, linearTicks, logTicks } from "./scales.ts"
import type { Margins } from "./svg.ts"
import { neutral } from "./theme.ts"

export interface Axis {
  readonly type: "linear" | "log"
  readonly domain: Domain
  readonly ticks: ReadonlyArray<number>
  readonly format: (tick: number) => string
  /** With its unit. Null: neither label nor tick labels, for a panel whose neighbour has them. */
  readonly label: string | null
}

/** A training-step axis from 0, for a plot area of so many pixels. */
export const stepAxis = (last: number, width: number): Axis => ({
  type: "linear",
  domain: [0, last],
  ticks: linearTicks([0, last], Math.min(6, Math.max(2, Math.floor(width / 35)))),
  format: compact,
  label: "training step",
})

export const accuracyAxis: Axis = {
  type: "linear",
  domain: [-0.03, 1.03],
  ticks: [0, 0.5, 1],
  format: String,
  label: "accuracy",
}

export const logAxis = (domain: Domain, label: string): Axis => ({
  type: "log",
  domain,
  ticks: logTicks(domain),
  format: compact,
  label,
})

export const unlabelled = (axis: Axis): Axis => ({ ...axis, label: null })

export const scale = ({ type, domain }: Axis): Plot.ScaleOptions => ({ type, domain: [...domain] })

/** Where the label's middle lies, from the axis, pixels. */
interface Offsets {
  readonly x?: number
  readonly y?: number
}

const tickStyle = { tickSize: 0, fontVariant: "tabular-nums", color: neutral.text } as const

/** Horizontal grid lines and the y axis to the left. */
export const yAxis = (axis: Axis, { y = 38 }: Offsets = {}): ReadonlyArray<Plot.Markish> => [
  Plot.gridY([...axis.ticks], { stroke: neutral.grid, strokeOpacity: 1 }),
  ...(axis.label === null
    ? []
    : [
        Plot.axisY([...axis.ticks], {
          ...tickStyle,
          text: axis.format,
          label: axis.label,
          labelAnchor: "center",
          labelArrow: "none",
          labelOffset: y,
        }),
      ]),
]

/** The x axis below, with its line and tick marks. */
export const xAxis = (axis: Axis, { x = 32 }: Offsets = {}): ReadonlyArray<Plot.Markish> => [
  Plot.frame({ anchor: "bottom", stroke: neutral.axis }),
  ...(axis.label === null
    ? []
    : [
        Plot.axisX([...axis.ticks], {
          ...tickStyle,
          tickSize: 3,
          tickPadding: 4,
          text: axis.format,
          label: axis.label,
          labelAnchor: "center",
          labelArrow: "none",
          labelOffset: x,
        }),
      ]),
]

/** Vertical grid lines. */
export const gridX = (axis: Axis): Plot.Markish =>
  Plot.gridX([...axis.ticks], { stroke: neutral.grid, strokeOpacity: 1 })

/** From data to a pixel within a panel, and back. */
export const pixels = (axis: Axis, low: number, high: number) => {
  const warp = axis.type === "log" ? Math.log : (value: number) => value
  const [from, to] = [warp(axis.domain[0]), warp(axis.domain[1])]
  return {
    of: (value: number): number => low + ((warp(value) - from) / (to - from)) * (high - low),
    at: (pixel: number): number => {
      const warped = from + ((pixel - low) / (high - low)) * (to - from)
      return axis.type === "log" ? Math.exp(warped) : warped
    },
  }
}

/** Left and right edge of a plot area, pixels. */
export interface PlotArea {
  readonly from: number
  readonly to: number
}

/** Plot areas of one width beside each other. */
export const plotAreas = (count: number, { from, to }: PlotArea, gap: number): ReadonlyArray<PlotArea> => {
  const width = (to - from - gap * (count - 1)) / count
  return Array.from({ length: count }, (_, i) => {
    const start = from + i * (width + gap)
    return { from: start, to: start + width }
  })
}

/** Of each of them, pixels. */
export const plotWidth = ([first]: ReadonlyArray<PlotArea>): number =>
  first === undefined ? 0 : first.to - first.from

/** The position and size of a panel around its plot area. */
export const around = ({ from, to }: PlotArea, y: number, height: number, margins: Margins) => ({
  x: from - margins.left,
  y,
  width: to - from + margins.left + margins.right,
  height,
  margins,
})
