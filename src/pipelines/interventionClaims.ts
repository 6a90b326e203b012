/** Claims about what happens when attention may move only in, or only out of, a few directions (experiment.md §6–7). */
import type { Operation } from "../numerics/modular.ts"
import type { Outcome } from "../stages/contracts.ts"
import { type Claim, type Quantity, SPEEDUP, STEPS } from "./Claim.ts"
import { all, map, ratio, zip } from "./derive.ts"
import { type GrokStep, grokStep, grokSteps, speedup } from "./grokStep.ts"
import type { Node } from "./Node.ts"
import type { Paper } from "./paper.ts"
import { code, quantity, text } from "./quantities.ts"
import { judgeMagnitude, judgeSpeedup, type Measured, speedClass } from "./verdicts.ts"

type Version = "gradient" | "update"

/** When runs grokked, beside what was measured in them. */
export const grokQuantity = (
  runs: ReadonlyArray<{ readonly seed: number; readonly run: Node<Outcome> }>,
  what: string,
  by: GrokStep = "stopStep",
): Quantity =>
  quantity(
    `${what}: step of ${grokSteps[by]}`,
    STEPS,
    runs.map(({ seed, run }) => ({ seed, value: grokStep(run, by) })),
  )

const armOf = (paper: Paper, operation: Operation, seed: number, id: string, version: Version) =>
  paper.interventions
    .find((one) => one.operation === operation && one.seed === seed)
    ?.arms.find((arm) => arm.id === id && arm.version === version)

/** Steps of the paired control ÷ steps of the arm, for each seed. */
export const speedups = (
  paper: Paper,
  operation: Operation,
  id: string,
  version: Version,
  by: GrokStep = "stopStep",
): Quantity =>
  quantity(
    `${operation}, ${id}, ${version} version: steps of the natural run ÷ steps of the arm, same seed, to ${grokSteps[by]}`,
    SPEEDUP,
    paper.interventions
      .filter((one) => one.operation === operation)
      .flatMap(({ seed, control }) => {
        const arm = armOf(paper, operation, seed, id, version)
        return arm === undefined
          ? []
          : [{ seed, value: zip(grokStep(control.run, by), grokStep(arm.run, by), speedup) }]
      }),
  )

const otherGrokSteps = (paper: Paper, operation: Operation, id: string, version: Version) => ({
  "to ≥ 0.5": speedups(paper, operation, id, version, "firstHalf"),
  "to ≥ 0.98": speedups(paper, operation, id, version, "firstThreshold"),
})

/** Speed-ups of the gradient version on `add`. */
const published: ReadonlyArray<readonly [id: string, speedup: number, steps: number]> = [
  ["remove-sed", 1.02, 3300],
  ["keep-sed", 2.2, 1525],
  ["remove-random", 1, 3358],
  ["keep-random", 2.36, 1425],
]

const controlSteps = ({ interventions }: Paper, operation: Operation, by: GrokStep) =>
  grokQuantity(
    interventions.filter((one) => one.operation === operation).map(({ control }) => control),
    `${operation}, natural run`,
    by,
  )

const nullsOf = (paper: Paper, operation: Operation) => ({
  "frozen (rank 0)": speedups(paper, operation, "frozen", "gradient"),
  "frozen after warm-up": speedups(paper, operation, "frozen-after-warmup", "gradient"),
  "decay only": speedups(paper, operation, "decay-only", "gradient"),
  noise: speedups(paper, operation, "noise", "gradient"),
})

/** The gradient version of a published arm under other definitions, and beside its variants and controls. */
const besideArm = (paper: Paper, operation: Operation, id: string) => ({
  ...otherGrokSteps(paper, operation, id, "gradient"),
  ...(id === "keep-random"
    ? { "norm-matched": speedups(paper, operation, "keep-random-norm-matched", "gradient") }
    : {}),
  ...(id.endsWith("-sed")
    ? { "natural buffer": speedups(paper, operation, `natural-buffer-${id}`, "gradient") }
    : {}),
  ...(id.startsWith("keep") ? nullsOf(paper, operation) : {}),
})

