/**
 * The statements of the abstract, one claim each, in its order: what a reader takes away. Each is judged over all operations
 * and seeds at once; the details stand in the other lists.
 */
import { type Claim, type MeasuredBy, type Quantity, RATIO } from "./Claim.ts"
import {
  energyShare,
  nullArms,
  otherGrokSteps,
  publishedArms,
  RANK_ZERO,
  removedEnergy,
  speedupRatio,
  speedups,
} from "./interventionClaims.ts"
import { fine, multitaskGrokStep, multitaskRho, ofOperations, ratioOver, stepsOf } from "./multitaskClaims.ts"
import type { Paper, Run } from "./paper.ts"
import { couplingNode, couplingRatios, couplings, RHO, rho, spreadOf, summaryOf, text } from "./quantities.ts"
import type { Kind } from "./single.ts"
import { grokkingRuns, nullPeaks, otherGaps, otherSummaries, rhos } from "./singleClaims.ts"
import {
  areAlike,
  digits,
  judgeAssertion,
  judgeMagnitude,
  judgeSpeedup,
  LIMITS,
  noReadingRule,
  readAggregation,
  readCadence,
  readRankZero,
  readRemoval,
  readRho,
  untested,
} from "./verdicts.ts"

/** Largest ÷ smallest peak over the operations, for each seed. */
const operationSpread = ({ singles, config }: Paper, kind: Kind): Quantity => ({
  definition: `largest ÷ smallest peak of R̄ over ${config.operations.join(", ")}, same seed; ${kind}s`,
  unit: RATIO,
  perSeed: config.seeds.map((seed) => ({
    seed,
    value: spreadOf(
      singles.filter((run) => run.seed === seed).map((run) => summaryOf(couplingNode(run, kind))),
    ),
  })),
  recipe: {
    over: [...config.operations],
    combine: "largest-over-smallest",
    of: {
      table: "coupling",
      where: { experiment: "single", rows: kind, window: "published", draw: 0 },
      column: "meanR",
      statistic: "peak",
    },
  },
})

/** Runs in which nothing generalises: what a gradient direction's coupling is without grokking. */
const withoutGrokking = ({ nonGrokking, shuffled }: Paper): ReadonlyArray<readonly [string, Run]> => [
  ...nonGrokking.map(
    (run) => [`${run.config.data.operation}, never groks`, { experiment: "non-grokking", run }] as const,
  ),
  ["shuffled labels", { experiment: "shuffled-labels", run: shuffled }],
]

const singleHeadlines = (paper: Paper): ReadonlyArray<Claim> => {
  const runs = grokkingRuns(paper)
  const outside = withoutGrokking(paper)
  const updates = "update directions"
  return [
    {
      id: "headline.update-peaks",
      isHeadline: true,
      short: "updates couple weakly: peaks of 3 – 9",
      statement: "Directions of an SVD of optimizer updates couple weakly to the centroids: R̄ peaks at 3 – 9",
      paper: { low: 3, high: 9, source: text },
      quantity: couplings(runs, { kind: "update" }),
      beside: otherSummaries(runs, "update"),
      controls: {},
      judge: (measured, _, published) => judgeMagnitude(published, measured),
      read: () => noReadingRule,
    },
    {
      id: "headline.gradient-peaks",
      isHeadline: true,
      short: "gradients couple strongly: peaks of 100 – 330",
      statement:
        "Directions of an SVD of gradients find the directions in which features form: R̄ peaks at 100 – 330",
      paper: { low: 100, high: 330, source: text },
      quantity: couplings(runs, { kind: "gradient" }),
      beside: {
        ...otherSummaries(runs, "gradient"),
        ...rhos(runs),
        ...Object.fromEntries(outside.map(([name, run]) => [`ρ, ${name}`, rho([run], "mean", name)])),
      },
      controls: {
        ...nullPeaks(runs),
        ...Object.fromEntries(
          outside.map(([name, run]) => [name, couplings([run], { kind: "gradient", what: name })]),
        ),
      },
      judge: (measured, _, published) => judgeMagnitude(published, measured),
      read: (others) => readRho(others[RHO]),
    },
    {
      id: "headline.gap",
      isHeadline: true,
      short: "gradients couple 10 – 100 times as much as updates",
      statement:
        "Gradient directions couple one to two orders of magnitude more strongly than update directions",
      paper: { low: 10, high: 100, source: text },
      quantity: couplingRatios(runs, "update"),
      beside: { ...otherGaps(runs), [RHO]: rho(runs) },
      controls: {},
      judge: (measured, beside, published) => {
        const judged = judgeMagnitude(published, measured)
        const beyond = measured.perSeed.filter(({ value }) => value !== null && value < 10).length
        const means = beside["means ÷ means"]?.value ?? null
        const byMeans = means === null ? "" : `; by time means the gap is ${digits(means)}`
        return { ...judged, because: `${judged.because}; ${beyond} below 10${byMeans}` }
      },
      read: (others) => readRho(others[RHO]),
    },
    {
      id: "headline.operation-dependence",
      isHeadline: true,
      short: "operation dependence vanishes with gradients",
      statement:
        "Gradients eliminate the apparent operation dependence of updates: their peaks differ less from operation to operation (published figures give about 3.3 for gradients and 2.6 for updates)",
      paper: { statement: "dependence vanishes", source: text },
      quantity: operationSpread(paper, "gradient"),
      beside: { [updates]: operationSpread(paper, "update") },
      controls: { "random logits": operationSpread(paper, "random-logits") },
      judge: (measured, beside) =>
        judgeAssertion(
          measured.perSeed.map(({ seed, value }) => {
            const other = beside[updates]?.perSeed.find((one) => one.seed === seed)?.value ?? null
            return {
              name: `seed ${seed}: ${value === null ? "–" : digits(value)}, updates ${other === null ? "–" : digits(other)}`,
              holds: value === null || other === null ? null : value < other,
            }
          }),
        ),
      read: () => noReadingRule,
    },
  ]
}

