/** The question that would settle it, controls without grokking, and other definitions: ours, not the paper's. */
import { Effect } from "effect"
import { getTable } from "../services/artifacts.ts"
import type { Coupling } from "../stages/measureCoupling.ts"
import { type Claim, type Quantity, RATIO } from "./Claim.ts"
import { map, ratio, read } from "./derive.ts"
import { grokQuantity } from "./interventionClaims.ts"
import type { Node } from "./Node.ts"
import type { Paper } from "./paper.ts"
import {
  couplingNode,
  firstPeak,
  type Kind,
  type Points,
  peak,
  peakOfMeans,
  quantity,
  review,
  sizes,
  sweepSizes,
  text,
  where,
} from "./quantities.ts"
import type { Single } from "./single.ts"
import { judgeEach, ofGradients } from "./verdicts.ts"

const gap = (runs: ReadonlyArray<Single>, what: string, points: Points = "all"): Quantity =>
  quantity(
    `${what}: peak R̄ of gradient rows ÷ that of update rows, same run; forward windows, ${where[points]}; ${sizes(runs[0].config.svd)}`,
    RATIO,
    runs.map((run) => ({
      seed: run.seed,
      value: ratio(
        peak(couplingNode(run, "gradient", "forward"), points),
        peak(couplingNode(run, "update", "forward"), points),
      ),
    })),
  )

const robustnessClaim = ({ robustness }: Paper): Claim => {
  const [first, ...others] = robustness
  return {
    id: "robustness.optimizer-and-schedule",
    statement:
      "the gap between gradient and update directions survives another optimiser, weight decay and schedule (at least tenfold)",
    paper: { statement: "not tested in the paper; the reviewer's question", source: review },
    quantity: gap([first.run], first.variant.description),
    beside: Object.fromEntries([
      ...others.map(({ variant, run }) => [variant.id, gap([run], variant.description)]),
      ...robustness.map(({ variant, run }) => [
        `${variant.id}, full windows`,
        gap([run], variant.description, "fullWindows"),
      ]),
      ...robustness.map(({ variant, run }) => [
        `${variant.id}, grok step`,
        grokQuantity([run], variant.description, "firstThreshold"),
      ]),
    ]),
    judge: (measured, beside) =>
      judgeEach(
        [
          [first.variant.id, measured],
          ...others.map(({ variant }) => [variant.id, beside[variant.id]] as const),
        ],
        (value) => value >= 10,
      ),
  }
}

const GENERALISED = "first test accuracy ≥ 0.5"

/** Peaks where there is nothing to generalise: what a gradient direction's coupling is without grokking. */
const withoutGrokking = ({ nonGrokking, shuffled }: Paper): ReadonlyArray<Claim> =>
  [
    ...nonGrokking.map((run) => ({
      id: `control.non-grokking.${run.config.data.operation}`,
      what: `${run.config.data.operation}, known not to grok`,
      run,
    })),
    { id: "control.shuffled-labels", what: "add with shuffled labels", run: shuffled },
  ].map(({ id, what, run }): Claim => {
    const of = (kind: Kind, points: Points) =>
      quantity(
        `${what}: max over ${where[points]} of R̄; ${kind} rows, forward windows; ${sizes(run.config.svd)}`,
        RATIO,
        [{ seed: run.seed, value: peak(couplingNode(run, kind, "forward"), points) }],
      )
    return {
      id,
      statement: `${what}: if coupling showed features that generalise, gradient directions should couple far less than the 100 – 330 of grokking runs (ours, not the paper's)`,
      paper: { statement: "no control without grokking published", source: text },
      quantity: of("gradient", "all"),
      beside: {
        "full windows": of("gradient", "fullWindows"),
        "update rows": of("update", "all"),
        "update rows, full windows": of("update", "fullWindows"),
        "final test accuracy": quantity(`${what}: test accuracy at the last checkpoint`, "share", [
          { seed: run.seed, value: map(run.run, ({ finalTestAccuracy }) => finalTestAccuracy) },
        ]),
        [GENERALISED]: grokQuantity([run], what, "firstHalf"),
      },
      // Below a third of the published range's lower end; no control at all where the run generalised after all.
      judge: (measured, beside) => {
        const step = beside[GENERALISED]?.value ?? null
        return step === null
          ? judgeEach([["gradient peak", measured]], (value) => value < 33)
          : { verdict: "not-tested", because: `no control: the run generalised, by step ${step}` }
      },
    }
  })

const peakOfRank = (coupling: Node<Coupling>, k: number): Node<number | null> =>
  read(coupling, ({ series }) => Effect.map(getTable(series), (rows) => peakOfMeans(rows, k)))

const definitionClaims = ({ sensitivities, config }: Paper): ReadonlyArray<Claim> => {
  const logitSum = (kind: Kind) =>
    quantity(
      `max over all points of R̄; ${kind} rows, forward windows, centroids of the sum of all logits; ${sweepSizes(config)}`,
      RATIO,
      sensitivities.map((run) => ({ seed: run.seed, value: peak(run.logitSum[kind]) })),
    )
  const rank = (k: number) =>
    quantity(
      `max over all points of the mean of R₁…R_${k}; gradient rows, forward windows; ${sizes({ window: config.single.svd.window, rank: k, points: config.sensitivity.points })}`,
      RATIO,
      sensitivities.map(({ seed, ranked }) => ({ seed, value: peakOfRank(ranked.gradient, k) })),
    )
  const batch = (of: string) =>
    quantity(
      `max over all points of R̄; gradients of batch ${of}, forward windows; ${sweepSizes(config)}`,
      RATIO,
      sensitivities.flatMap(({ seed, batches }) =>
        batches.filter((one) => one.batch === of).map(({ coupling }) => ({ seed, value: peak(coupling) })),
      ),
    )
  const exact = (kind: Kind) =>
    quantity(
      `max over all points of R₁; ${kind} rows, forward windows, exact derivative; ${sizes({ window: config.single.svd.window, points: config.sensitivity.points })}`,
      RATIO,
      sensitivities.flatMap(({ seed, epsilons }) =>
        epsilons.filter(({ epsilon }) => epsilon === 0).map((at) => ({ seed, value: firstPeak(at[kind]) })),
      ),
    )
  return [
    {
      id: "definition.sensitivity.add",
      statement:
        "the gap does not hang on one choice: centroid, derivative, rank or gradient batch (gradient peaks at least 33 in each; ours, not the paper's)",
      paper: { statement: "one definition published", source: text },
      quantity: logitSum("gradient"),
      beside: {
        "update rows, sum of logits": logitSum("update"),
        "exact derivative, R₁": exact("gradient"),
        "update rows, exact derivative, R₁": exact("update"),
        ...Object.fromEntries(config.sensitivity.ranks.map((k) => [`K = ${k}`, rank(k)])),
        ...Object.fromEntries(
          ["train", "mixed-full", "train-full", "step"].map((of) => [`batch ${of}`, batch(of)]),
        ),
      },
      judge: (measured, beside) =>
        judgeEach([["sum of logits", measured], ...ofGradients(beside)], (value) => value >= 33),
    },
  ]
}

export const controlClaims = (paper: Paper): ReadonlyArray<Claim> => [
  robustnessClaim(paper),
  ...withoutGrokking(paper),
  ...definitionClaims(paper),
]
