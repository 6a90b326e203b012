/**
 * Published claims about choices of the measurement, on `add`: window, displacement, rank, probes, single examples, centroid
 * (experiment.md §5, §7).
 */
import { type Claim, type Quantity, RATIO } from "./Claim.ts"
import { map, ratio } from "./derive.ts"
import type { Paper } from "./paper.ts"
import {
  code,
  peakOfRank,
  RHO,
  type Statistic,
  summaryOf,
  sweepSizes,
  sweepSource,
  text,
} from "./quantities.ts"
import {
  baseline,
  epsilonSetting,
  probeSetting,
  type Rows,
  relative,
  rowsText,
  swept,
  sweptRatio,
  windowSetting,
} from "./sweepQuantities.ts"
import {
  judgeDifference,
  judgeEach,
  judgeMagnitude,
  LIMITS,
  noReadingRule,
  type Published,
  readRho,
} from "./verdicts.ts"

/** Sweeps were published for one seed; ours are means over seeds. */
const oneSeed = "seed 42 alone"

/** R₁ at each window; between the published values the paper says only that they fall. */
const publishedWindow: Readonly<Record<number, Published>> = {
  1: { value: 648, source: `${code}, ${oneSeed}` },
  2: { low: 212, high: 648, source: `${text}: monotone falling; ${oneSeed}` },
  5: { low: 212, high: 648, source: `${text}: monotone falling; ${oneSeed}` },
  10: { low: 212, high: 648, source: `${text}: monotone falling; ${oneSeed}` },
  20: { value: 212, source: `${code}, ${oneSeed}` },
  40: { value: 140, source: `${code}, ${oneSeed}` },
}

const windowClaims = (paper: Paper): ReadonlyArray<Claim> =>
  paper.config.sensitivity.windows.flatMap((window) => {
    const published = publishedWindow[window]
    if (published === undefined) return []
    const at = windowSetting(window)
    const claim: Claim = {
      id: `coupling.window.add.${window}`,
      isHeadline: false,
      short: `R₁ of ${window} checkpoint${window === 1 ? "" : "s"}`,
      statement: `add: the leading gradient direction of ${window} checkpoint${window === 1 ? "" : "s"}`,
      paper: published,
      quantity: swept(paper, at, "gradient", "peak", "R1"),
      beside: {
        "time mean": swept(paper, at, "gradient", "mean", "R1"),
        R̄: swept(paper, at, "gradient"),
        "update rows": swept(paper, at, "update", "peak", "R1"),
        [RHO]: sweptRatio(paper, at, "random-logits", "mean", "R1"),
      },
      controls: { "random logits": swept(paper, at, "random-logits", "peak", "R1") },
      judge: (measured, _, paper) => judgeMagnitude(paper, measured),
      read: (others) => readRho(others[RHO]),
    }
    return [claim]
  })

const fallClaim = (paper: Paper): ReadonlyArray<Claim> => {
  const { windows } = paper.config.sensitivity
  const [short, long] = [1, 40]
  if (!windows.includes(short) || !windows.includes(long)) return []
  const fall = (rows: Rows, column: "meanR" | "R1", statistic: Statistic): Quantity => ({
    definition: `${column === "R1" ? "R₁" : "R̄"} of ${rowsText[rows]} at W = ${short} ÷ that at W = ${long}, ${statistic === "peak" ? "max" : "mean"} over points of each; ${sweepSizes(paper.config)}`,
    unit: RATIO,
    perSeed: paper.sensitivities.map((run) => ({
      seed: run.seed,
      value: ratio(
        summaryOf(windowSetting(short).of(run)[rows], statistic, column),
        summaryOf(windowSetting(long).of(run)[rows], statistic, column),
      ),
    })),
    recipe: {
      divide: [
        sweepSource("window", String(short), rows, statistic, column),
        sweepSource("window", String(long), rows, statistic, column),
      ],
    },
  })
  return [
    {
      id: "coupling.window.fall",
      isHeadline: false,
      short: "R₁ falls 4.6-fold from W = 1 to 40",
      statement:
        "add: the leading direction's coupling falls with the window, by a factor of 4.6 from W = 1 to 40",
      paper: { value: 648 / 140, source: `${code}, ${oneSeed}` },
      quantity: fall("gradient", "R1", "peak"),
      beside: { "time mean": fall("gradient", "R1", "mean") },
      controls: { "random logits": fall("random-logits", "R1", "peak") },
      judge: (measured, _, published) => judgeMagnitude(published, measured),
      read: () => noReadingRule,
    },
  ]
}