const multitaskHeadlines = (paper: Paper): ReadonlyArray<Claim> => {
  const finer = `every ${stepsOf(paper, fine(paper))} steps`
  const aggregated = ratioOver(
    paper,
    { estimator: "aggregated-gradient", statistic: "mean" },
    { estimator: "per-op-gradient", statistic: "mean" },
  )
  return [
    {
      id: "headline.multitask-updates",
      isHeadline: true,
      short: "multitask updates couple at most like random directions",
      statement:
        "With several operations at once, update directions couple no better than random ones (judged by the time mean)",
      paper: { atMost: 1, source: text },
      quantity: ofOperations(paper, { estimator: "update", statistic: "mean" }),
      beside: {
        peak: ofOperations(paper, { estimator: "update" }),
        "share of points above 1": ofOperations(paper, { estimator: "update", statistic: "shareAboveOne" }),
        [`${finer}, mean`]: ofOperations(paper, {
          estimator: "update",
          stride: fine(paper),
          statistic: "mean",
        }),
        [`${finer}, share of points above 1`]: ofOperations(paper, {
          estimator: "update",
          stride: fine(paper),
          statistic: "shareAboveOne",
        }),
        "grok step": multitaskGrokStep(paper),
      },
      controls: {},
      judge: (measured, _, published) => judgeMagnitude(published, measured),
      read: (others) => readCadence(others[`${finer}, mean`]),
    },
    {
      id: "headline.multitask-gradients",
      isHeadline: true,
      short: "multitask, own gradients couple: peaks of 20 – 45",
      statement:
        "With several operations at once, gradients of an operation's own loss find its directions: R̄ peaks at 20 – 45",
      paper: { low: 20, high: 45, source: text },
      quantity: ofOperations(paper, { estimator: "per-op-gradient" }),
      beside: {
        "time mean": ofOperations(paper, { estimator: "per-op-gradient", statistic: "mean" }),
        "mean before grokking": ofOperations(paper, {
          estimator: "per-op-gradient",
          statistic: "meanBefore",
        }),
        "mean after grokking": ofOperations(paper, { estimator: "per-op-gradient", statistic: "meanAfter" }),
        [RHO]: multitaskRho(paper),
        "ρ by peaks": ratioOver(paper, { estimator: "per-op-gradient" }, { estimator: "random-logits" }),
        "÷ permuted labels, means": ratioOver(
          paper,
          { estimator: "per-op-gradient", statistic: "mean" },
          { estimator: "permuted-labels", statistic: "mean" },
        ),
      },
      controls: {
        "random logits": ofOperations(paper, { estimator: "random-logits" }),
        "permuted labels": ofOperations(paper, { estimator: "permuted-labels" }),
      },
      judge: (measured, _, published) => judgeMagnitude(published, measured),
      read: (others) => readRho(others[RHO]),
    },
    {
      id: "headline.aggregation",
      isHeadline: true,
      short: "aggregation over tasks is the obstruction",
      statement:
        "Summing the operations' losses hides what the gradients of each loss recover (the control that the paper lacks: gradients of the summed loss)",
      paper: { statement: "no direct control", source: text },
      quantity: aggregated,
      beside: {
        "by peaks": ratioOver(paper, { estimator: "aggregated-gradient" }, { estimator: "per-op-gradient" }),
        "gradients of the summed loss, peak": ofOperations(paper, { estimator: "aggregated-gradient" }),
      },
      controls: {},
      judge: () => untested("no number was published"),
      read: (_, measured) => readAggregation(measured),
    },
  ]
}

