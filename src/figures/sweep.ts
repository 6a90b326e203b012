/** A measured value against a setting: window length, ε, K, noise. */
import * as Plot from "@observablehq/plot"
import { type Axis, logAxis, pixels, scale, xAxis, yAxis } from "./axes.ts"
import { type Interval, seedCount, valuesOf } from "./Interval.ts"
import { endLabels } from "./lines.ts"
import {
  compact,
  type Domain,
  isPositive,
  leftOut,
  linearDomain,
  linearTicks,
  logDomain,
  logTicks,
} from "./scales.ts"
import { renderSvg } from "./svg.ts"
import { textWidth } from "./text.ts"
import { type Estimator, estimatorStyle, fontSize, neutral, page, type Style, styleAt } from "./theme.ts"

export interface SweepSeries {
  readonly name: string
  /** The kind of rows that gives the series its style; null for a style of its own. */
  readonly kind: Estimator | null
  readonly points: ReadonlyArray<{ readonly x: number; readonly value: Interval }>
}

export interface Sweep {
  readonly title: string
  /** The setting, with its unit. On a log scale every x is positive. */
  readonly xLabel: string
  readonly xScale: "linear" | "log"
  /** The measured value, with its unit. */
  readonly yLabel: string
  readonly yScale: "linear" | "log"
  readonly series: ReadonlyArray<SweepSeries>
  readonly published: ReadonlyArray<{ readonly x: number; readonly value: number }>
  /** What only the caller knows: which interval, the other settings. */
  readonly caption: string
}

/** Between series at the same setting, pixels. */
const beside = 6

const paper: Style = { colour: neutral.published, ink: neutral.published, dash: "none", marker: "circle" }

/** A little wider, so that marks at its ends lie within. */
const padded = ([low, high]: Domain, type: "linear" | "log", by: number): Domain =>
  type === "log"
    ? [low / (high / low) ** by, high * (high / low) ** by]
    : [low - (high - low) * by, high + (high - low) * by]

/** The settings that were measured, as far as their numbers have room; else round numbers. */
const settingAxis = (
  settings: ReadonlyArray<number>,
  type: "linear" | "log",
  label: string,
  width: number,
): Axis => {
  const sorted = [...new Set(settings)].sort((a, b) => a - b)
  const [low, high] = [sorted[0] ?? 0, sorted.at(-1) ?? 1]
  const bare: Domain = low === high ? (type === "log" ? [low / 2, low * 2] : [low - 1, low + 1]) : [low, high]
  const domain = padded(bare, type, 0.04)
  const warp = type === "log" ? Math.log : (value: number) => value
  const pixel = (value: number) =>
    ((warp(value) - warp(domain[0])) / (warp(domain[1]) - warp(domain[0]))) * width
  const room = sorted.every((value, i) => {
    const before = sorted[i - 1]
    if (before === undefined) return true
    const needed =
      (textWidth(compact(before), fontSize.axis) + textWidth(compact(value), fontSize.axis)) / 2 + 6
    return pixel(value) - pixel(before) >= needed
  })
  const round = type === "log" ? logTicks(domain) : linearTicks(domain, 6)
  return { type, domain, ticks: room ? sorted : round, format: compact, label }
}

export const sweep = (data: Sweep): string => {
  const points = data.series.flatMap(({ points }) => points)
  const values = [
    ...points.flatMap(({ value }) => valuesOf(value)),
    ...data.published.map(({ value }) => value),
  ]
  const margins = { top: 14, bottom: 42, left: 54, right: 130 }
  const frame = { x: page.margin, y: 0, width: page.width - 2 * page.margin, height: 350, margins }
  const x = settingAxis(
    [...points.map((point) => point.x), ...data.published.map((point) => point.x)],
    data.xScale,
    data.xLabel,
    frame.width - margins.left - margins.right,
  )
  const across = pixels(x, margins.left, frame.width - margins.right)
  const linear = linearDomain(values)
  const y: Axis =
    data.yScale === "log"
      ? logAxis(logDomain(values), data.yLabel)
      : {
          type: "linear",
          domain: padded(linear, "linear", 0.03),
          ticks: linearTicks(linear, 5),
          format: compact,
          label: data.yLabel,
        }
  const drawable = (value: number) => (data.yScale === "log" ? isPositive(value) : Number.isFinite(value))

  const drawn = data.series.map((series, i) => {
    const style = series.kind === null ? styleAt(i) : estimatorStyle[series.kind]
    const dx = (i - (data.series.length - 1) / 2) * beside
    const ordered = series.points
      .filter(({ value }) => drawable(value.mean))
      .toSorted((a, b) => a.x - b.x)
      .map((point) => ({ ...point, mean: point.value.mean }))
    const line = { stroke: style.colour, strokeWidth: 1.6, dx }
    return {
      ends: ordered
        .slice(-1)
        .map((end) => ({ name: series.name, style, x: across.at(across.of(end.x) + dx), y: end.mean })),
      marks: [
        ...ordered.flatMap(({ x, value: { low, high } }) =>
          low === null || high === null || !drawable(low)
            ? []
            : [Plot.link([x], { x1: x, x2: x, y1: low, y2: high, ...line, strokeOpacity: 0.8 })],
        ),
        Plot.line(ordered, { x: "x", y: "mean", ...line, strokeWidth: 2.2, strokeDasharray: style.dash }),
        Plot.dot(
          series.points.flatMap(({ x, value }) =>
            value.perSeed.filter(drawable).map((seed) => ({ x, seed })),
          ),
          { x: "x", y: "seed", dx, r: 2.6, fill: "white", stroke: style.colour, strokeWidth: 1.1 },
        ),
        Plot.dot(ordered, { x: "x", y: "mean", dx, r: 4.2, symbol: style.marker, fill: style.colour }),
      ],
    }
  })
  const cross = data.published.toSorted((a, b) => a.x - b.x)
  const lastCross = cross.slice(-1).map(({ x, value }) => ({ name: "paper", style: paper, x, y: value }))
  return renderSvg({
    title: data.title,
    panels: [
      {
        ...frame,
        xScale: scale(x),
        yScale: scale(y),
        marks: [
          ...yAxis(y, { y: 44 }),
          ...xAxis(x, { x: 36 }),
          ...drawn.flatMap(({ marks }) => marks),
          Plot.dot(cross, {
            x: "x",
            y: "value",
            r: 5,
            symbol: "times",
            stroke: paper.colour,
            strokeWidth: 2.2,
          }),
          ...endLabels([...drawn.flatMap(({ ends }) => ends), ...lastCross], x, y, frame),
        ],
      },
    ],
    caption: [
      `Lines and filled marks: mean over seeds (${seedCount(points.map(({ value }) => value))}). Hollow dots: seeds. Vertical lines: interval of the mean, where there is more than one seed.`,
      cross.length > 0 ? "Grey crosses: published values." : "",
      data.caption,
      data.yScale === "log" ? leftOut(values) : "",
    ],
  })
}