const publishedEpsilon: Readonly<Record<number, number>> = { 0.001: 221, 0.005: 212, 0.05: 74 }

const epsilonClaims = (paper: Paper): ReadonlyArray<Claim> =>
  paper.config.sensitivity.epsilons.flatMap((epsilon) => {
    const value = publishedEpsilon[epsilon]
    if (value === undefined) return []
    const at = epsilonSetting(epsilon)
    const claim: Claim = {
      id: `coupling.epsilon.add.${epsilon}`,
      isHeadline: false,
      short: `R̄ at ε = ${epsilon}`,
      statement: `add: gradient directions at a displacement of ${epsilon}·‖θ_attn‖`,
      paper: { value, source: `${code}, ${oneSeed}` },
      quantity: swept(paper, at, "gradient"),
      beside: {
        "time mean": swept(paper, at, "gradient", "mean"),
        "R₁": swept(paper, at, "gradient", "peak", "R1"),
        "exact derivative": swept(paper, epsilonSetting(0), "gradient"),
        "update rows": swept(paper, at, "update"),
        [RHO]: sweptRatio(paper, at, "random-logits"),
      },
      controls: { "random logits": swept(paper, at, "random-logits") },
      judge: (measured, _, published) => judgeMagnitude(published, measured),
      read: (others) => readRho(others[RHO]),
    }
    return [claim]
  })

/** Peaks of R̄ by the number of directions. */
const ofRank = ({ sensitivities, config }: Paper, k: number): Quantity => ({
  definition: `max over points of the mean of R₁…R_${k}; gradients; ${sweepSizes(config)}`,
  unit: RATIO,
  perSeed: sensitivities.map(({ seed, ranked }) => ({ seed, value: peakOfRank(ranked.gradient, k) })),
  recipe: sweepSource("rank", String(k), "gradient"),
})

const fivePercentClaims = (paper: Paper): ReadonlyArray<Claim> => {
  const { ranks, probeSeeds, epsilons } = paper.config.sensitivity
  const usual = swept(paper, baseline, "gradient")
  const within = (x: number) => Math.abs(x - 1) <= LIMITS.fivePercent
  const claimOf = (
    id: string,
    short: string,
    statement: string,
    cases: ReadonlyArray<readonly [string, Quantity]>,
  ): ReadonlyArray<Claim> => {
    const [first, ...others] = cases
    if (first === undefined) return []
    return [
      {
        id,
        isHeadline: false,
        short,
        statement,
        paper: { statement: "within about 5 %", source: text },
        quantity: relative(first[1], usual),
        beside: Object.fromEntries(others.map(([name, quantity]) => [name, relative(quantity, usual)])),
        controls: {},
        judge: (measured, beside) => judgeEach([[first[0], measured], ...Object.entries(beside)], within),
        read: () => noReadingRule,
      },
    ]
  }
  const small = epsilons.filter((epsilon) => epsilon > 0 && epsilon < paper.config.single.probe.epsilon)
  return [
    ...claimOf(
      "coupling.rank.within-5-percent",
      "R̄ moves by 5 % with K",
      "add: R̄ moves by about 5 % with the number K of directions",
      ranks.filter((k) => k !== paper.config.single.svd.rank).map((k) => [`K = ${k}`, ofRank(paper, k)]),
    ),
    ...claimOf(
      "coupling.probe-seed.within-5-percent",
      "R̄ moves by 5 % with the probes",
      "add: R̄ moves by about 5 % with the seed of the probes and random directions",
      probeSeeds.map((drawSeed) => [
        `probe seed ${drawSeed}`,
        swept(paper, probeSetting(drawSeed), "gradient"),
      ]),
    ),
    ...claimOf(
      "coupling.epsilon.within-5-percent",
      "R̄ moves by 5 % for ε up to 0.005",
      "add: R̄ is within about 5 % of itself for displacements up to 0.005",
      small.map((epsilon) => [`ε = ${epsilon}`, swept(paper, epsilonSetting(epsilon), "gradient")]),
    ),
  ]
}

