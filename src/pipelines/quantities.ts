/** Numbers that claims are made of, as nodes, each with the recipe by which the tables give it again. */
import { Effect } from "effect"
import { geometricMean } from "../numerics/inference.ts"
import { mean } from "../numerics/statistics.ts"
import { getTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import type { Outcome } from "../stages/contracts.ts"
import type { Coupling } from "../stages/measureCoupling.ts"
import { type Quantity, RATIO, STEPS } from "./Claim.ts"
import { all, map, ratio, read } from "./derive.ts"
import { type GrokStep, grokStep, grokSteps } from "./grokStep.ts"
import type { Estimator, Multitask, Range } from "./multitask.ts"
import type { Node } from "./Node.ts"
import type { PaperConfig, Run } from "./paper.ts"
import type { Source } from "./recipe.ts"
import type { Kind, MeasuredPlacement, Single } from "./single.ts"

/** Where a published number stands. */
export const text = "published text"
export const code = "published numbers"
export const review = "a reviewer's simulated rebuttal"

/** A summary of R̄ (or of R₁) over the points of a run. */
export type Statistic = "peak" | "mean" | "meanBefore" | "meanAfter" | "shareAboveOne"

const ofPoints: Record<Statistic, string> = {
  peak: "max over points",
  mean: "mean over points",
  meanBefore: "mean over points before test accuracy reached 0.98",
  meanAfter: "mean over points from test accuracy 0.98 on",
  shareAboveOne: "share of points above 1",
}

/** What rows a SED is made of, in words. */
const rowsText: Record<Kind, string> = {
  update: "updates",
  gradient: "gradients of the loss",
  "random-logits": "gradients of random logits",
  "permuted-labels": "gradients of the loss with permuted labels",
}

/** What a summary depends on by itself: rows in a window, directions, and points of a run. */
export const sizes = (of: {
  readonly window: number
  readonly rank?: number
  readonly points: number
}): string => `W = ${of.window}, ${of.rank === undefined ? "" : `K = ${of.rank}, `}${of.points} points`

export const couplingNode = (
  { couplings }: Pick<Single, "couplings">,
  kind: Kind,
  placement: MeasuredPlacement = "published",
): Node<Coupling> => {
  const found = couplings.find((one) => one.kind === kind && one.placement === placement)
  if (found === undefined) throw new Error(`single has no ${placement} coupling of ${kind} rows`)
  return found.coupling
}

/** A summary of R̄, or of R₁, of a coupling. */
export const summaryOf = (
  coupling: Node<Coupling>,
  statistic: Statistic = "peak",
  column: "meanR" | "R1" = "meanR",
): Node<number | null> =>
  map(coupling, (measured) => (column === "R1" ? measured.first : measured)[statistic])

/** Several operations at once: then each run is one of an operation and a seed. */
const isPooled = (runs: ReadonlyArray<Run>): boolean =>
  new Set(runs.map(({ run }) => run.config.data.operation)).size > 1

/** The fields that tell a run in the tables but for its seed, and its operation where runs are pooled. */
const whereOf = (runs: ReadonlyArray<Run>) => ({
  experiment: runs[0].experiment,
  ...(isPooled(runs) ? {} : { operation: runs[0].run.config.data.operation }),
})

/** A number of each run; with its operation where the runs are of several. */
const ofRuns = (runs: ReadonlyArray<Run>, value: (run: Single) => Node<number | null>): Quantity["perSeed"] =>
  runs.map(({ run }) => ({
    seed: run.seed,
    ...(isPooled(runs) ? { operation: run.config.data.operation } : {}),
    value: value(run),
  }))

interface CouplingOptions {
  readonly kind: Kind
  readonly statistic?: Statistic
  readonly placement?: MeasuredPlacement
  /** Which runs, where the definition would not say. */
  readonly what?: string | undefined
}

const naming = (what: string | undefined): string => (what === undefined ? "" : `${what}: `)

const couplingSource = (
  runs: ReadonlyArray<Run>,
  { kind, statistic = "peak", placement = "published" }: CouplingOptions,
): Source => ({
  table: "coupling",
  where: { ...whereOf(runs), rows: kind, window: placement, draw: 0 },
  column: "meanR",
  statistic,
})

const windowText = (placement: MeasuredPlacement): string =>
  placement === "published" ? "" : ", backward windows"

/** A summary of R̄ of one kind of rows, for each run. */
export const couplings = (runs: ReadonlyArray<Run>, options: CouplingOptions): Quantity => {
  const { kind, statistic = "peak", placement = "published", what } = options
  return {
    definition: `${naming(what)}${ofPoints[statistic]} of R̄; ${rowsText[kind]}${windowText(placement)}; ${sizes(runs[0].run.config.svd)}`,
    unit: statistic === "shareAboveOne" ? "share" : RATIO,
    perSeed: ofRuns(runs, (run) => summaryOf(couplingNode(run, kind, placement), statistic)),
    recipe: couplingSource(runs, options),
  }
}

/** R̄ of gradients ÷ R̄ of other rows, the same run and summary. */
export const couplingRatios = (
  runs: ReadonlyArray<Run>,
  other: Exclude<Kind, "gradient">,
  { statistic = "peak", placement = "published", what }: Omit<CouplingOptions, "kind"> = {},
): Quantity => ({
  definition: `${naming(what)}R̄ of gradients of the loss ÷ R̄ of ${rowsText[other]}, same run: ${ofPoints[statistic]} of each${windowText(placement)}; ${sizes(runs[0].run.config.svd)}`,
  unit: RATIO,
  perSeed: ofRuns(runs, (run) =>
    ratio(
      summaryOf(couplingNode(run, "gradient", placement), statistic),
      summaryOf(couplingNode(run, other, placement), statistic),
    ),
  ),
  recipe: {
    divide: [
      couplingSource(runs, { kind: "gradient", statistic, placement }),
      couplingSource(runs, { kind: other, statistic, placement }),
    ],
  },
})

/** The name of ρ beside a claim about gradients. */
export const RHO = "ρ: ÷ random logits, means"

/** ρ: how much more gradients of the loss couple than gradients that know no label. */
export const rho = (runs: ReadonlyArray<Run>, statistic: Statistic = "mean", what?: string): Quantity =>
  couplingRatios(runs, "random-logits", { statistic, what })

/** When runs grokked, beside what was measured in them. */
export const grokQuantity = (
  runs: ReadonlyArray<{
    readonly experiment: string
    readonly operation: string
    readonly seed: number
    readonly run: Node<Outcome>
  }>,
  what: string,
  by: GrokStep = "stopStep",
): Quantity => ({
  definition: `${what}: step of ${grokSteps[by]}`,
  unit: STEPS,
  perSeed: runs.map(({ seed, run }) => ({ seed, value: grokStep(run, by) })),
  recipe: {
    table: "runs",
    where: { experiment: runs[0].experiment, operation: runs[0].operation },
    column: by,
    statistic: "value",
  },
})

/** The same of runs of one operation. */
export const runGrokSteps = (runs: ReadonlyArray<Run>, what: string, by: GrokStep = "stopStep"): Quantity =>
  grokQuantity(
    runs.map(({ experiment, run }) => ({
      experiment,
      operation: run.config.data.operation,
      seed: run.seed,
      run: run.run,
    })),
    what,
    by,
  )

/** Mean of R₁…R_k at each point of a series; NaN where one of them is not known. */
export const meansOfRank = (series: Parameters<typeof numbers>[0], k: number): ReadonlyArray<number> => {
  const columns = Array.from({ length: k }, (_, i) => numbers(series, `R${i + 1}`))
  return Array.from(columns[0], (_, point) => mean(columns.map((column) => column[point])))
}

/** Peak of the mean of R₁…R_k over a coupling's points; null where they are nowhere known. */
export const peakOfRank = (coupling: Node<Coupling>, k: number): Node<number | null> =>
  read(coupling, ({ series }) =>
    Effect.map(getTable(series), (rows) => {
      const means = meansOfRank(rows, k).filter(Number.isFinite)
      return means.length === 0 ? null : Math.max(...means)
    }),
  )

/** What every summary of the sensitivity analyses depends on by itself. */
export const sweepSizes = (
  { single, sensitivity: { points } }: PaperConfig,
  window = single.svd.window,
): string => sizes({ window, rank: Math.min(window, single.svd.rank), points })

/** A number of a sweep in the table of sweeps. */
export const sweepSource = (
  setting: string,
  value: string,
  rows: string,
  statistic: Statistic = "peak",
  column: "meanR" | "R1" = "meanR",
): Source => ({ table: "sweeps", where: { setting, value, rows }, column, statistic })

/** The coupling of an estimator of a multitask run. */
export const multitaskNode = (
  { couplings }: Multitask,
  at: {
    readonly operation: string
    readonly estimator: Estimator
    readonly stride: number
    readonly range: Range
  },
): Node<Coupling> => {
  const found = couplings.find(
    (one) =>
      one.operation === at.operation &&
      one.estimator === at.estimator &&
      one.stride === at.stride &&
      one.range === at.range,
  )
  if (found === undefined) throw new Error(`multitask has no ${at.estimator} of ${at.operation}`)
  return found.coupling
}

/** The geometric mean of numbers that must all be known. */
export const geometricMeanOf = (nodes: ReadonlyArray<Node<number | null>>): Node<number | null> =>
  map(all(nodes), (values) => {
    const known = values.flatMap((value) => (value === null ? [] : [value]))
    return known.length === 0 || known.length < values.length ? null : geometricMean(known)
  })

/** The largest of numbers ÷ the smallest; all must be known, and none 0. */
export const spreadOf = (nodes: ReadonlyArray<Node<number | null>>): Node<number | null> =>
  map(all(nodes), (values) => {
    const known = values.flatMap((value) => (value === null || value === 0 ? [] : [value]))
    return known.length === 0 || known.length < values.length ? null : Math.max(...known) / Math.min(...known)
  })
