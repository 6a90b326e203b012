/** Claims about runs of one operation: how strongly update and gradient directions couple (experiment.md §7). */
import type { Operation } from "../numerics/modular.ts"
import type { Claim, Quantities } from "./Claim.ts"
import type { Paper, Run } from "./paper.ts"
import { code, couplingRatios, couplings, RHO, rho, runGrokSteps, text } from "./quantities.ts"
import type { Kind } from "./single.ts"
import { judgeMagnitude, noReadingRule, type Published, readRho } from "./verdicts.ts"

/** The runs of the paper's operations. */
export const grokkingRuns = ({ singles }: Paper): ReadonlyArray<Run> =>
  singles.map((run) => ({ experiment: "single", run }))

/** The other summaries of R̄: a maximum over points is biased upward, so it never stands alone. */
export const otherSummaries = (runs: ReadonlyArray<Run>, kind: Kind): Quantities => ({
  "time mean": couplings(runs, { kind, statistic: "mean" }),
  "mean before grokking": couplings(runs, { kind, statistic: "meanBefore" }),
  "mean after grokking": couplings(runs, { kind, statistic: "meanAfter" }),
  "backward windows": couplings(runs, { kind, placement: "backward" }),
})

/** ρ under its definition, by peaks, and before and after grokking. */
export const rhos = (runs: ReadonlyArray<Run>): Quantities => ({
  [RHO]: rho(runs),
  "ρ by peaks": rho(runs, "peak"),
  "ρ before grokking": rho(runs, "meanBefore"),
  "ρ after grokking": rho(runs, "meanAfter"),
  "÷ permuted labels, means": couplingRatios(runs, "permuted-labels", { statistic: "mean" }),
})

/** Peaks of the null objectives. */
export const nullPeaks = (runs: ReadonlyArray<Run>): Quantities => ({
  "random logits": couplings(runs, { kind: "random-logits" }),
  "permuted labels": couplings(runs, { kind: "permuted-labels" }),
})

/** How much more gradients couple than updates, by other summaries. */
export const otherGaps = (runs: ReadonlyArray<Run>): Quantities => ({
  "means ÷ means": couplingRatios(runs, "update", { statistic: "mean" }),
  "before grokking": couplingRatios(runs, "update", { statistic: "meanBefore" }),
  "after grokking": couplingRatios(runs, "update", { statistic: "meanAfter" }),
  "backward windows": couplingRatios(runs, "update", { placement: "backward" }),
})

const publishedUpdate = (operation: Operation): Published =>
  operation === "add" ? { value: 9, source: code } : { low: 3, high: 3.5, source: code }

export const singleClaims = (paper: Paper): ReadonlyArray<Claim> =>
  paper.config.operations.flatMap((operation): ReadonlyArray<Claim> => {
    const runs = grokkingRuns(paper).filter(({ run }) => run.config.data.operation === operation)
    const base = `coupling.single.${operation}`
    const grok = { "grok step": runGrokSteps(runs, `${operation}, natural run`) }
    return [
      {
        id: `${base}.update.peak`,
        isHeadline: false,
        short: `${operation}: update directions couple weakly`,
        statement: `${operation}: update directions couple weakly to the centroids (3 – 9 over the operations; about 9 for add and about 3.5 for the others stand in a comment of the published code, for seed 42)`,
        paper: publishedUpdate(operation),
        quantity: couplings(runs, { kind: "update" }),
        beside: { ...otherSummaries(runs, "update"), ...grok },
        controls: {},
        judge: (measured, _, published) => judgeMagnitude(published, measured),
        read: () => noReadingRule,
      },
      {
        id: `${base}.gradient.peak`,
        isHeadline: false,
        short: `${operation}: gradient directions couple strongly`,
        statement: `${operation}: gradient directions couple strongly, 100 – 330 over operations and seeds${operation === "mul" ? " (by seed 327, 101, 217)" : ""}`,
        paper: { low: 100, high: 330, source: code },
        quantity: couplings(runs, { kind: "gradient" }),
        beside: { ...otherSummaries(runs, "gradient"), ...rhos(runs), ...grok },
        controls: nullPeaks(runs),
        judge: (measured, _, published) => judgeMagnitude(published, measured),
        read: (others) => readRho(others[RHO]),
      },
      {
        id: `${base}.gradient-over-update`,
        isHeadline: false,
        short: `${operation}: gradients couple 10 – 100 times as much as updates`,
        statement: `${operation}: gradient directions couple 1 – 2 orders of magnitude more strongly than update directions`,
        paper: { low: 10, high: 100, source: text },
        quantity: couplingRatios(runs, "update"),
        beside: { ...otherGaps(runs), [RHO]: rho(runs) },
        controls: {},
        judge: (measured, _, published) => judgeMagnitude(published, measured),
        read: (others) => readRho(others[RHO]),
      },
    ]
  })
