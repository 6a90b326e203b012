/** The result of `single`, as data and as text. */
import { Schema } from "effect"
import { changedFields } from "../pipelines/fields.ts"
import { type Scale, SMOKE_NOTE } from "../pipelines/scale.ts"
import { kinds, measuredPlacements, SingleConfig } from "../pipelines/single.ts"
import { paper } from "../pipelines/sizes.ts"
import { TrainedRun } from "../stages/contracts.ts"
import { Coupling } from "../stages/measureCoupling.ts"

export const SingleResult = Schema.Struct({
  pipeline: Schema.String,
  scale: Schema.Literals(["paper", "smoke"]),
  /** Whether the numbers say anything about the paper: `evidenceOf`. */
  evidence: Schema.String,
  config: SingleConfig,
  run: TrainedRun,
  coupling: Schema.Array(
    Schema.Struct({
      rows: Schema.Literals(kinds),
      window: Schema.Literals(measuredPlacements),
      ...Coupling.fields,
    }),
  ),
})
export type SingleResult = typeof SingleResult.Type

/** Fields in which a run may differ from another of the paper's. */
const ofTheRun = ["seed", "data.operation"]

/** `paper's sizes`, `smoke: not evidence`, or the fields in which the run is not the paper's. */
export const evidenceOf = (scale: Scale, config: SingleConfig): string => {
  if (scale === "smoke") return SMOKE_NOTE
  const changed = changedFields(paper, config).filter((field) => !ofTheRun.includes(field))
  return changed.length === 0 ? "the paper's sizes" : `not the paper's: ${changed.join(", ")}`
}

const columns = [17, 11, 8, 9, 8, 8, 9, 9] as const

const row = (cells: ReadonlyArray<string>): string =>
  `  ${cells
    .map((cell, i) => (i < 2 ? cell.padEnd(columns[i]) : cell.padStart(columns[i])))
    .join("")
    .trimEnd()}`

/** Three significant digits, or a dash. */
const digits = (value: number | null): string =>
  value === null ? "–" : value >= 1000 ? String(Math.round(value)) : value.toPrecision(3)

const stepText = (value: number | null): string => (value === null ? "never" : value.toLocaleString("en"))

const couplingTable = (coupling: SingleResult["coupling"]) => [
  row(["rows", "window", "peak", "at step", "mean", "final", "before", "after"]),
  ...coupling.map(({ rows, window, peak, peakStep, mean, final, meanBefore, meanAfter }) => {
    const figures = [digits(mean), digits(final), digits(meanBefore), digits(meanAfter)]
    return row([rows, window, digits(peak), peakStep === null ? "–" : stepText(peakStep), ...figures])
  }),
]

export const render = ({ evidence, config, run, coupling, pipeline }: SingleResult): string => {
  const { data, block } = config
  const { operation, modulus } = data
  const { window, rank } = config.svd
  const threshold = config.train.stop.accuracy
  return [
    "",
    `${pipeline}: ${operation} mod ${modulus}, seed ${config.seed} (${evidence})`,
    "",
    `  test accuracy first ≥ 0.5    step ${stepText(run.firstHalf)}`,
    `  test accuracy first ≥ ${threshold}   step ${stepText(run.firstThreshold)}`,
    `  stop rule held               step ${stepText(run.stopStep)}`,
    `  at the end                   train ${run.finalTrainAccuracy.toFixed(4)}, test ${run.finalTestAccuracy.toFixed(4)}`,
    "",
    `  Coupling R̄: how much further the top ${rank} directions of ${window} rows move the centroids, squared,`,
    "  than random directions do; mean before and after test accuracy reached the threshold. The gradients of",
    "  random logits and of permuted labels have nothing to do with the task: what they reach, any gradient does.",
    ...(block === "attention" ? [] : [`  Directions live in ${block}, not in all attention weights`]),
    "",
    ...couplingTable(coupling),
    "",
    `  Denominators: median of ${config.probe.draws} random directions, IQR/median ${digits(
      coupling[0]?.denominatorSpread ?? null,
    )}.`,
    "",
  ].join("\n")
}