const perExampleClaims = ({ sensitivities, config }: Paper): ReadonlyArray<Claim> => {
  const phases = ["initial", "middle", "last"] as const
  type Phase = (typeof phases)[number]
  const of = (phase: Phase, column: "meanR" | "R1" | "cosineToMean"): Quantity => ({
    definition: `${{ meanR: "R̄", R1: "R₁", cosineToMean: "|cos| of the first direction and the mean gradient" }[column]} at the ${phase} checkpoint; SVD of the centred gradients of ${config.sensitivity.perExample.examples} single examples, K = ${config.sensitivity.perExample.rank}`,
    unit: column === "cosineToMean" ? "share" : RATIO,
    perSeed: sensitivities.map(({ seed, perExample }) => ({
      seed,
      value: map(perExample, ({ phases }) => {
        const at = phases.find((one) => one.phase === phase)
        if (column === "R1") return at?.ratios[0] ?? null
        return at?.[column] ?? null
      }),
    })),
    recipe: { table: "per-example", where: { phase }, column, statistic: "value" },
  })
  const published: Record<Phase, number> = { initial: 27, middle: 92, last: 431 }
  return [
    ...phases.map(
      (phase): Claim => ({
        id: `coupling.per-example.${phase}`,
        isHeadline: false,
        short: `per-example gradients, ${phase}`,
        statement: `add: directions of per-example gradients, ${phase} checkpoint`,
        paper: { value: published[phase], source: `${code}, ${oneSeed}` },
        quantity: of(phase, "meanR"),
        beside: { "R₁": of(phase, "R1") },
        controls: {},
        judge: (measured, _, paper) => judgeMagnitude(paper, measured),
        read: () => noReadingRule,
      }),
    ),
    {
      id: "coupling.per-example.cosine",
      isHeadline: false,
      short: "per-example directions are not the mean's",
      statement:
        "add: the leading direction of centred per-example gradients has a cosine of 0.05 – 0.35 with the mean gradient",
      paper: { low: 0.05, high: 0.35, source: `${code}, ${oneSeed}` },
      quantity: of("last", "cosineToMean"),
      beside: {
        "initial checkpoint": of("initial", "cosineToMean"),
        "middle checkpoint": of("middle", "cosineToMean"),
      },
      controls: {},
      judge: (measured, _, paper) => judgeDifference(paper, measured),
      read: () => noReadingRule,
    },
  ]
}

const centroidClaim = ({ features }: Paper): ReadonlyArray<Claim> => {
  const ofAdd = features.filter(({ of }) => of.config.data.operation === "add")
  if (ofAdd.length === 0) return []
  const components = (which: "correctLogit" | "logitSum"): Quantity => ({
    definition: `principal components that hold 90 % of the variance of the centroids by ${which === "correctLogit" ? "the correct logit" : "the sum of logits"}, last checkpoint`,
    unit: "components",
    perSeed: ofAdd.map(({ of, features }) => ({
      seed: of.seed,
      value: map(features, ({ agreement }) => agreement.components90[which]),
    })),
    recipe: { table: "centroids", where: { operation: "add" }, column: which, statistic: "value" },
  })
  return [
    {
      id: "centroids.agreement",
      isHeadline: false,
      short: "both definitions of a centroid agree",
      statement:
        "add: centroids by the correct logit and by the sum of logits agree at the last checkpoint (cosine of their first principal components 0.79, equal rank at 90 %)",
      paper: { value: 0.79, source: `${code}, ${oneSeed}` },
      quantity: {
        definition:
          "|cos| of the first principal components of the probes' centroids by the correct logit and by the sum of logits, last checkpoint",
        unit: "share",
        perSeed: ofAdd.map(({ of, features }) => ({
          seed: of.seed,
          value: map(features, ({ agreement }) => agreement.cosine),
        })),
        recipe: { table: "centroids", where: { operation: "add" }, column: "cosine", statistic: "value" },
      },
      beside: {
        "components, correct logit": components("correctLogit"),
        "components, sum of logits": components("logitSum"),
      },
      controls: {},
      judge: (measured, _, paper) => judgeDifference(paper, measured),
      read: () => noReadingRule,
    },
  ]
}

export const sweepClaims = (paper: Paper): ReadonlyArray<Claim> => [
  ...windowClaims(paper),
  ...fallClaim(paper),
  ...epsilonClaims(paper),
  ...fivePercentClaims(paper),
  ...perExampleClaims(paper),
  ...centroidClaim(paper),
]
