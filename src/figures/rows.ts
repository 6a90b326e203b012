/** Rows of horizontal intervals: bars, whiskers, a dot for each seed, published values. */
import * as Plot from "@observablehq/plot"
import type { Interval } from "./Interval.ts"
import { isPositive } from "./scales.ts"
import { neutral, type Style } from "./theme.ts"

export interface Row {
  /** Of the row's middle, in rows from the top. */
  readonly y: number
  readonly style: Style
  readonly value: Interval
}

/** Seeds lie a little apart, in their order. */
const seedOffset = (index: number, count: number) => (count === 1 ? 0 : (index / (count - 1) - 0.5) * 0.36)

/** A bar from `from` to the mean; on a log axis nothing for a mean that is not positive. */
export const bars = (rows: ReadonlyArray<Row>, from: number): ReadonlyArray<Plot.Markish> =>
  rows
    .filter(({ value }) => isPositive(value.mean))
    .map(({ y, style, value }) =>
      Plot.rect([value.mean], {
        x1: Math.min(from, value.mean),
        x2: Math.max(from, value.mean),
        y1: y - 0.3,
        y2: y + 0.3,
        fill: style.colour,
        fillOpacity: 0.3,
      }),
    )

/** The interval's whiskers, and a hollow dot for each seed. */
export const whiskers = (rows: ReadonlyArray<Row>, seedSize = 2.6): ReadonlyArray<Plot.Markish> =>
  rows.flatMap(({ y, style, value: { low, high, perSeed } }) => {
    const line = { stroke: style.ink, strokeWidth: 1.6 }
    const seeds = perSeed
      .map((value, i) => ({ value, y: y + seedOffset(i, perSeed.length) }))
      .filter(({ value }) => isPositive(value))
    const dots = Plot.dot(seeds, {
      x: "value",
      y: "y",
      r: seedSize,
      fill: "white",
      stroke: style.colour,
      strokeWidth: 1.1,
    })
    if (low === null || high === null || !isPositive(low)) return [dots]
    const cap = (x: number) => Plot.link([x], { x1: x, x2: x, y1: y - 0.14, y2: y + 0.14, ...line })
    return [Plot.link([y], { x1: low, x2: high, y1: y, y2: y, ...line }), cap(low), cap(high), dots]
  })

/** The mean as the style's marker. */
export const means = (rows: ReadonlyArray<Row>, size = 4.2): ReadonlyArray<Plot.Markish> =>
  rows
    .filter(({ value }) => isPositive(value.mean))
    .map(({ y, style, value }) =>
      Plot.dot([value.mean], { x: value.mean, y, r: size, symbol: style.marker, fill: style.colour }),
    )

export interface Range {
  readonly low: number
  readonly high: number
}

/** The published range as a grey bracket at `y`; a cross for a single value. */
export const publishedBracket = (y: number, { low, high }: Range): ReadonlyArray<Plot.Markish> => {
  if (low === high) return [publishedCross(y, low)]
  const line = { stroke: neutral.published, strokeWidth: 1.8 }
  const end = (x: number) => Plot.link([x], { x1: x, x2: x, y1: y - 0.1, y2: y + 0.1, ...line })
  return [Plot.link([y], { x1: low, x2: high, y1: y, y2: y, ...line }), end(low), end(high)]
}

export const publishedCross = (y: number, value: number): Plot.Markish =>
  Plot.dot([value], { x: value, y, r: 4.5, symbol: "times", stroke: neutral.published, strokeWidth: 2 })
