/** The result of `single`, as data and as text. */
import { Schema } from "effect"
import { SingleConfig } from "../pipelines/single.ts"
import { Coupling } from "../stages/measureCoupling.ts"
import { TrainedRun } from "../stages/train.ts"

export const SingleResult = Schema.Struct({
  pipeline: Schema.String,
  scale: Schema.Literals(["paper", "smoke"]),
  /** Whether the numbers say anything about the paper. */
  evidence: Schema.Literals(["full size", "smoke: not evidence"]),
  config: SingleConfig,
  run: TrainedRun,
  coupling: Schema.Array(
    Schema.Struct({
      rows: Schema.Literals(["update", "gradient"]),
      window: Schema.Literals(["forward", "backward"]),
      ...Coupling.fields,
    }),
  ),
})
export type SingleResult = typeof SingleResult.Type

const columns = [10, 10, 9, 7, 9, 9, 14] as const

const row = (cells: ReadonlyArray<string>): string =>
  cells
    .map((cell, i) => (i < 2 ? cell.padEnd(columns[i]) : cell.padStart(columns[i])))
    .join("")
    .trimEnd()

/** Three significant digits, or a dash. */
const digits = (value: number | null): string =>
  value === null ? "–" : value >= 1000 ? String(Math.round(value)) : value.toPrecision(3)

const stepText = (value: number | null): string => (value === null ? "never" : value.toLocaleString("en"))

export const render = ({ evidence, config, run, coupling, pipeline }: SingleResult): string => {
  const { operation, modulus } = config.data
  const { window, rank } = config.svd
  const title = `${pipeline}: ${operation} mod ${modulus}, seed ${config.seed} (${evidence})`
  const threshold = config.train.stop.accuracy
  return [
    "",
    title,
    "",
    `  test accuracy first ≥ 0.5    step ${stepText(run.firstHalf)}`,
    `  test accuracy first ≥ ${threshold}   step ${stepText(run.firstThreshold)}`,
    `  stop rule held               step ${stepText(run.stopStep)}`,
    `  at the end                   train ${run.finalTrainAccuracy.toFixed(4)}, test ${run.finalTestAccuracy.toFixed(4)}`,
    "",
    `  Coupling R̄ of the top ${rank} directions of a window of ${window}, as a multiple of random directions`,
    "",
    `  ${row(["rows", "window", "peak", "step", "mean", "final", "peak, full W"])}`,
    ...coupling.map(
      ({ rows, window, all, fullWindows }) =>
        `  ${row([
          rows,
          window,
          digits(all.peak),
          stepText(all.peakStep),
          digits(all.mean),
          digits(all.final),
          digits(fullWindows.peak),
        ])}`,
    ),
    "",
    `  "full W" leaves out points whose window is cut off by an end of the run.`,
    `  Denominators: median of ${config.probe.draws} random directions, IQR/median ${digits(
      coupling[0]?.denominatorSpread ?? null,
    )}.`,
    "",
  ].join("\n")
}
