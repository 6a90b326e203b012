/**
 * The result on one page: what gradients, unrelated gradients and updates couple over training, what sets the gap between
 * gradients and updates, and what speeds grokking up.
 */
import * as Plot from "@observablehq/plot"
import { type Axis, around, gridX, logAxis, scale, stepAxis, xAxis, yAxis } from "./axes.ts"
import { type CouplingCurve, type CouplingPoint, couplingLabel } from "./coupling.ts"
import { type Interval, valuesOf } from "./Interval.ts"
import { endLabels, meanLine, range } from "./lines.ts"
import { type Band, overSeeds } from "./overSeeds.ts"
import { isPositive, leftOut, logDomain } from "./scales.ts"
import { type Panel, renderSvg } from "./svg.ts"
import {
  type Estimator,
  estimatorNames,
  estimatorStyle,
  fontSize,
  neutral,
  page,
  palette,
  type Style,
} from "./theme.ts"

/** What an arm is for. */
export type ArmRole = "control" | "kept" | "null" | "removed"

interface Named {
  readonly name: string
  readonly value: Interval
}

export interface Overview {
  /** Runs that grok. */
  readonly coupling: ReadonlyArray<CouplingCurve>
  /** Gradients in runs that never generalise. */
  readonly outside: ReadonlyArray<{ readonly name: string; readonly points: ReadonlyArray<CouplingPoint> }>
  /** Steps at which the runs reached the stop rule's accuracy. */
  readonly grokked: ReadonlyArray<number>
  /** The gap by weight decay and by block, and whether all seeds grokked. */
  readonly decay: ReadonlyArray<Named & { readonly grokked: boolean }>
  readonly blocks: ReadonlyArray<Named & { readonly grokked: boolean }>
  readonly arms: ReadonlyArray<Named & { readonly role: ArmRole }>
  /** What only the caller knows. */
  readonly caption: string
}

const [blue, orange, green] = palette
const roleStyle: Readonly<Record<ArmRole, Style | undefined>> = {
  control: { colour: "#000000", ink: "#000000", dash: "none", marker: "circle" },
  kept: orange,
  null: green,
  removed: blue,
}
const roleText: Readonly<Record<ArmRole, string>> = {
  control: "black: the natural run",
  kept: "orange: attention moves along three directions, or with their norm",
  null: "green: attention learns nothing",
  removed: "blue: three directions removed",
}

const half = (page.width - 2 * page.margin - 24) / 2
const height = { curves: 262, rows: 262 }

/** Rows of a category each, with mean, interval and runs. */
const rowsPanel = (
  at: { readonly x: number; readonly y: number },
  heading: string,
  axis: Axis,
  rows: ReadonlyArray<Named & { readonly style: Style; readonly hollow: boolean }>,
  left: number,
): Panel => {
  const margins = { top: 34, right: 16, bottom: 40, left }
  const placed = rows.map((row, i) => ({ ...row, y: i + 0.5 }))
  const spans = placed.flatMap(({ y, style, value: { low, high } }) =>
    low === null || high === null || !isPositive(low) ? [] : [{ y, style, low, high }],
  )
  return {
    ...around({ from: at.x + left, to: at.x + half - margins.right }, at.y, height.rows, margins),
    heading,
    xScale: scale(axis),
    yScale: { type: "linear", domain: [rows.length, 0] },
    marks: [
      gridX(axis),
      ...xAxis(axis, { x: 34 }),
      Plot.ruleX([1], { stroke: neutral.axis, strokeWidth: 1.2 }),
      ...spans.map(({ y, style, low, high }) =>
        Plot.ruleY([y], { x1: low, x2: high, stroke: style.colour, strokeWidth: 2 }),
      ),
      ...placed.flatMap(({ y, style, value, hollow }) => [
        Plot.dot(
          value.perSeed.filter(isPositive).map((x) => ({ x, y })),
          { x: "x", y: "y", r: 2, stroke: style.colour, strokeOpacity: 0.6, strokeWidth: 0.9 },
        ),
        ...(isPositive(value.mean)
          ? [
              Plot.dot([{ x: value.mean, y }], {
                x: "x",
                y: "y",
                r: 4.4,
                fill: hollow ? "white" : style.colour,
                stroke: style.colour,
                strokeWidth: 1.6,
              }),
            ]
          : []),
      ]),
      ...placed.map(({ name, y, style }) =>
        Plot.text([name], {
          x: axis.domain[0],
          y,
          dx: -8,
          textAnchor: "end",
          fontSize: fontSize.label,
          fill: style.ink,
        }),
      ),
    ],
  }
}

/** Where a run that grokked is on average, and the range of runs. */
const grokkingMarks = (steps: ReadonlyArray<number>, y: Axis): ReadonlyArray<Plot.Markish> =>
  steps.length === 0
    ? []
    : [
        Plot.rect([{ x1: Math.min(...steps), x2: Math.max(...steps) }], {
          x1: "x1",
          x2: "x2",
          y1: y.domain[0],
          y2: y.domain[1],
          fill: "#000000",
          fillOpacity: 0.06,
        }),
        Plot.text(["grokking"], {
          x: (Math.min(...steps) + Math.max(...steps)) / 2,
          y: y.domain[1],
          dy: 9,
          fontSize: fontSize.label,
          fill: neutral.text,
        }),
      ]

