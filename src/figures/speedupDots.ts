/** How much sooner each arm groks than the control of the same seed, under three definitions of grokking. */
import * as Plot from "@observablehq/plot"
import { armStyle, groupArms } from "./arms.ts"
import { type Axis, around, gridX, plotAreas, scale, xAxis } from "./axes.ts"
import { type Interval, seedCount, valuesOf } from "./Interval.ts"
import { means, publishedCross, type Row, whiskers } from "./rows.ts"
import { compact, isPositive, leftOut } from "./scales.ts"
import { type Panel, renderSvg } from "./svg.ts"
import { textWidth } from "./text.ts"
import { fontSize, neutral, page } from "./theme.ts"

export const grokDefinitions = ["first ≥ 0.5", "first ≥ 0.98", "stop step"] as const
export type GrokDefinition = (typeof grokDefinitions)[number]

/** A seed without a speed-up: the arm never grokked ("below" the bound) or its control never did ("above"). */
export interface Censored {
  readonly side: "below" | "above"
  /** The speed-up if it had grokked at the cap. */
  readonly bound: number
}

export interface Speedup {
  /** Rows of a section stand together, such as "add, gradient version". */
  readonly section: string
  readonly arm: string
  readonly definition: GrokDefinition
  /** Steps of the control over steps of the arm, over the seeds in which both grokked; null where there is none. */
  readonly speedup: Interval | null
  readonly censored: ReadonlyArray<Censored>
  readonly published: number | null
}

export interface SpeedupDots {
  readonly title: string
  readonly speedups: ReadonlyArray<Speedup>
  /** What only the caller knows: which interval, the stop rule, the cap. */
  readonly caption: string
}

const rowHeight = 21
/** Of one another, so that half and double lie alike about 1. */
const doublings = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32]
const halfway = [0.75, 1.5, 3]

const speedupAxis = (values: ReadonlyArray<number>): Axis => {
  const positive = values.filter(isPositive)
  const domain = [Math.min(0.8, ...positive) / 1.08, Math.max(1.25, ...positive) * 1.08] as const
  const narrow = domain[1] / domain[0] < 3
  const ticks = [...doublings, ...(narrow ? halfway : [])].filter(
    (tick) => tick >= domain[0] && tick <= domain[1],
  )
  return {
    type: "log",
    domain,
    ticks,
    format: (tick) => `${compact(tick)}×`,
    label: "speed-up over the control",
  }
}

/** Where each arm of each section is, in rows from the top, a row for each section's heading. */
const arrange = (speedups: ReadonlyArray<Speedup>) => {
  let next = 0
  const sections = [...Map.groupBy(speedups, ({ section }) => section)].map(([name, rows]) => {
    const heading = next + 0.5
    next += 1
    const groups = groupArms(rows.map(({ arm }) => arm))
    const arms = groups.flatMap((group) => {
      const placed = group.arms.map((arm, i) => ({
        arm,
        y: next + i + 0.5,
        style: armStyle(arm, group.arms),
      }))
      next += placed.length + 0.35
      return placed
    })
    next += 0.3
    return { name, heading, arms }
  })
  return { sections, total: next - 0.65 }
}

export const speedupDots = (data: SpeedupDots): string => {
  const { sections, total } = arrange(data.speedups)
  const intervals = data.speedups.flatMap(({ speedup }) => (speedup === null ? [] : [speedup]))
  const values = intervals.flatMap(valuesOf)
  const marked = data.speedups.flatMap(({ censored, published }) => [
    ...censored.map(({ bound }) => bound),
    ...(published === null ? [] : [published]),
  ])
  const x = speedupAxis([...values, ...marked])
  const names = sections.flatMap(({ arms }) => arms.map(({ arm }) => textWidth(arm, fontSize.label, true)))
  const margins = { top: 28, bottom: 40, left: Math.max(...names) + 22, right: 12 }
  const areas = plotAreas(
    grokDefinitions.length,
    { from: page.margin + margins.left, to: page.width - page.margin - margins.right },
    26,
  )
  const panels = grokDefinitions.flatMap((definition, column): ReadonlyArray<Panel> => {
    const area = areas[column]
    if (area === undefined) return []
    const of = (section: string, arm: string) =>
      data.speedups.find((row) => row.section === section && row.arm === arm && row.definition === definition)
    const placed = sections.flatMap(({ name, arms }) =>
      arms.flatMap((arm) => {
        const found = of(name, arm.arm)
        return found === undefined ? [] : [{ ...arm, ...found }]
      }),
    )
    const rows = placed.flatMap(
      ({ y, style, speedup }): ReadonlyArray<Row> => (speedup === null ? [] : [{ y, style, value: speedup }]),
    )
    return [
      {
        ...around(area, 0, margins.top + margins.bottom + total * rowHeight, margins),
        heading: definition === "stop step" ? "stop step (the paper's)" : `test accuracy ${definition}`,
        xScale: scale(x),
        yScale: { type: "linear", domain: [total, 0] },
        marks: [
          gridX(x),
          ...xAxis(x, { x: 34 }),
          Plot.ruleY(
            sections.flatMap(({ arms }) => arms.map(({ y }) => y)),
            { stroke: neutral.grid, strokeWidth: 0.7 },
          ),
          Plot.ruleX([1], { stroke: neutral.axis, strokeWidth: 1.4 }),
          ...whiskers(rows, 2.2),
          ...means(rows, 3.6),
          ...placed.flatMap(({ y, published }) => (published === null ? [] : [publishedCross(y, published)])),
          ...placed.flatMap(({ y, style, censored }) =>
            censored.map(({ side, bound }, i) =>
              Plot.dot([bound], {
                x: bound,
                y: y + (i - (censored.length - 1) / 2) * 0.3,
                symbol: "triangle",
                rotate: side === "below" ? -90 : 90,
                r: 3.4,
                fill: "white",
                stroke: style.colour,
                strokeWidth: 1.4,
              }),
            ),
          ),
          ...(column > 0
            ? []
            : sections.flatMap(({ name, heading, arms }) => [
                Plot.text([name], {
                  x: x.domain[0],
                  y: heading,
                  dx: -margins.left,
                  textAnchor: "start",
                  fontSize: fontSize.heading,
                  fontWeight: 600,
                  fill: neutral.ink,
                }),
                ...arms.map(({ arm, y, style }) =>
                  Plot.text([arm], {
                    x: x.domain[0],
                    y,
                    dx: -10,
                    textAnchor: "end",
                    fontSize: fontSize.label,
                    fill: style.ink,
                  }),
                ),
              ])),
        ],
      },
    ]
  })
  const below = data.speedups.some(({ censored }) => censored.some(({ side }) => side === "below"))
  const above = data.speedups.some(({ censored }) => censored.some(({ side }) => side === "above"))
  return renderSvg({
    title: data.title,
    panels,
    caption: [
      `Steps that the control of the same seed takes over steps that the arm takes, log axis; right of 1 the arm is sooner. Filled marks: mean over seeds (${seedCount(intervals)}). Hollow dots: seeds. Whiskers: interval of the mean.`,
      data.speedups.some(({ published }) => published !== null) ? "Grey crosses: published values." : "",
      below
        ? "◁ a seed in which the arm had not grokked at the cap: its speed-up is below the mark, and it is in no mean."
        : "",
      above ? "▷ a seed in which the control had not: above the mark." : "",
      data.caption,
      leftOut(values),
    ],
  })
}
