/** One number of every cell of an ablation, with its seeds and its interval, above its controls. */
import * as Plot from "@observablehq/plot"
import { type Axis, gridX, logAxis, scale, xAxis } from "./axes.ts"
import { type Interval, seedCount, valuesOf } from "./Interval.ts"
import { means, type Row, whiskers } from "./rows.ts"
import { compact, isPositive, leftOut, linearDomain, linearTicks, logDomain } from "./scales.ts"
import { renderSvg } from "./svg.ts"
import { textWidth } from "./text.ts"
import { fontSize, neutral, page, styleAt } from "./theme.ts"

export interface ComparedCell {
  readonly name: string
  readonly isBase: boolean
  /** Null where nothing could be measured, or no seed got there. */
  readonly value: Interval | null
  /** Its controls by name. */
  readonly beside: Readonly<Record<string, Interval>>
}

export interface ComparisonDots {
  readonly title: string
  /** The number, with its unit. */
  readonly label: string
  readonly scale: "linear" | "log"
  readonly cells: ReadonlyArray<ComparedCell>
  /** Controls that are the same for every cell, by name. */
  readonly everywhere: Readonly<Record<string, Interval>>
  /** What only the caller knows: the definition, the interval. */
  readonly caption: string
}

const rowHeight = 20
/** A cell's own row; its controls stand closer below. */
const controlHeight = 0.7

interface Placed {
  readonly y: number
  readonly name: string
  readonly isControl: boolean
  readonly isBase: boolean
  readonly value: Interval | null
}

const arrange = ({ cells, everywhere }: ComparisonDots) => {
  let next = 0.2
  const below = (beside: Readonly<Record<string, Interval>>): ReadonlyArray<Placed> =>
    Object.entries(beside).map(([name, value]) => {
      const y = next + controlHeight / 2
      next += controlHeight
      return { y, name, isBase: false, isControl: true, value }
    })
  const rows = cells.flatMap(({ name, isBase, value, beside }): ReadonlyArray<Placed> => {
    const own = { y: next + 0.5, name, isBase, isControl: false, value }
    next += 1
    const controls = below(beside)
    next += controls.length > 0 ? 0.35 : 0
    return [own, ...controls]
  })
  next += 0.2
  return { rows: [...rows, ...below(everywhere)], total: next + 0.2 }
}

export const comparisonDots = (data: ComparisonDots): string => {
  const { rows, total } = arrange(data)
  const intervals = rows.flatMap(({ value }) => (value === null ? [] : [value]))
  const values = intervals.flatMap(valuesOf)
  const x: Axis =
    data.scale === "log"
      ? logAxis(logDomain(values), data.label)
      : {
          type: "linear",
          domain: linearDomain(values.length === 0 ? [0, 1] : [0, ...values]),
          ticks: linearTicks(linearDomain(values.length === 0 ? [0, 1] : [0, ...values]), 6),
          format: compact,
          label: data.label,
        }
  const nameOf = ({ name, isBase }: Placed) => (isBase ? `${name} (base)` : name)
  const widest = Math.max(...rows.map((row) => textWidth(nameOf(row), fontSize.label, !row.isControl)))
  const margins = { top: 8, bottom: 40, left: Math.min(360, widest + 24), right: 24 }
  const own = styleAt(0)
  const control = { ...styleAt(0), colour: neutral.axis, ink: neutral.published }
  const drawn = rows.flatMap(
    (row): ReadonlyArray<Row & { readonly isControl: boolean }> =>
      row.value === null
        ? []
        : [{ y: row.y, style: row.isControl ? control : own, value: row.value, isControl: row.isControl }],
  )
  return renderSvg({
    title: data.title,
    panels: [
      {
        x: page.margin,
        y: 0,
        width: page.width - 2 * page.margin,
        height: margins.top + margins.bottom + total * rowHeight,
        margins,
        xScale: scale(x),
        yScale: { type: "linear", domain: [total, 0] },
        marks: [
          gridX(x),
          ...xAxis(x, { x: 34 }),
          ...whiskers(drawn, 2.4),
          ...means(
            drawn.filter(({ isControl }) => isControl),
            3.2,
          ),
          ...means(drawn.filter(({ isControl }) => !isControl)),
          ...rows.map((row) =>
            Plot.text([nameOf(row)], {
              x: x.domain[0],
              y: row.y,
              dx: -10,
              textAnchor: "end",
              fontSize: fontSize.label,
              fontWeight: row.isControl ? 400 : 600,
              fill: row.isControl ? neutral.published : neutral.ink,
            }),
          ),
          ...rows
            .filter(({ value }) => value === null || (data.scale === "log" && !isPositive(value.mean)))
            .map(({ y, value }) =>
              Plot.text([value === null ? "no value" : String(value.mean)], {
                x: x.domain[0],
                y,
                dx: 8,
                textAnchor: "start",
                fontSize: fontSize.label,
                fill: neutral.published,
              }),
            ),
        ],
      },
    ],
    caption: [
      `Filled marks: mean over seeds (${seedCount(intervals)}). Hollow dots: seeds. Whiskers: interval of the mean.`,
      rows.some(({ isControl }) => isControl)
        ? "Grey: controls, of the cell above them; those at the end belong to every cell."
        : "",
      data.caption,
      data.scale === "log" ? leftOut(values) : "",
    ],
  })
}
