/**
 * Claims about what could be wrong with the measurement, on `add`: its definitions, the null objective, and the rebuttals of a
 * review by window, noise and batch (experiment.md §7).
 */
import { Effect } from "effect"
import { getTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import type { Coupling } from "../stages/measureCoupling.ts"
import { type Claim, type Quantities, type Quantity, RATIO } from "./Claim.ts"
import { map, ratio, read } from "./derive.ts"
import type { Node } from "./Node.ts"
import type { Paper } from "./paper.ts"
import { review, summaryOf, sweepSizes, sweepSource, text } from "./quantities.ts"
import {
  baseline,
  batchQuantity,
  epsilonSetting,
  found,
  logitSum,
  ownDraws,
  type Rows,
  relative,
  rowsText,
  type Setting,
  swept,
  sweptRatio,
  windowSetting,
} from "./sweepQuantities.ts"
import { judgeAssertion, judgeEach, judgeMagnitude, LIMITS, noReadingRule, readRho } from "./verdicts.ts"

/** The gap under each definition, in units of that under the published one. */
const definitionClaim = (paper: Paper): Claim => {
  const gap = (at: Setting, column: "meanR" | "R1" = "meanR") =>
    sweptRatio(paper, at, "update", "mean", column)
  const usual = gap(baseline)
  const definitions: Quantities = {
    "sum of logits": gap(logitSum),
    "exact derivative": gap(epsilonSetting(0)),
    "R₁": gap(baseline, "R1"),
    "own draws": gap(ownDraws),
    ...Object.fromEntries(
      ["train", "mixed-full", "train-full", "step"].map((batch) => [
        `batch ${batch}`,
        relative(batchQuantity(paper, batch, "mean"), swept(paper, baseline, "update", "mean")),
      ]),
    ),
  }
  return {
    id: "definition.sensitivity.add",
    isHeadline: false,
    short: "the gap hangs on no one definition",
    statement:
      "add: the gap between gradients and updates does not hang on one choice of centroid, derivative, rank, draw or gradient batch: at least half of that under the published definition (ours, not the paper's)",
    paper: { statement: "one definition published", source: text },
    quantity: usual,
    beside: definitions,
    controls: {},
    judge: ({ value }, beside) =>
      value === null
        ? { verdict: "not-tested", because: "no run yields a value" }
        : judgeEach(Object.entries(beside), (x) => x >= LIMITS.definition * value),
    read: () => noReadingRule,
  }
}

/** What ρ is under other choices: the null objective attacked. */
const attackClaim = (paper: Paper): Claim => {
  const batch: Quantity = {
    definition: `R̄ of gradients ÷ that of gradients of random logits, both on one batch of training pairs; means over points; ${sweepSizes(paper.config)}`,
    unit: RATIO,
    perSeed: paper.sensitivities.map(({ seed, batches, otherBatch }) => ({
      seed,
      value: ratio(
        summaryOf(found(batches, (one) => one.batch === "train").coupling, "mean"),
        summaryOf(otherBatch.coupling, "mean"),
      ),
    })),
    recipe: {
      divide: [
        sweepSource("batch", "train", "gradient", "mean"),
        sweepSource("batch", "train", "random-logits", "mean"),
      ],
    },
  }
  const atStart = (rows: Rows): Quantity => ({
    definition: `R₁ of ${rowsText[rows]} at initialisation, W = 1`,
    unit: RATIO,
    perSeed: paper.sensitivities.map((run) => ({
      seed: run.seed,
      value: firstRatio(found(run.windows, (one) => one.window === 1)[rows]),
    })),
    recipe: {
      table: "sweeps",
      where: { setting: "window", value: "1", rows },
      column: "R1",
      statistic: "first",
    },
  })
  const [seed] = paper.config.seeds
  const draws = paper.config.objectiveDraws.map((draw): readonly [string, Quantity] => {
    const runs = paper.objectiveDraws.filter((one) => one.draw === draw)
    return [
      `draw ${draw} of random logits, seed ${seed}`,
      {
        definition: `R̄ of gradients ÷ that of gradients of draw ${draw} of the random logits, same run, means over points`,
        unit: RATIO,
        perSeed: runs.map(({ run, coupling }) => ({
          seed: run.seed,
          operation: run.config.data.operation,
          value: ratio(
            summaryOf(found(run.couplings, ({ kind }) => kind === "gradient").coupling, "mean"),
            summaryOf(coupling, "mean"),
          ),
        })),
        recipe: {
          divide: [drawSource("gradient", 0), drawSource("random-logits", draw)],
        },
      },
    ]
  })
  return {
    id: "null.random-logits",
    isHeadline: false,
    short: "the null does not hang on one choice",
    statement:
      "add: how much more the loss's gradients couple than those of random logits, under other choices of batch, derivative, window, centroid and draw (ours, not the paper's)",
    paper: { statement: "no such null published", source: text },
    quantity: sweptRatio(paper, baseline, "random-logits"),
    beside: {
      "training batch": batch,
      "exact derivative": sweptRatio(paper, epsilonSetting(0), "random-logits"),
      "sum of logits": sweptRatio(paper, logitSum, "random-logits"),
      "own draws": sweptRatio(paper, ownDraws, "random-logits"),
      ...(paper.config.sensitivity.windows.includes(1)
        ? {
            "W = 1": sweptRatio(paper, windowSetting(1), "random-logits", "mean", "R1"),
            "at initialisation, W = 1": relative(atStart("gradient"), atStart("random-logits")),
          }
        : {}),
      ...Object.fromEntries(draws),
    },
    controls: {},
    judge: () => ({ verdict: "not-tested", because: "no number was published" }),
    read: (_, measured) => readRho(measured),
  }
}

const drawSource = (rows: string, draw: number) => ({
  table: "coupling",
  where: { experiment: "single", rows, window: "published", draw },
  column: "meanR",
  statistic: "mean" as const,
})

/** R₁ at the first point. */
const firstRatio = (coupling: Node<Coupling>): Node<number | null> =>
  read(coupling, ({ series }) =>
    Effect.map(getTable(series), (rows) => {
      const [first] = numbers(rows, "R1")
      return first === undefined || Number.isNaN(first) ? null : first
    }),
  )

const longWindowClaim = (paper: Paper): Claim => {
  const { fine, config } = paper
  const long = config.sensitivity.windows.filter((window) => window > LIMITS.window.from)
  const [first = config.sensitivity.windows.at(-1) ?? 1, ...others] = long
  const { evaluateEvery } = config.sensitivity.fine
  const fineSweep = (at: Paper["fine"]["windows"][number], rows: "update" | "gradient"): Quantity => ({
    definition: `max over points of R̄; ${rowsText[rows]} every ${evaluateEvery} steps; ${sweepSizes(config, at.window)}`,
    unit: RATIO,
    perSeed: [{ seed: fine.seed, value: summaryOf(at[rows]) }],
    recipe: sweepSource("fine-window", String(at.window), rows),
  })
  const ofGradients: Quantities = Object.fromEntries([
    ...others.map((window) => [`W = ${window}`, swept(paper, windowSetting(window), "gradient")]),
    ...fine.windows.map((at) => [
      `W = ${at.window}, every ${evaluateEvery} steps`,
      fineSweep(at, "gradient"),
    ]),
  ])
  return {
    id: "rebuttal.window-10-200",
    isHeadline: false,
    short: "R̄ > 100 once W > 20",
    statement: "R̄ stays above 100 once W > 20",
    paper: { statement: "R̄ > 100 for windows of more than 20", source: review },
    quantity: swept(paper, windowSetting(first), "gradient"),
    beside: {
      ...ofGradients,
      ...Object.fromEntries([
        ...long.map((window) => [
          `update rows, W = ${window}`,
          swept(paper, windowSetting(window), "update"),
        ]),
        ...fine.windows.map((at) => [
          `update rows, W = ${at.window}, every ${evaluateEvery} steps`,
          fineSweep(at, "update"),
        ]),
      ]),
    },
    controls: { "random logits": swept(paper, windowSetting(first), "random-logits") },
    judge: (measured, beside) =>
      judgeEach(
        [
          [`W = ${first}`, measured],
          ...Object.keys(ofGradients).map((name) => [name, beside[name]] as const),
        ],
        (value) => value > LIMITS.window.above,
      ),
    read: () => noReadingRule,
  }
}

/**
 * The rebuttal does not say of which batch the variance is: the training minibatch's, or the mixed batch's, whose gradients
 * the rows are, and which is far larger once the training set is learned. Both are judged.
 */
const noiseClaim = ({ sensitivities, config }: Paper): Claim => {
  type Of = Paper["sensitivities"][number]["noise"][number]["of"]
  const after = (of: Of, multiple: number): Quantity => ({
    definition: `max over points of R̄; gradients plus white noise of ${multiple}× the variance of a ${of}; ${sweepSizes(config)}`,
    unit: RATIO,
    perSeed: sensitivities.map(({ seed, noise }) => ({
      seed,
      value: summaryOf(found(noise, (one) => one.of === of && one.multiple === multiple).coupling),
    })),
    recipe: sweepSource(of === "training batch" ? "noise" : "mixed-noise", String(multiple), "gradient"),
  })
  const { noise: multiples } = config.sensitivity
  const [first, ...others] = multiples
  const mixed = `${first}× the mixed batch's variance`
  return {
    id: "rebuttal.noise-injection",
    isHeadline: false,
    short: "R̄ stays 80 – 300 under noise",
    statement:
      "R̄ stays at 80 – 300 with isotropic Gaussian noise at the batch variance (both readings of “batch variance”)",
    paper: { low: 80, high: 300, source: review },
    quantity: after("training batch", first),
    beside: Object.fromEntries([
      [mixed, after("mixed batch", first)],
      ...others.flatMap((multiple) => [
        [`${multiple}× the variance`, after("training batch", multiple)],
        [`${multiple}× the mixed batch's variance`, after("mixed batch", multiple)],
      ]),
    ]),
    controls: {},
    judge: (measured, beside, published) => {
      const judged = (["training batch", "mixed batch"] as const).map((name) => {
        const one = name === "training batch" ? measured : beside[mixed]
        const judgement = one === undefined ? undefined : judgeMagnitude(published, one)
        return {
          name: judgement === undefined ? name : `${name}: ${judgement.because}`,
          holds:
            judgement === undefined || judgement.verdict === "not-tested"
              ? null
              : judgement.verdict === "reproduced",
        }
      })
      return judgeAssertion(judged)
    },
    read: () => noReadingRule,
  }
}

const alignmentClaim = (paper: Paper): Claim => {
  const { sensitivities, config } = paper
  const between = (pair: string): Quantity => ({
    definition: `1 − mean squared cosine of the principal angles between the leading subspaces of gradients on ${pair}; mean over points; ${sweepSizes(config)}`,
    unit: "share",
    perSeed: sensitivities.flatMap(({ seed, alignments }) =>
      alignments
        .filter((one) => one.between === pair)
        .map(({ comparison }) => ({
          seed,
          value: map(comparison, ({ directionalVariance }) => directionalVariance),
        })),
    ),
    recipe: {
      table: "alignment",
      where: { between: pair },
      column: "directionalVariance",
      statistic: "mean",
    },
  })
  const pairs = ["training batch and training set", "mixed batch and training set"]
  return {
    id: "rebuttal.full-batch-alignment",
    isHeadline: false,
    short: "a batch's directions are the full set's",
    statement:
      "directions of a batch and of the full set differ by less than 5 % directional variance (the assertion does not say which set; all readings are judged)",
    paper: { statement: "< 5 % directional variance", source: review },
    quantity: between("mixed batch and whole table"),
    beside: {
      ...Object.fromEntries(pairs.map((pair) => [pair, between(pair)])),
      "peak R̄, training set": batchQuantity(paper, "train-full"),
      "peak R̄, whole table": batchQuantity(paper, "mixed-full"),
      "peak R̄, mixed batch": swept(paper, baseline, "gradient"),
    },
    controls: {},
    judge: (measured, beside) =>
      judgeEach(
        [["mixed batch and whole table", measured], ...pairs.map((pair) => [pair, beside[pair]] as const)],
        (value) => value < LIMITS.directionalVariance,
      ),
    read: () => noReadingRule,
  }
}

export const attackClaims = (paper: Paper): ReadonlyArray<Claim> => [
  definitionClaim(paper),
  attackClaim(paper),
  longWindowClaim(paper),
  noiseClaim(paper),
  alignmentClaim(paper),
]
