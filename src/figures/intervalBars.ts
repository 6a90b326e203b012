/** Groups of bars with intervals on a log axis from 1, the coupling of a random direction. */
import * as Plot from "@observablehq/plot"
import { gridX, logAxis, scale, xAxis } from "./axes.ts"
import { type Interval, seedCount, valuesOf } from "./Interval.ts"
import { bars, publishedBracket, type Range, whiskers } from "./rows.ts"
import { isPositive, leftOut, logDomain, significant } from "./scales.ts"
import { renderSvg } from "./svg.ts"
import { textWidth } from "./text.ts"
import { fontSize, neutral, page, type Style } from "./theme.ts"

export interface BarGroup {
  readonly name: string
  readonly bars: ReadonlyArray<{
    readonly name: string
    readonly style: Style
    readonly value: Interval
    readonly published: Range | null
  }>
}

export interface IntervalBars {
  readonly title: string
  readonly groups: ReadonlyArray<BarGroup>
  readonly xLabel: string
  readonly caption: string
}

/** In rows. */
const groupGap = 0.5
/** Room for a published mark below the last bar, in rows. */
const foot = 0.2
const rowHeight = 32

export const intervalBars = (data: IntervalBars): string => {
  let next = 0
  const groups = data.groups.map((group) => {
    const rows = group.bars.map((bar, i) => ({ ...bar, y: next + i + 0.5 }))
    next += rows.length + groupGap
    return { name: group.name, rows, middle: next - groupGap - rows.length / 2 }
  })
  const rows = groups.flatMap((group) => group.rows)
  const total = next - groupGap + foot
  const values = rows.flatMap(({ value }) => valuesOf(value))
  const publishedEnds = rows.flatMap(({ published }) =>
    published === null ? [] : [published.low, published.high],
  )
  const x = logAxis(logDomain([1, ...values, ...publishedEnds]), data.xLabel)

  const groupWidth = Math.max(...groups.map(({ name }) => textWidth(name, fontSize.heading, true)))
  const nameWidth = Math.max(...rows.map(({ name }) => textWidth(name, fontSize.label, true)))
  const margins = { top: 12, bottom: 40, left: groupWidth + nameWidth + 34, right: 62 }
  const [low, high] = x.domain
  const label = { textAnchor: "end", fontWeight: 600 } as const
  const panel = {
    x: page.margin,
    y: 0,
    width: page.width - 2 * page.margin,
    height: margins.top + margins.bottom + total * rowHeight,
    margins,
    xScale: scale(x),
    yScale: { type: "linear", domain: [total, 0] } as const,
    marks: [
      gridX(x),
      ...xAxis(x),
      ...bars(rows, 1),
      Plot.ruleX([1], { stroke: neutral.axis, strokeWidth: 1.2 }),
      ...rows.flatMap(({ y, published }) =>
        published === null ? [] : publishedBracket(y + 0.38, published),
      ),
      ...whiskers(rows),
      ...groups.map(({ name, middle }) =>
        Plot.text([name], {
          x: low,
          y: middle,
          dx: -nameWidth - 26,
          ...label,
          fontSize: fontSize.heading,
          fill: neutral.ink,
        }),
      ),
      ...rows.map(({ name, y, style }) =>
        Plot.text([name], { x: low, y, dx: -10, ...label, fontSize: fontSize.label, fill: style.ink }),
      ),
      ...rows
        .filter(({ value }) => isPositive(value.mean))
        .map(({ y, value, style }) =>
          Plot.text([significant(value.mean)], {
            x: high,
            y,
            dx: 10,
            textAnchor: "start",
            fontSize: fontSize.label,
            fontWeight: 600,
            fill: style.ink,
          }),
        ),
    ],
  }
  return renderSvg({
    title: data.title,
    panels: [panel],
    caption: [
      `Bars and numbers: mean over seeds (${seedCount(rows.map(({ value }) => value))}), from 1, the coupling of a random direction; log axis, a ratio without unit.`,
      "Dots: seeds. Whiskers: interval of the mean, where there is more than one seed.",
      publishedEnds.length > 0
        ? "Grey: what the paper published, a bracket for a range, a cross for one value."
        : "",
      data.caption,
      leftOut(values),
    ],
  })
}
