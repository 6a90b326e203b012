/** Claims about one trunk trained on several operations at once (experiment.md §3–5, §7). */
import type { Operation } from "../numerics/modular.ts"
import { type Claim, type Quantities, type Quantity, RATIO } from "./Claim.ts"
import { ratio } from "./derive.ts"
import type { Estimator, Range } from "./multitask.ts"
import type { Paper } from "./paper.ts"
import {
  code,
  geometricMeanOf,
  grokQuantity,
  multitaskNode,
  RHO,
  type Statistic,
  sizes,
  summaryOf,
} from "./quantities.ts"
import type { Recipe, Source } from "./recipe.ts"
import { judgeMagnitude, readCadence, readRho } from "./verdicts.ts"

const estimatorText: Record<Estimator, string> = {
  update: "shared updates",
  "per-op-gradient": "gradients of the own loss",
  "aggregated-gradient": "gradients of the summed loss",
  "random-logits": "gradients of random logits of the own head",
  "permuted-labels": "gradients of the own loss with permuted labels",
}

const summaryText: Record<Statistic, string> = {
  peak: "max over points",
  mean: "mean over points",
  meanBefore: "mean over points before grokking",
  meanAfter: "mean over points after grokking",
  shareAboveOne: "share of points above 1",
}

export const coarse = ({ config }: Paper): number => Math.max(...config.multitask.strides)
export const fine = ({ config }: Paper): number => Math.min(...config.multitask.strides)
export const stepsOf = ({ config }: Paper, stride: number): number =>
  stride * config.multitask.train.evaluateEvery

export interface MultitaskAt {
  readonly estimator: Estimator
  readonly stride?: number
  readonly range?: Range
  readonly statistic?: Statistic
}

const placed = (paper: Paper, { estimator, stride, range, statistic }: MultitaskAt) => ({
  estimator,
  stride: stride ?? coarse(paper),
  range: range ?? "published",
  statistic: statistic ?? "peak",
})

const sourceOf = (paper: Paper, at: MultitaskAt, operation?: Operation): Source => {
  const { estimator, stride, range, statistic } = placed(paper, at)
  return {
    table: "multitask",
    where: { estimator, stride, range, ...(operation === undefined ? {} : { operation }) },
    column: "meanR",
    statistic,
  }
}

const textOf = (paper: Paper, at: MultitaskAt): string => {
  const { estimator, stride, range, statistic } = placed(paper, at)
  const { window, rank } = paper.config.single.svd
  return `${summaryText[statistic]} of R̄; ${estimatorText[estimator]} every ${stepsOf(paper, stride)} steps${range === "trained" ? ", gradient batch and probes of trained pairs" : ""}; ${sizes({ window, rank, points: paper.config.multitask.points })}`
}

/** The runs that have been measured so; the other range is measured for the first seed alone. */
const measuredRuns = (paper: Paper, { range = "published" }: MultitaskAt) =>
  paper.multitasks.filter(({ couplings }) => couplings.some((one) => one.range === range))

const nodeAt = (paper: Paper, run: Paper["multitasks"][number], at: MultitaskAt, operation: Operation) => {
  const { estimator, stride, range, statistic } = placed(paper, at)
  return summaryOf(multitaskNode(run, { operation, estimator, stride, range }), statistic)
}

/** A summary of R̄ for one operation, for each seed. */
export const ofOperation = (paper: Paper, operation: Operation, at: MultitaskAt): Quantity => ({
  definition: `${operation}: ${textOf(paper, at)}`,
  unit: at.statistic === "shareAboveOne" ? "share" : RATIO,
  perSeed: measuredRuns(paper, at).map((run) => ({
    seed: run.seed,
    value: nodeAt(paper, run, at, operation),
  })),
  recipe: sourceOf(paper, at, operation),
})

/** A summary of R̄ for each operation of each trajectory. */
export const ofOperations = (paper: Paper, at: MultitaskAt): Quantity => ({
  definition: textOf(paper, at),
  unit: at.statistic === "shareAboveOne" ? "share" : RATIO,
  perSeed: measuredRuns(paper, at).flatMap((run) =>
    run.operations.map((operation) => ({
      seed: run.seed,
      operation,
      value: nodeAt(paper, run, at, operation),
    })),
  ),
  recipe: sourceOf(paper, at),
})

