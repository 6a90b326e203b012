/**
 * Claims about choices of the measurement, on `add`: window, displacement, rank, probes, batch, centroid, noise
 * (experiment.md §5, §7), and the attacks on the null objective by the same choices.
 */
import { Effect } from "effect"
import { getTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import type { Coupling } from "../stages/measureCoupling.ts"
import { type Claim, type Quantities, type Quantity, RATIO } from "./Claim.ts"
import { map, ratio, read } from "./derive.ts"
import type { Node } from "./Node.ts"
import type { Paper } from "./paper.ts"
import {
  code,
  peakOfRank,
  RHO,
  review,
  type Statistic,
  summaryOf,
  sweepSizes,
  sweepSource,
  text,
} from "./quantities.ts"
import type { Sensitivity } from "./sensitivity.ts"
import {
  judgeAssertion,
  judgeDifference,
  judgeEach,
  judgeMagnitude,
  LIMITS,
  noControl,
  type Published,
  readRho,
} from "./verdicts.ts"

type Rows = "update" | "gradient" | "random-logits"
type ByRows = Readonly<Record<Rows, Node<Coupling>>>

const rowsText: Record<Rows, string> = {
  update: "updates",
  gradient: "gradients",
  "random-logits": "gradients of random logits",
}

/** Where one setting of the sweeps is: in the nodes of each seed, and in the table. */
interface Setting {
  readonly setting: string
  readonly value: string
  readonly text: string
  readonly of: (run: Sensitivity) => ByRows
}

/** Finds an entry that was declared; the lists are those of the configuration. */
const found = <A>(items: ReadonlyArray<A>, is: (item: A) => boolean): A => items.find(is) ?? items[0]

const baseline: Setting = {
  setting: "baseline",
  value: "baseline",
  text: "as published",
  of: ({ baseline }) => baseline,
}
const windowSetting = (window: number): Setting => ({
  setting: "window",
  value: String(window),
  text: `W = ${window}`,
  of: ({ windows }) => found(windows, (one) => one.window === window),
})
const epsilonSetting = (epsilon: number): Setting => ({
  setting: "epsilon",
  value: String(epsilon),
  text: epsilon === 0 ? "exact derivative" : `ε = ${epsilon}`,
  of: ({ epsilons }) => found(epsilons, (one) => one.epsilon === epsilon),
})
const probeSetting = (drawSeed: number): Setting => ({
  setting: "probe-seed",
  value: String(drawSeed),
  text: `probe seed ${drawSeed}`,
  of: ({ probeSeeds }) => found(probeSeeds, (one) => one.drawSeed === drawSeed),
})
const logitSum: Setting = {
  setting: "centroid",
  value: "logit-sum",
  text: "centroids of the sum of logits",
  of: ({ logitSum }) => logitSum,
}
const ownDraws: Setting = {
  setting: "draws",
  value: "own",
  text: "draws of each run's own",
  of: ({ ownDraws }) => ownDraws,
}

const swept = (
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

const sweptRatio = (
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
      read: () => noControl,
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

/** What a quantity is in units of another, run by run. */
const relative = (one: Quantity, to: Quantity): Quantity => ({
  definition: `${one.definition}, ÷ the same with ${to.definition}`,
  unit: RATIO,
  perSeed: one.perSeed.map((run, i) => ({ ...run, value: ratio(run.value, to.perSeed[i].value) })),
  recipe: { divide: [one.recipe, to.recipe] },
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
        read: () => noControl,
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

const batchQuantity = (
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
    read: () => noControl,
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
    read: () => noControl,
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
    read: () => noControl,
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
    read: () => noControl,
  }
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
        read: () => noControl,
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
      read: () => noControl,
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
      read: () => noControl,
    },
  ]
}

/** Whole window sweeps need a run of `add`. */
export const sweepClaims = (paper: Paper): ReadonlyArray<Claim> => [
  ...windowClaims(paper),
  ...fallClaim(paper),
  ...epsilonClaims(paper),
  ...fivePercentClaims(paper),
  ...perExampleClaims(paper),
  ...centroidClaim(paper),
  definitionClaim(paper),
  attackClaim(paper),
  longWindowClaim(paper),
  noiseClaim(paper),
  alignmentClaim(paper),
]
