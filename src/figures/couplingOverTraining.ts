/** Coupling of update and gradient directions over training, above the accuracy of the same runs. */
import {
  accuracyAxis,
  around,
  logAxis,
  plotAreas,
  plotWidth,
  scale,
  stepAxis,
  unlabelled,
  xAxis,
  yAxis,
} from "./axes.ts"
import {
  type CouplingCurve,
  couplingCaption,
  couplingLabel,
  couplingLabels,
  couplingMarks,
} from "./coupling.ts"
import { endLabels, meanLine, seedLine } from "./lines.ts"
import { overSeeds } from "./overSeeds.ts"
import { leftOut, logDomain } from "./scales.ts"
import { type Panel, renderSvg } from "./svg.ts"
import { neutral, page, type Style, styleAt } from "./theme.ts"

/** Accuracy in [0, 1] of one run. */
export interface AccuracyCurve {
  readonly operation: string
  readonly seed: number
  readonly curve: ReadonlyArray<{ readonly step: number; readonly train: number; readonly test: number }>
}

export interface CouplingOverTraining {
  readonly title: string
  readonly coupling: ReadonlyArray<CouplingCurve>
  readonly accuracy: ReadonlyArray<AccuracyCurve>
  /** What only the caller knows: W, K, the direction of the window. */
  readonly caption: string
}

const perRow = 4
const sides = { left: 48, right: 78 }
const height = { coupling: 216, accuracy: 132 }
const trainStyle: Style = { colour: "#777777", ink: neutral.text, dash: "2 2", marker: "circle" }
const testStyle: Style = { ...styleAt(2), dash: "none" }

export const couplingOverTraining = (data: CouplingOverTraining): string => {
  const operations = [...new Set(data.coupling.map(({ operation }) => operation))]
  const values = data.coupling.flatMap(({ points }) => points.map(({ value }) => value))
  const steps = [
    ...data.coupling.flatMap(({ points }) => points.map(({ step }) => step)),
    ...data.accuracy.flatMap(({ curve }) => curve.map(({ step }) => step)),
  ]
  const areas = plotAreas(
    Math.min(perRow, operations.length),
    { from: page.margin + sides.left, to: page.width - page.margin - sides.right },
    18,
  )
  const x = stepAxis(Math.max(...steps), plotWidth(areas))
  const y = logAxis(logDomain([1, ...values]), couplingLabel)

  const panels = operations.flatMap((operation, i): ReadonlyArray<Panel> => {
    const area = areas[i % perRow]
    if (area === undefined) return []
    const first = i % perRow === 0
    const last = i % perRow === perRow - 1 || i === operations.length - 1
    const top = Math.floor(i / perRow) * (height.coupling + height.accuracy + 12)
    const upper = around(area, top, height.coupling, { ...sides, top: 30, bottom: 14 })
    const lower = around(area, top + height.coupling, height.accuracy, { ...sides, top: 12, bottom: 38 })
    const curves = data.coupling.filter((curve) => curve.operation === operation)
    const runs = data.accuracy.filter((run) => run.operation === operation).map(({ curve }) => curve)
    const test = runs.map((run) => run.map(({ step, test }) => ({ step, value: test })))
    const train = runs.map((run) => run.map(({ step, train }) => ({ step, value: train })))
    const [testMean, trainMean] = [overSeeds(test, "hold"), overSeeds(train, "hold")]
    const ends = [
      { name: "train", style: trainStyle, band: trainMean },
      { name: "test", style: testStyle, band: testMean },
    ].flatMap(({ name, style, band }) => {
      const end = band.at(-1)
      return end === undefined ? [] : [{ name, style, x: end.step, y: end.mean }]
    })
    return [
      {
        ...upper,
        heading: operation,
        xScale: scale(x),
        yScale: scale(y),
        marks: [
          ...yAxis(first ? y : unlabelled(y)),
          ...xAxis(unlabelled(x)),
          ...couplingMarks(curves, y),
          ...(last ? endLabels(couplingLabels(curves), x, y, upper) : []),
        ],
      },
      {
        ...lower,
        xScale: scale(x),
        yScale: scale(accuracyAxis),
        marks: [
          ...yAxis(first ? accuracyAxis : unlabelled(accuracyAxis)),
          ...xAxis(x),
          ...train.map((points) => seedLine(points, trainStyle, accuracyAxis)),
          ...test.map((points) => seedLine(points, testStyle, accuracyAxis)),
          meanLine(trainMean, trainStyle, accuracyAxis),
          meanLine(testMean, testStyle, accuracyAxis),
          ...(last ? endLabels(ends, x, accuracyAxis, lower) : []),
        ],
      },
    ]
  })
  return renderSvg({
    title: data.title,
    panels,
    caption: [
      ...couplingCaption(data.coupling),
      "Below: share of correct answers; a run that has stopped counts on with its last value.",
      data.caption,
      leftOut(values),
    ],
  })
}