const interventionHeadlines = (paper: Paper): ReadonlyArray<Claim> => {
  const { operations } = paper.config.interventions
  const [removeSed] = publishedArms
  const against = (id: string) => speedupRatio(paper, operations, { id }, { id: "frozen" })
  /** Arms without three directions that do what frozen attention does. */
  const alike = (others: MeasuredBy) =>
    ["noise", "decay-only"].map((id) => {
      const one = others[`${id} ${RANK_ZERO}`]
      const judged = one === undefined ? null : areAlike(one)
      return `${id} ${judged === null ? "not compared" : judged ? "the same" : "not shown to be the same"}`
    })
  return [
    {
      id: "headline.rank-3-accelerates",
      isHeadline: true,
      short: "any three directions speed grokking up 2.3-fold",
      statement:
        "Letting attention move only in three directions, any three, speeds grokking up about 2.3 times",
      paper: { value: 2.3, source: text },
      quantity: speedups(paper, operations, { id: "keep-random" }),
      beside: {
        "keep SED, published buffer": speedups(paper, operations, { id: "keep-sed" }),
        "keep SED, current gradients": speedups(paper, operations, { id: "natural-buffer-keep-sed" }),
        "energy share, current gradients": energyShare(paper, operations, { id: "natural-buffer-keep-sed" }),
        ...otherGrokSteps(paper, operations, { id: "keep-random" }),
        [RANK_ZERO]: against("keep-random"),
      },
      controls: {
        ...nullArms(paper, operations),
        "norm-matched": speedups(paper, operations, { id: "keep-random-norm-matched" }),
      },
      judge: (measured) => judgeSpeedup(2.3, measured),
      read: (others) => readRankZero(others[RANK_ZERO]),
    },
    {
      id: "headline.removing-rank-3",
      isHeadline: true,
      short: "removing the three SED directions changes nothing",
      statement:
        "Removing the three SED directions from attention's gradient does not change when a network groks",
      paper: { value: removeSed[1], source: text },
      quantity: speedups(paper, operations, { id: "remove-sed" }),
      beside: {
        "energy removed": removedEnergy(paper, operations, { id: "remove-sed" }),
        ...otherGrokSteps(paper, operations, { id: "remove-sed" }),
        "energy removed, current gradients": removedEnergy(paper, operations, {
          id: "natural-buffer-remove-sed",
        }),
        "current gradients": speedups(paper, operations, { id: "natural-buffer-remove-sed" }),
      },
      controls: { "remove random": speedups(paper, operations, { id: "remove-random" }) },
      judge: (measured) => judgeSpeedup(removeSed[1], measured),
      read: (others) => readRemoval(others["energy removed"]),
    },
    {
      id: "headline.rank-redundant",
      isHeadline: true,
      short: "attention's update is rank-redundant",
      statement:
        "Attention's update is rank-redundant: three directions of it are enough, and matter (rank 0, attention that never moves, is the control that the paper lacks)",
      paper: { statement: "three suffice", source: text },
      quantity: against("keep-random"),
      beside: {
        "keep-random": speedups(paper, operations, { id: "keep-random" }),
        [`noise ${RANK_ZERO}`]: against("noise"),
        [`decay-only ${RANK_ZERO}`]: against("decay-only"),
        [`norm-matched ${RANK_ZERO}`]: against("keep-random-norm-matched"),
      },
      controls: {},
      judge: (_, beside) =>
        judgeAssertion(
          (beside["keep-random"]?.perSeed ?? []).map(({ seed, value }) => ({
            name: `seed ${seed}: ${value === null ? "–" : digits(value)}×`,
            holds: value === null ? null : value >= LIMITS.suffices,
          })),
        ),
      read: (others, measured) => {
        const judged = readRankZero(measured)
        return judged.verdict === "not-tested"
          ? judged
          : { ...judged, because: `${judged.because}; against rank 0, ${alike(others).join(", ")}` }
      },
    },
  ]
}

export const headlineClaims = (paper: Paper): ReadonlyArray<Claim> => [
  ...singleHeadlines(paper),
  ...multitaskHeadlines(paper),
  ...interventionHeadlines(paper),
]
