/**
 * The result on one page: what gradients, unrelated gradients and updates couple over training, what sets the gap between
 * gradients and updates, and what speeds grokking up.
 */
import * as Plot from "@observablehq/plot"
import { type Axis, around, gridX, logAxis, pixels, scale, stepAxis, xAxis, yAxis } from "./axes.ts"
import { type CouplingCurve, type CouplingPoint, couplingLabel } from "./coupling.ts"
import { type Interval, valuesOf } from "./Interval.ts"
import { endLabels, meanLine, range } from "./lines.ts"
import { type Band, overSeeds } from "./overSeeds.ts"
import { isPositive, leftOut, logDomain } from "./scales.ts"
import { type Panel, renderSvg } from "./svg.ts"
import {
  black,
  type Estimator,
  estimatorNames,
  estimatorStyle,
  fontSize,
  neutral,
  page,
  type Style,
  styleAt,
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
  /** `value` is of the pairs that grokked; null where none did. */
  readonly arms: ReadonlyArray<{
    readonly name: string
    readonly role: ArmRole
    readonly value: Interval | null
    /** Pairs in which the arm never grokked, of so many. */
    readonly never: number
    readonly of: number
  }>
  /** What only the caller knows. */
  readonly caption: string
}

const roleStyle: Readonly<Record<ArmRole, Style>> = {
  control: black,
  kept: styleAt(1),
  null: styleAt(2),
  removed: styleAt(0),
}
const gapStyle = styleAt(0)
const roleText: Readonly<Record<ArmRole, string>> = {
  control: "black: the natural run",
  kept: "orange: attention moves along three directions, or with their norm",
  null: "green: attention learns nothing",
  removed: "blue: three directions removed",
}

const gutter = 24
/** Of a panel with everything around it. */
const half = (page.width - 2 * page.margin - gutter) / 2
const height = 262
const between = 10

interface Position {
  readonly x: number
  readonly y: number
}

/** Panels in the order of reading, in so many columns. */
const positions = (columns: 1 | 2): ReadonlyArray<Position> =>
  Array.from({ length: 4 }, (_, i) => ({
    x: page.margin + (i % columns) * (half + gutter),
    y: Math.floor(i / columns) * (height + between),
  }))

interface DrawnRow {
  readonly name: string
  readonly value: Interval | null
  readonly style: Style
  readonly hollow: boolean
  /** What stands right of the row. */
  readonly remark: string
}