const curvesPanel = (data: Overview): Panel => {
  const kinds = [...new Set(data.coupling.map(({ kind }) => kind))]
  const bandOf = (kind: Estimator): ReadonlyArray<Band> =>
    overSeeds(
      data.coupling.filter((curve) => curve.kind === kind).map(({ points }) => points),
      "cut",
    )
  const bands = kinds.map((kind) => ({ kind, style: estimatorStyle[kind], band: bandOf(kind) }))
  const last = Math.max(...bands.flatMap(({ band }) => band.map(({ step }) => step)))
  const outside = data.outside.map((one) => ({
    ...one,
    points: one.points.filter(({ step }) => step <= last),
  }))
  const values = [
    1,
    ...bands.flatMap(({ band }) => band.flatMap(({ low, high }) => [low, high])),
    ...outside.flatMap(({ points }) => points.map(({ value }) => value)),
  ]
  const margins = { top: 34, right: 92, bottom: 40, left: 46 }
  const frame = around(
    { from: page.margin + margins.left, to: page.margin + half - margins.right },
    0,
    height.curves,
    margins,
  )
  const x = stepAxis(last, half - margins.left - margins.right)
  const y = logAxis(logDomain(values), couplingLabel)
  const grey: Style = { colour: "#777777", ink: neutral.text, dash: "2 2", marker: "circle" }
  const ends = [
    ...bands.flatMap(({ kind, style, band }) => {
      const end = band.at(-1)
      return end === undefined ? [] : [{ name: estimatorNames[kind], style, x: end.step, y: end.mean }]
    }),
    ...outside.slice(0, 1).flatMap(({ points }) => {
      const end = points.at(-1)
      return end === undefined
        ? []
        : [{ name: "gradients, never grokking", style: grey, x: end.step, y: end.value }]
    }),
  ]
  return {
    ...frame,
    heading: "a  How strongly directions couple to the centroids",
    xScale: scale(x),
    yScale: scale(y),
    marks: [
      ...grokkingMarks(
        data.grokked.filter((step) => step <= last),
        y,
      ),
      ...yAxis(y),
      ...xAxis(x),
      Plot.ruleY([1], { stroke: neutral.axis, strokeWidth: 1.2 }),
      ...outside.map(({ points }) =>
        Plot.line([...points], {
          x: "step",
          y: "value",
          stroke: grey.colour,
          strokeWidth: 1.1,
          strokeDasharray: grey.dash,
        }),
      ),
      ...bands.map(({ style, band }) => range(band, style, y)),
      ...bands.map(({ style, band }) => meanLine(band, style, y)),
      ...endLabels(ends, x, y, frame),
    ],
  }
}

const axisOf = (rows: ReadonlyArray<Named>, label: string): Axis =>
  logAxis(logDomain([1, ...rows.flatMap(({ value }) => valuesOf(value)).filter(isPositive)]), label)

/** The panels that there are data for, two beside each other. */
export const overview = (data: Overview): string => {
  const right = page.margin + half + 24
  const gapLabel = "R̄ of gradients ÷ R̄ of updates (peaks)"
  const gapStyle = blue ?? roleStyle.control
  const gap = (rows: Overview["decay"]) =>
    rows.map(({ grokked, ...row }) => ({
      ...row,
      style: gapStyle ?? estimatorStyle.update,
      hollow: !grokked,
    }))
  const arms = data.arms.map(({ role, ...row }) => ({
    ...row,
    style: roleStyle[role] ?? estimatorStyle.update,
    hollow: false,
  }))
  const gaps = [...data.decay, ...data.blocks]
  const second = height.curves + 8
  const panels: ReadonlyArray<Panel> = [
    curvesPanel(data),
    ...(data.arms.length === 0
      ? []
      : [
          rowsPanel(
            { x: right, y: 0 },
            "b  How much sooner a network groks, by what attention may do",
            axisOf(data.arms, "steps of the natural run ÷ steps of the arm"),
            arms,
            168,
          ),
        ]),
    ...(data.decay.length === 0
      ? []
      : [
          rowsPanel(
            { x: page.margin, y: second },
            "c  The gap by weight decay (hollow: did not grok)",
            axisOf(gaps, gapLabel),
            gap(data.decay),
            46,
          ),
        ]),
    ...(data.blocks.length === 0
      ? []
      : [
          rowsPanel(
            { x: right, y: second },
            "d  The gap by block of the parameters",
            axisOf(gaps, gapLabel),
            gap(data.blocks),
            64,
          ),
        ]),
  ]
  const roles = [...new Set(data.arms.map(({ role }) => role))]
  return renderSvg({
    title: "What couples to the centroids, what sets the gap, and what speeds grokking up",
    panels,
    caption: [
      "a: R̄ of the directions of an SVD of gradients, of gradients of random logits and of updates; mean and range over runs, up to where the first one ends; 1 is a random direction. Shaded: when the runs grokked. Grey: gradients in runs that never generalise.",
      data.arms.length === 0
        ? ""
        : `b: pooled over operations and seeds; ${roles.map((role) => roleText[role]).join("; ")}.`,
      gaps.length === 0 ? "" : "c, d: add; peak of gradients ÷ peak of updates, same run.",
      "Small circles: runs.",
      data.caption,
      leftOut(data.coupling.flatMap(({ points }) => points.map(({ value }) => value))),
    ],
  })
}
