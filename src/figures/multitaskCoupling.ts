/** Coupling of the three kinds of directions of a multitask run, operation by operation. */
import { around, logAxis, plotAreas, plotWidth, scale, stepAxis, unlabelled, xAxis, yAxis } from "./axes.ts"
import {
  type CouplingCurve,
  couplingCaption,
  couplingLabel,
  couplingLabels,
  couplingMarks,
} from "./coupling.ts"
import { endLabels } from "./lines.ts"
import { leftOut, logDomain } from "./scales.ts"
import { type Panel, renderSvg } from "./svg.ts"
import { page } from "./theme.ts"

export interface MultitaskCoupling {
  readonly title: string
  readonly coupling: ReadonlyArray<CouplingCurve>
  /** What only the caller knows: W, K, the stride of the checkpoints. */
  readonly caption: string
}

const perRow = 2
const sides = { left: 48, right: 108 }
const height = 232

export const multitaskCoupling = (data: MultitaskCoupling): string => {
  const operations = [...new Set(data.coupling.map(({ operation }) => operation))]
  const points = data.coupling.flatMap(({ points }) => points)
  const values = points.map(({ value }) => value)
  const areas = plotAreas(
    Math.min(perRow, operations.length),
    { from: page.margin + sides.left, to: page.width - page.margin - sides.right },
    sides.right + 22,
  )
  const x = stepAxis(Math.max(...points.map(({ step }) => step)), plotWidth(areas))
  const y = logAxis(logDomain([1, ...values]), couplingLabel)
  const panels = operations.flatMap((operation, i): ReadonlyArray<Panel> => {
    const area = areas[i % perRow]
    if (area === undefined) return []
    const frame = around(area, Math.floor(i / perRow) * height, height, { ...sides, top: 30, bottom: 38 })
    const curves = data.coupling.filter((curve) => curve.operation === operation)
    return [
      {
        ...frame,
        heading: operation,
        xScale: scale(x),
        yScale: scale(y),
        marks: [
          ...yAxis(i % perRow === 0 ? y : unlabelled(y)),
          ...xAxis(x),
          ...couplingMarks(curves, y),
          ...endLabels(couplingLabels(curves), x, y, frame),
        ],
      },
    ]
  })
  return renderSvg({
    title: data.title,
    panels,
    caption: [...couplingCaption(data.coupling), data.caption, leftOut(values)],
  })
}