/** Geometric mean over the operations of a trajectory of R̄ of one estimator ÷ R̄ of another. */
export const ratioOver = (
  paper: Paper,
  one: MultitaskAt,
  other: MultitaskAt,
  operations: ReadonlyArray<Operation> = paper.config.multitask.operations,
): Quantity => {
  const of: Recipe = { divide: [sourceOf(paper, one), sourceOf(paper, other)] }
  return {
    definition: `${textOf(paper, one)}, ÷ that of ${estimatorText[other.estimator]}; geometric mean over ${operations.join(", ")}`,
    unit: RATIO,
    perSeed: measuredRuns(paper, other).map((run) => ({
      seed: run.seed,
      value: geometricMeanOf(
        operations.map((operation) =>
          ratio(nodeAt(paper, run, one, operation), nodeAt(paper, run, other, operation)),
        ),
      ),
    })),
    recipe: { over: [...operations], combine: "geometric-mean", of },
  }
}

/** ρ of one operation, or of all: the geometric mean over them, for each trajectory. */
export const multitaskRho = (
  paper: Paper,
  operations: ReadonlyArray<Operation> = paper.config.multitask.operations,
): Quantity =>
  ratioOver(
    paper,
    { estimator: "per-op-gradient", statistic: "mean" },
    { estimator: "random-logits", statistic: "mean" },
    operations,
  )

/** Runs of all operations at once, as the table of runs has them. */
export const multitaskGrokStep = ({ multitasks }: Paper): Quantity =>
  grokQuantity(
    multitasks.map(({ seed, run }) => ({ experiment: "multitask", operation: "all", seed, run })),
    "all operations at once",
  )

const publishedOwn: Readonly<Partial<Record<Operation, number>>> = {
  add: 31.5,
  sub: 44.9,
  mul: 23.8,
  x2_y2: 21.8,
}

export const multitaskClaims = (paper: Paper): ReadonlyArray<Claim> => {
  const finer = `every ${stepsOf(paper, fine(paper))} steps`
  const trained = "trained pairs only"
  return paper.config.multitask.operations.flatMap((operation): ReadonlyArray<Claim> => {
    const of = (at: MultitaskAt) => ofOperation(paper, operation, at)
    const beside = (estimator: Estimator): Quantities => ({
      "mean before grokking": of({ estimator, statistic: "meanBefore" }),
      "mean after grokking": of({ estimator, statistic: "meanAfter" }),
      [`${finer}, peak`]: of({ estimator, stride: fine(paper) }),
      [`${finer}, mean`]: of({ estimator, stride: fine(paper), statistic: "mean" }),
      [trained]: of({ estimator, range: "trained" }),
      "grok step": multitaskGrokStep(paper),
    })
    const published = publishedOwn[operation]
    return [
      {
        id: `coupling.multitask.${operation}.update`,
        isHeadline: false,
        short: `multitask, ${operation}: updates couple no better than random`,
        statement: `multitask, ${operation}: the shared updates couple no better than random directions (judged by the time mean)`,
        paper: { atMost: 1, source: code },
        quantity: of({ estimator: "update", statistic: "mean" }),
        beside: {
          peak: of({ estimator: "update" }),
          "share of points above 1": of({ estimator: "update", statistic: "shareAboveOne" }),
          [`${finer}, share of points above 1`]: of({
            estimator: "update",
            stride: fine(paper),
            statistic: "shareAboveOne",
          }),
          ...beside("update"),
        },
        controls: {},
        judge: (measured, _, published) => judgeMagnitude(published, measured),
        read: (others) => readCadence(others[`${finer}, mean`]),
      },
      ...(published === undefined
        ? []
        : [
            {
              id: `coupling.multitask.${operation}.per-op-gradient.peak`,
              isHeadline: false,
              short: `multitask, ${operation}: own gradients couple`,
              statement: `multitask, ${operation}: the gradients of its own loss couple`,
              paper: { value: published, source: code },
              quantity: of({ estimator: "per-op-gradient" }),
              beside: {
                "time mean": of({ estimator: "per-op-gradient", statistic: "mean" }),
                ...beside("per-op-gradient"),
                [RHO]: multitaskRho(paper, [operation]),
              },
              controls: {
                "gradients of the summed loss": of({ estimator: "aggregated-gradient" }),
                "random logits": of({ estimator: "random-logits" }),
                "permuted labels": of({ estimator: "permuted-labels" }),
              },
              judge: (measured, _, published) => judgeMagnitude(published, measured),
              read: (others) => readRho(others[RHO]),
            } satisfies Claim,
          ]),
    ]
  })
}
