/** The reviewer's question that would settle it, and the rebuttal's assertion about energy (experiment.md §7). */
import { Effect } from "effect"
import { mean } from "../numerics/statistics.ts"
import { getTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import type { RollingSvd } from "../stages/contracts.ts"
import { type Claim, type Quantity, RATIO } from "./Claim.ts"
import { ratio, read } from "./derive.ts"
import type { Node } from "./Node.ts"
import type { Paper, Run } from "./paper.ts"
import { couplingRatios, review, rho, runGrokSteps, sizes } from "./quantities.ts"
import { grokkingRuns } from "./singleClaims.ts"
import { judgeEach, LIMITS, noReadingRule } from "./verdicts.ts"

/** The gap of a variant in units of the baseline's, the same seed and points. */
const relativeGap = (variant: Run, base: Run): Quantity => {
  const [above, below] = [
    couplingRatios([variant], "update", { statistic: "mean" }),
    couplingRatios([base], "update", { statistic: "mean" }),
  ]
  return {
    definition: `${variant.experiment}: ${above.definition}, ÷ that of the paper's optimiser at the same points`,
    unit: RATIO,
    perSeed: above.perSeed.map((run, i) => ({ ...run, value: ratio(run.value, below.perSeed[i].value) })),
    recipe: { divide: [above.recipe, below.recipe] },
  }
}

const robustnessClaim = ({ robustness, baseline }: Paper): Claim => {
  const base: Run = { experiment: "baseline", run: baseline }
  const variants = robustness.map(({ variant, run }) => ({
    variant,
    run: { experiment: variant.id, run } satisfies Run,
  }))
  const [first, ...others] = variants
  return {
    id: "robustness.optimizer-and-schedule",
    isHeadline: false,
    short: "the gap survives other optimisers",
    statement:
      "the gap between gradient and update directions survives another optimiser, weight decay and schedule: at least half of the paper's optimiser's, same seed and points",
    paper: { statement: "not tested in the paper; the reviewer's question", source: review },
    quantity: relativeGap(first.run, base),
    beside: Object.fromEntries([
      ...others.map(({ variant, run }) => [variant.id, relativeGap(run, base)]),
      ...variants.map(({ variant, run }) => [`${variant.id}, gap by peaks`, couplingRatios([run], "update")]),
      ...variants.map(({ variant, run }) => [`${variant.id}, ρ`, rho([run])]),
      ...variants.map(({ variant, run }) => [
        `${variant.id}, grok step`,
        runGrokSteps([run], variant.description, "firstThreshold"),
      ]),
    ]),
    controls: {},
    judge: (measured, beside) =>
      judgeEach(
        [
          [first.variant.id, measured],
          ...others.map(({ variant }) => [variant.id, beside[variant.id]] as const),
        ],
        (value) => value >= LIMITS.robustness,
      ),
    read: () => noReadingRule,
  }
}

/** Mean over points of the top-3 energy share of a spectrum. */
const meanEnergyShare = (sed: Node<RollingSvd>): Node<number | null> =>
  read(sed, ({ spectrum }) =>
    Effect.map(getTable(spectrum), (rows) => {
      const shares = Array.from(numbers(rows, "energyShare3")).filter(Number.isFinite)
      return shares.length === 0 ? null : mean(shares)
    }),
  )

const energy = (paper: Paper, kind: "update" | "gradient"): Quantity => {
  const runs = grokkingRuns(paper).filter(({ run }) => run.config.data.operation === "add")
  const { window, points } = paper.config.single.svd
  return {
    definition: `share of the energy of the window's ${kind}s in their three leading directions; mean over points, add; ${sizes({ window, points })}`,
    unit: "share",
    perSeed: runs.flatMap(({ run }) =>
      run.couplings
        .filter((one) => one.kind === kind && one.placement === "published")
        .map(({ sed }) => ({ seed: run.seed, value: meanEnergyShare(sed) })),
    ),
    recipe: {
      table: "energy",
      where: { experiment: "single", operation: "add", rows: kind },
      column: "share3",
      statistic: "mean",
    },
  }
}

/** Judged on the update SED, where the assertion is about it. */
const energyClaim = (paper: Paper): Claim => ({
  id: "rebuttal.rank-3-energy",
  isHeadline: false,
  short: "three directions hold 95 % of the energy",
  statement: "three directions hold more than 95 % of the energy of the window's updates",
  paper: { statement: "cumulative variance > 95 %", source: review },
  quantity: energy(paper, "update"),
  beside: { "gradient windows": energy(paper, "gradient") },
  controls: {},
  judge: (measured) => judgeEach([["update windows", measured]], (value) => value > LIMITS.rank3Energy),
  read: () => noReadingRule,
})

export const robustnessClaims = (paper: Paper): ReadonlyArray<Claim> => [
  robustnessClaim(paper),
  ...(paper.config.operations.includes("add") ? [energyClaim(paper)] : []),
]