const addClaims = (paper: Paper): ReadonlyArray<Claim> => [
  {
    id: "intervention.add.control.gradient.speedup",
    statement: "add: the natural run stops after 3358 steps",
    paper: { value: 3358, source: code },
    quantity: controlSteps(paper, "add", "stopStep"),
    beside: {
      "to ≥ 0.5": controlSteps(paper, "add", "firstHalf"),
      "to ≥ 0.98": controlSteps(paper, "add", "firstThreshold"),
    },
    judge: (measured, _, paper) => judgeMagnitude(paper, measured),
  },
  ...published.map(
    ([id, speedup, steps]): Claim => ({
      id: `intervention.add.${id}.gradient.speedup`,
      statement: `add, ${id}: ${steps} steps`,
      paper: { value: speedup, source: code },
      quantity: speedups(paper, "add", id, "gradient"),
      beside: besideArm(paper, "add", id),
      family: "speed-up",
      judge: (measured) => judgeSpeedup(speedup, measured),
    }),
  ),
  {
    id: "intervention.add.remove-sed.update.speedup",
    statement: "add, remove-sed on updates: 1.21×, called an artefact of projecting after AdamW",
    paper: { value: 1.21, source: code },
    quantity: speedups(paper, "add", "remove-sed", "update"),
    beside: {
      ...otherGrokSteps(paper, "add", "remove-sed", "update"),
      "remove-random": speedups(paper, "add", "remove-random", "update"),
      "keep-sed": speedups(paper, "add", "keep-sed", "update"),
      "keep-random": speedups(paper, "add", "keep-random", "update"),
    },
    family: "speed-up",
    judge: (measured) => judgeSpeedup(1.21, measured),
  },
]

/** The paper gives no numbers for other operations: the class of the speed-up must be that of `add`. */
const sameClass = (ofAdd: number) => (measured: Measured) => {
  const judged = judgeSpeedup(ofAdd, measured)
  return measured.value !== null && speedClass(measured.value) === speedClass(ofAdd)
    ? { verdict: "reproduced" as const, because: `same class as published for add: ${judged.because}` }
    : judged
}

const otherClaims = (paper: Paper, operation: Operation): ReadonlyArray<Claim> =>
  published.map(
    ([id, speedup]): Claim => ({
      id: `intervention.${operation}.${id}.gradient.speedup`,
      statement: `${operation}, ${id}: the same pattern as add`,
      paper: { statement: "same pattern, no numbers", source: text },
      quantity: speedups(paper, operation, id, "gradient"),
      beside: {
        ...besideArm(paper, operation, id),
        "update version": speedups(paper, operation, id, "update"),
      },
      family: "speed-up",
      judge: sameClass(speedup),
    }),
  )

/**
 * Geometric mean over operations (and arms) of one seed's speed-ups; 0 where one of the arms never got there, null
 * where a control did not.
 */
const together = (paper: Paper, ids: ReadonlyArray<string>, by: GrokStep = "stopStep"): Quantity => {
  const { operations } = paper.config.interventions
  const of = operations.flatMap((operation) =>
    ids.map((id) => speedups(paper, operation, id, "gradient", by).perSeed),
  )
  return quantity(
    `${ids.join(" and ")}, gradient version: steps of the natural run ÷ steps of the arm, same seed, to ${grokSteps[by]}; geometric mean over ${operations.join(", ")}, never where one of them never got there`,
    SPEEDUP,
    paper.config.seeds.map((seed) => ({
      seed,
      value: map(
        all(of.flatMap((perSeed) => perSeed.filter((one) => one.seed === seed).map(({ value }) => value))),
        (values) => {
          const known = values.flatMap((value) => (value === null ? [] : [Math.log(value)]))
          return known.length === 0 || known.length < values.length
            ? null
            : Math.exp(known.reduce((sum, value) => sum + value, 0) / known.length)
        },
      ),
    })),
  )
}

