/** Quantities of the sweeps on `add`: R̄ and its ratios at one setting of the measurement (experiment.md §5). */
import type { Coupling } from "../stages/measureCoupling.ts"
import { type Quantity, RATIO } from "./Claim.ts"
import { ratio } from "./derive.ts"
import type { Node } from "./Node.ts"
import type { Paper } from "./paper.ts"
import { type Statistic, summaryOf, sweepSizes, sweepSource } from "./quantities.ts"
import type { Sensitivity } from "./sensitivity.ts"

export type Rows = "update" | "gradient" | "random-logits"
type ByRows = Readonly<Record<Rows, Node<Coupling>>>

export const rowsText: Record<Rows, string> = {
  update: "updates",
  gradient: "gradients",
  "random-logits": "gradients of random logits",
}

/** Where one setting of the sweeps is: in the nodes of each seed, and in the table. */
export interface Setting {
  readonly setting: string
  readonly value: string
  readonly text: string
  readonly of: (run: Sensitivity) => ByRows
}

/** Finds an entry that was declared; the lists are those of the configuration. */
export const found = <A>(items: ReadonlyArray<A>, is: (item: A) => boolean): A => items.find(is) ?? items[0]

export const baseline: Setting = {
  setting: "baseline",
  value: "baseline",
  text: "as published",
  of: ({ baseline }) => baseline,
}
export const windowSetting = (window: number): Setting => ({
  setting: "window",
  value: String(window),
  text: `W = ${window}`,
  of: ({ windows }) => found(windows, (one) => one.window === window),
})
export const epsilonSetting = (epsilon: number): Setting => ({
  setting: "epsilon",
  value: String(epsilon),
  text: epsilon === 0 ? "exact derivative" : `ε = ${epsilon}`,
  of: ({ epsilons }) => found(epsilons, (one) => one.epsilon === epsilon),
})
export const probeSetting = (drawSeed: number): Setting => ({
  setting: "probe-seed",
  value: String(drawSeed),
  text: `probe seed ${drawSeed}`,
  of: ({ probeSeeds }) => found(probeSeeds, (one) => one.drawSeed === drawSeed),
})
export const logitSum: Setting = {
  setting: "centroid",
  value: "logit-sum",
  text: "centroids of the sum of logits",
  of: ({ logitSum }) => logitSum,
}
export const ownDraws: Setting = {
  setting: "draws",
  value: "own",
  text: "draws of each run's own",
  of: ({ ownDraws }) => ownDraws,
}

export const swept = (
  { sensitivities, config }: Paper,
  at: Setting,
  rows: Rows,
  statistic: Statistic = "peak",
  column: "meanR" | "R1" = "meanR",
): Quantity => ({
  definition: `${statistic === "peak" ? "max" : "mean"} over points of ${column === "R1" ? "R₁" : "R̄"}; ${rowsText[rows]}, ${at.text}; ${sweepSizes(config)}`,
  unit: RATIO,
  perSeed: sensitivities.map((run) => ({
    seed: run.seed,
    value: summaryOf(at.of(run)[rows], statistic, column),
  })),
  recipe: sweepSource(at.setting, at.value, rows, statistic, column),
})

export const sweptRatio = (
  { sensitivities, config }: Paper,
  at: Setting,
  other: Exclude<Rows, "gradient">,
  statistic: Statistic = "mean",
  column: "meanR" | "R1" = "meanR",
): Quantity => ({
  definition: `${column === "R1" ? "R₁" : "R̄"} of gradients ÷ that of ${rowsText[other]}, ${statistic === "peak" ? "max" : "mean"} over points of each; ${at.text}; ${sweepSizes(config)}`,
  unit: RATIO,
  perSeed: sensitivities.map((run) => ({
    seed: run.seed,
    value: ratio(
      summaryOf(at.of(run).gradient, statistic, column),
      summaryOf(at.of(run)[other], statistic, column),
    ),
  })),
  recipe: {
    divide: [
      sweepSource(at.setting, at.value, "gradient", statistic, column),
      sweepSource(at.setting, at.value, other, statistic, column),
    ],
  },
})

/** What a quantity is in units of another, run by run. */
export const relative = (one: Quantity, to: Quantity): Quantity => ({
  definition: `${one.definition}, ÷ the same with ${to.definition}`,
  unit: RATIO,
  perSeed: one.perSeed.map((run, i) => ({ ...run, value: ratio(run.value, to.perSeed[i].value) })),
  recipe: { divide: [one.recipe, to.recipe] },
})

export const batchQuantity = (
  { sensitivities, config }: Paper,
  batch: string,
  statistic: Statistic = "peak",
): Quantity => ({
  definition: `${statistic === "peak" ? "max" : "mean"} over points of R̄; gradients of batch ${batch}; ${sweepSizes(config)}`,
  unit: RATIO,
  perSeed: sensitivities.map(({ seed, batches }) => ({
    seed,
    value: summaryOf(found(batches, (one) => one.batch === batch).coupling, statistic),
  })),
  recipe: sweepSource("batch", batch, "gradient", statistic),
})
