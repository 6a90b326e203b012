/** `pnpm bench chart`: draws what was recorded of each race, over time, as `bench/results/chart.svg`. */
import * as Plot from "@observablehq/plot"
import { Console, DateTime, Effect, FileSystem, Schema } from "effect"
import { Command } from "effect/cli"
import { logAxis, scale, xAxis, yAxis } from "../src/figures/axes.ts"
import { logDomain } from "../src/figures/scales.ts"
import { type Panel, renderSvg } from "../src/figures/svg.ts"
import { fontSize, page, styleAt } from "../src/figures/theme.ts"
import { median } from "../src/numerics/statistics.ts"
import { here } from "./measured.ts"

const Line = Schema.Struct({
  at: Schema.String,
  threads: Schema.Int,
  medianMsPerRound: Schema.Record(Schema.String, Schema.Array(Schema.Finite)),
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Line))

interface Dot {
  readonly record: number
  readonly peer: string
  readonly ms: number
}

const columns = 2
const height = 190
const margins = { top: 32, right: 120, bottom: 40, left: 56 }

/** Pixels between labels. */
const LEADING = 13

/** Places of labels on a log axis of so many pixels: those of the dots, from the lowest on pushed apart upwards. */
const apart = (dots: ReadonlyArray<Dot>, [low, high]: readonly [number, number], pixels: number) => {
  const step = (high / low) ** (LEADING / pixels)
  let free = 0
  return dots
    .toSorted((left, right) => left.ms - right.ms)
    .map((dot) => {
      const place = Math.max(dot.ms, free)
      free = place * step
      return { ...dot, place }
    })
}

const format = (ms: number): string => (ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3))

/** The panel of one case at one number of threads. */
const panel = (heading: string, lines: ReadonlyArray<typeof Line.Type>, index: number): Panel => {
  const dots = lines.flatMap(
    ({ medianMsPerRound }, record): ReadonlyArray<Dot> =>
      Object.entries(medianMsPerRound).flatMap(([peer, ms]) =>
        ms.length === 0 ? [] : [{ record, peer, ms: median(ms) }],
      ),
  )
  const peers = [...new Set(dots.map(({ peer }) => peer))]
  const y = logAxis(logDomain(dots.map(({ ms }) => ms)), "ms")
  const newest = peers.flatMap((peer) => dots.filter((dot) => dot.peer === peer).slice(-1))
  const labels = apart(newest, y.domain, height - margins.top - margins.bottom)
  const dates = lines.map(({ at }) => at.slice(0, 10))
  const x = {
    type: "linear" as const,
    domain: [-0.3, Math.max(1, lines.length - 1) + 0.1] as const,
    ticks: lines.map((_, record) => record).filter((record) => dates.indexOf(dates[record]) === record),
    format: (record: number) => (dates[record] ?? "").slice(5),
    label: "date of the record",
  }
  const width = (page.width - 2 * page.margin) / columns
  return {
    x: page.margin + (index % columns) * width,
    y: Math.floor(index / columns) * height,
    width,
    height,
    margins,
    heading,
    xScale: scale(x),
    yScale: scale(y),
    marks: [
      ...yAxis(y),
      ...xAxis(x),
      ...peers.flatMap((peer, i) => {
        const { colour, ink, dash, marker } = styleAt(i)
        const own = dots.filter((dot) => dot.peer === peer)
        return [
          Plot.line(own, { x: "record", y: "ms", stroke: colour, strokeDasharray: dash, strokeWidth: 1.6 }),
          Plot.dot(own, { x: "record", y: "ms", symbol: marker, fill: colour, r: 3 }),
          Plot.text(
            labels.filter((label) => label.peer === peer),
            {
              x: "record",
              y: "place",
              text: ({ ms }) => `${peer} ${format(ms)}`,
              textAnchor: "start",
              dx: 8,
              fill: ink,
              fontSize: fontSize.label,
            },
          ),
        ]
      }),
    ],
  }
}

export const chart = Command.make(
  "chart",
  {},
  Effect.fn(function* () {
    const fs = yield* FileSystem.FileSystem
    const panels: Array<Panel> = []
    for (const name of ["step", "multitask", "evaluate", "coupling"]) {
      const path = here(`./results/${name}.ndjson`)
      if (!(yield* fs.exists(path))) continue
      const lines = (yield* fs.readFileString(path)).split("\n").flatMap((line) => {
        const decoded = decode(line)
        return decoded._tag === "Some" ? [decoded.value] : []
      })
      for (const threads of [1, 2]) {
        const own = lines.filter((line) => line.threads === threads)
        const heading = `${name}, ${threads} thread${threads > 1 ? "s" : ""}`
        if (own.length > 0) panels.push(panel(heading, own, panels.length))
      }
    }
    const drawn = DateTime.formatIso(yield* DateTime.now).slice(0, 10)
    yield* fs.writeFileString(
      here("./results/chart.svg"),
      renderSvg({
        title: "Time of the same work by grokscope and by its peers, as recorded",
        panels,
        caption: [
          "Medians over the alternating rounds of a record, in milliseconds; lower is better.",
          "Records are of whatever machine and minute they were made on: only competitors of one record compare.",
          `Drawn on ${drawn} by pnpm bench chart.`,
        ],
      }),
    )
    yield* Console.log(`wrote ${here("./results/chart.svg")}`)
  }),
).pipe(Command.withDescription("Draw the recorded races over time"))