/** Speed-up of keep-random ÷ speed-up of frozen attention, the same seed; null where frozen attention never got there. */
const rank3OverRank0 = (paper: Paper, by: GrokStep = "stopStep"): Quantity => {
  const [random, frozen] = [together(paper, ["keep-random"], by), together(paper, ["frozen"], by)]
  return quantity(
    `speed-up of keep-random ÷ speed-up of frozen, gradient version, same seed, to ${grokSteps[by]}; geometric mean over ${paper.config.interventions.operations.join(", ")}`,
    SPEEDUP,
    random.perSeed.flatMap(({ seed, value }) =>
      frozen.perSeed
        .filter((one) => one.seed === seed)
        .map((rankZero) => ({ seed, value: ratio(value, rankZero.value) })),
    ),
  )
}

const interpretations = (paper: Paper): ReadonlyArray<Claim> => {
  const kept = ["keep-sed", "keep-random"]
  const frozen = {
    "frozen (rank 0)": together(paper, ["frozen"]),
    "frozen (rank 0), to ≥ 0.5": together(paper, ["frozen"], "firstHalf"),
    "frozen (rank 0), to ≥ 0.98": together(paper, ["frozen"], "firstThreshold"),
  }
  return [
    {
      id: "intervention.any-rank-3-accelerates",
      statement: "keeping any three directions, SED or random, speeds grokking up about 2.3 times",
      paper: { value: 2.3, source: text },
      quantity: together(paper, kept),
      beside: {
        "to ≥ 0.5": together(paper, kept, "firstHalf"),
        "to ≥ 0.98": together(paper, kept, "firstThreshold"),
        "keep-sed": together(paper, ["keep-sed"]),
        "keep-random": together(paper, ["keep-random"]),
        ...frozen,
        noise: together(paper, ["noise"]),
      },
      family: "speed-up",
      judge: (measured) => judgeSpeedup(2.3, measured),
    },
    {
      id: "intervention.attention-update-is-rank-redundant",
      statement:
        "training needs only a rank-3 part of the attention update: then a rank-3 update must do what a rank-0 one (frozen attention) does not",
      paper: { statement: "stated as the interpretation; no rank-0 control published", source: text },
      quantity: rank3OverRank0(paper),
      beside: {
        "to ≥ 0.5": rank3OverRank0(paper, "firstHalf"),
        "to ≥ 0.98": rank3OverRank0(paper, "firstThreshold"),
        "keep-random": together(paper, ["keep-random"]),
        ...frozen,
      },
      family: "speed-up",
      // Rank 0 within 10 % of rank 3: attention need not move at all, so its update's rank explains nothing.
      judge: (measured, beside) => {
        const { value } = measured
        const rankZero = beside["frozen (rank 0)"]?.value ?? null
        if (beside["keep-random"]?.value === 0) {
          return {
            verdict: "contradicted",
            because: "rank-3 attention does not always grok, so training needs more",
          }
        }
        if (rankZero === 0) {
          return {
            verdict: "reproduced",
            because: "frozen attention does not always grok, rank-3 attention does",
          }
        }
        if (rankZero === null || value === null) {
          return { verdict: "not-tested", because: "the natural run did not grok" }
        }
        const because = `frozen attention: ${rankZero.toFixed(2)}×; rank 3 is ${value.toFixed(2)} times that (contradicted below 1.1, reproduced from 1.5)`
        return { verdict: value < 1.1 ? "contradicted" : value < 1.5 ? "partly" : "reproduced", because }
      },
    },
  ]
}

export const interventionClaims = (paper: Paper): ReadonlyArray<Claim> => {
  const { operations } = paper.config.interventions
  return [
    ...(operations.includes("add") ? addClaims(paper) : []),
    ...operations.filter((operation) => operation !== "add").flatMap((one) => otherClaims(paper, one)),
    ...interpretations(paper),
  ]
}