/** Rows of a category each, with mean, interval and runs. */
const rowsPanel = (
  at: Position,
  heading: string,
  axis: Axis,
  rows: ReadonlyArray<DrawnRow>,
  left: number,
): Panel => {
  const margins = { top: 34, right: 16, bottom: 40, left }
  const placed = rows.map((row, i) => ({ ...row, y: i + 0.5 }))
  const measured = placed.flatMap(({ value, ...row }) => (value === null ? [] : [{ ...row, value }]))
  const spans = measured.flatMap(({ y, style, value: { low, high } }) =>
    low === null || high === null || !isPositive(low) ? [] : [{ y, style, low, high }],
  )
  /** From the left edge of the plot area, 0, to its right edge, 1. */
  const across = pixels(axis, 0, 1)
  const remarks = placed.filter(({ remark }) => remark !== "")
  return {
    ...around({ from: at.x + left, to: at.x + half - margins.right }, at.y, height, margins),
    heading,
    headingX: 0,
    xScale: scale(axis),
    yScale: { type: "linear", domain: [rows.length, 0] },
    marks: [
      gridX(axis),
      ...xAxis(axis, { x: 34 }),
      Plot.ruleX([1], { stroke: neutral.axis, strokeWidth: 1.2 }),
      ...spans.map(({ y, style, low, high }) =>
        Plot.ruleY([y], { x1: low, x2: high, stroke: style.colour, strokeWidth: 2 }),
      ),
      ...measured.flatMap(({ y, style, value, hollow }) => [
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
      ...remarks.map(({ y, style, value, remark }) => {
        // On the side that the marks leave free.
        const isFree = value === null || across.of(Math.max(...valuesOf(value))) < 0.6
        return Plot.text([remark], {
          x: axis.domain[isFree ? 1 : 0],
          y,
          dx: isFree ? -8 : 8,
          textAnchor: isFree ? "end" : "start",
          fontSize: fontSize.label,
          fill: style.ink,
          stroke: "white",
          strokeWidth: 4,
        })
      }),
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

/** When each run grokked, and the range of runs. */
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
        ...[...new Set(steps)].map((step) =>
          Plot.ruleX([step], { y1: y.domain[0], y2: y.domain[1], stroke: "#000000", strokeOpacity: 0.22 }),
        ),
        Plot.text(["grokking"], {
          x: (Math.min(...steps) + Math.max(...steps)) / 2,
          y: y.domain[1],
          dy: 9,
          fontSize: fontSize.label,
          fill: neutral.text,
        }),
      ]

/** Above the curves, for a word. */
const headroom = 1.6

const curvesPanel = (data: Overview, at: Position): Panel => {
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
  const margins = { top: 34, right: 104, bottom: 40, left: 46 }
  const frame = around({ from: at.x + margins.left, to: at.x + half - margins.right }, at.y, height, margins)
  const x = stepAxis(last, half - margins.left - margins.right)
  const y = logAxis(logDomain([...values, headroom * Math.max(...values)]), couplingLabel)
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
        : [{ name: "gradients, never\u00a0grokking", style: grey, x: end.step, y: end.value }]
    }),
  ]
  return {
    ...frame,
    heading: "a\u2002How strongly directions couple to the centroids",
    headingX: 0,
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

const axisOf = (rows: ReadonlyArray<{ readonly value: Interval | null }>, label: string): Axis => {
  const values = rows.flatMap(({ value }) => (value === null ? [] : valuesOf(value)))
  return logAxis(logDomain([1, ...values.filter(isPositive)]), label)
}

/**
 * The panels that there are data for.
 *
 * @param columns two beside each other on a page, one on a narrow screen
 */
export const overview = (data: Overview, columns: 1 | 2 = 2): string => {
  const gapLabel = "R̄ of gradients ÷ R̄ of updates (peaks)"
  const gaps = [...data.decay, ...data.blocks]
  const gapRows = (rows: Overview["decay"]) =>
    rows.map(({ grokked, ...row }) => ({ ...row, style: gapStyle, hollow: !grokked, remark: "" }))
  const arms = data.arms.map(({ role, never, of, ...row }) => ({
    ...row,
    style: roleStyle[role],
    hollow: false,
    remark: never === 0 ? "" : never === of ? `never (${of} of ${of})` : `never in ${never} of ${of}`,
  }))
  const drawn: ReadonlyArray<(at: Position, letter: string) => Panel> = [
    (at) => curvesPanel(data, at),
    ...(arms.length === 0
      ? []
      : [
          (at: Position, letter: string) =>
            rowsPanel(
              at,
              `${letter}\u2002Speed-up of grokking, by what attention may do`,
              axisOf(arms, "steps of the natural run ÷ steps of the arm"),
              arms,
              168,
            ),
        ]),
    ...(data.decay.length === 0
      ? []
      : [
          (at: Position, letter: string) =>
            rowsPanel(
              at,
              `${letter}\u2002The gap by weight decay (hollow: not every run grokked)`,
              axisOf(gaps, gapLabel),
              gapRows(data.decay),
              46,
            ),
        ]),
    ...(data.blocks.length === 0
      ? []
      : [
          (at: Position, letter: string) =>
            rowsPanel(
              at,
              `${letter}\u2002The gap by block of the parameters`,
              axisOf(gaps, gapLabel),
              gapRows(data.blocks),
              64,
            ),
        ]),
  ]
  const letters = ["a", "b", "c", "d"]
  const panels = positions(columns).flatMap((at, i) => {
    const draw = drawn[i]
    return draw === undefined ? [] : [draw(at, letters[i] ?? "")]
  })
  const letterOf = (index: number) => letters[index] ?? ""
  const gapLetters = letters.slice(arms.length === 0 ? 1 : 2, drawn.length).join(", ")
  const roles = [...new Set(data.arms.map(({ role }) => role))]
  return renderSvg({
    title: "What couples to the centroids, what sets the gap, and what speeds grokking up",
    ...(columns === 1 ? { width: half + 2 * page.margin } : {}),
    panels,
    caption: [
      "a: R̄ of the directions of an SVD of gradients, of gradients of random logits and of updates; mean and range over runs, up to where the first one ends; 1 is a random direction. Shaded: when the runs grokked.",
      data.outside.length === 0 ? "" : "Grey: gradients in runs that never generalise.",
      arms.length === 0
        ? ""
        : `${letterOf(1)}: pooled over operations and seeds; ${roles.map((role) => roleText[role]).join("; ")}.`,
      gaps.length === 0
        ? ""
        : `${gapLetters}: add; peak of gradients ÷ peak of updates, same run; hollow where not every run grokked.`,
      "Small circles: runs.",
      data.caption,
      leftOut(data.coupling.flatMap(({ points }) => points.map(({ value }) => value))),
    ],
  })
}
