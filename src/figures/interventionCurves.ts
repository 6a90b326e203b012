/** Test accuracy over training of every arm of the intervention. */
import * as Plot from "@observablehq/plot"
import { armStyle, control, type GroupedArms, groupArms } from "./arms.ts"
import { accuracyAxis, around, plotAreas, scale, stepAxis, unlabelled, xAxis, yAxis } from "./axes.ts"
import { endLabels, meanLine, seedLine } from "./lines.ts"
import { overSeeds } from "./overSeeds.ts"
import { type Panel, renderSvg } from "./svg.ts"
import { page } from "./theme.ts"

export interface InterventionRun {
  readonly operation: string
  /** What is projected, such as "gradient" or "update"; null for the control, which stands in every panel. */
  readonly version: string | null
  readonly arm: string
  readonly seed: number
  readonly curve: ReadonlyArray<{ readonly step: number; readonly test: number }>
  /** Where the stop rule ended the run; null for a run that came to the cap without. */
  readonly stopStep: number | null
}

export interface InterventionCurves {
  readonly title: string
  readonly runs: ReadonlyArray<InterventionRun>
  /** What only the caller knows: the stop rule and the cap. */
  readonly caption: string
}

const margins = { top: 28, bottom: 38, left: 44, right: 106 }
const rowTitle = 22
const height = 188
const y = { ...accuracyAxis, label: "test accuracy" }

/** One panel: the control and the arms of one group. */
const armPanel = (
  runs: ReadonlyArray<InterventionRun>,
  { group, arms }: GroupedArms,
  frame: Pick<Panel, "x" | "y" | "width" | "height" | "margins">,
  last: number,
  labelled: boolean,
): Panel => {
  const x = stepAxis(last, frame.width - frame.margins.left - frame.margins.right)
  const drawn = [control, ...arms].map((arm) => {
    const style = armStyle(arm, arms)
    const seeds = runs.filter((run) => run.arm === arm)
    const curves = seeds.map(({ curve }) => curve.map(({ step, test }) => ({ step, value: test })))
    const never = seeds.flatMap(({ stopStep, curve }) => (stopStep === null ? curve.slice(-1) : []))
    return { arm, style, curves, never, mean: overSeeds(curves, "hold") }
  })
  return {
    ...frame,
    heading: group,
    xScale: scale(x),
    yScale: scale(y),
    marks: [
      ...yAxis(labelled ? y : unlabelled(y)),
      ...xAxis(x),
      ...drawn.flatMap(({ curves, style }) => curves.map((points) => seedLine(points, style, y))),
      ...drawn.map(({ mean, style }) => meanLine(mean, style, y)),
      ...drawn.map(({ never, style }) =>
        Plot.dot(never, {
          x: "step",
          y: "test",
          symbol: "triangle",
          rotate: 90,
          r: 3.2,
          fill: "white",
          stroke: style.colour,
          strokeWidth: 1.4,
        }),
      ),
      ...endLabels(
        drawn.flatMap(({ arm, style, mean }) =>
          mean.slice(-1).map((end) => ({ name: arm, style, x: end.step, y: end.mean })),
        ),
        x,
        y,
        frame,
      ),
    ],
  }
}

/** The runs of an operation and version, with the controls of the operation. */
const facetsOf = (runs: ReadonlyArray<InterventionRun>) =>
  [...Map.groupBy(runs, ({ operation }) => operation)].flatMap(([operation, ofOperation]) => {
    const controls = ofOperation.filter(({ version }) => version === null)
    const versions = Map.groupBy(ofOperation, ({ version }) => version)
    versions.delete(null)
    return [...versions].map(([version, modified]) => ({
      name: `${operation}, ${version} version`,
      runs: [...controls, ...modified],
    }))
  })

export const interventionCurves = (data: InterventionCurves): string => {
  const grouped = groupArms(data.runs.map(({ arm }) => arm))
  const last = Math.max(...data.runs.flatMap(({ curve }) => curve.map(({ step }) => step)))
  const facets = facetsOf(data.runs)
  const areas = plotAreas(
    grouped.length,
    { from: page.margin + margins.left, to: page.width - page.margin - margins.right },
    margins.right + 20,
  )
  const rowHeight = rowTitle + height
  const panels = facets.flatMap(({ runs }, row) => {
    const present = grouped.filter(({ arms }) => runs.some(({ arm }) => arms.includes(arm)))
    return areas.slice(0, present.length).flatMap((area, column) => {
      const group = present[column]
      const frame = around(area, row * rowHeight + rowTitle, height, margins)
      return group === undefined ? [] : [armPanel(runs, group, frame, last, column === 0)]
    })
  })
  const seeds = new Set(data.runs.map(({ seed }) => seed)).size
  const never = data.runs.filter(({ stopStep }) => stopStep === null).length
  return renderSvg({
    title: data.title,
    panels,
    headings: facets.map(({ name }, row) => ({ x: page.margin, y: row * rowHeight + 24, text: name })),
    caption: [
      "Share of correct answers on the test pairs. The control is black in every panel.",
      seeds > 1
        ? `Thin lines: each of ${seeds} seeds. Thick line: mean over seeds, a stopped run counting on with its last value.`
        : "One seed.",
      never > 0 ? `▷ runs that came to the cap without meeting the stop rule (${never}).` : "",
      data.caption,
    ],
  })
}
