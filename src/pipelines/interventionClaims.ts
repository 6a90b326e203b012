/** Claims about what happens when attention may move only in, or only out of, a few directions (experiment.md §6–7). */
import type { Operation } from "../numerics/modular.ts"
import type { Outcome } from "../stages/contracts.ts"
import { type Claim, type Quantity, SPEEDUP } from "./Claim.ts"
import { all, map, ratio, zip } from "./derive.ts"
import type { Node } from "./Node.ts"
import type { Paper } from "./paper.ts"
import { code, quantity, text } from "./quantities.ts"
import { judgeMagnitude, judgeSpeedup, type Measured, speedClass } from "./verdicts.ts"

type GrokStep = "firstHalf" | "firstThreshold" | "stopStep"
type Version = "gradient" | "update"

const grokSteps: Record<GrokStep, string> = {
  firstHalf: "first test accuracy ≥ 0.5",
  firstThreshold: "first test accuracy ≥ 0.98",
  stopStep: "the stop rule",
}

/** The grok step under a definition. */
export const grokStep = (run: Node<Outcome>, by: GrokStep): Node<number | null> =>
  map(run, (outcome) => outcome[by])

const armOf = (paper: Paper, operation: Operation, seed: number, id: string, version: Version) =>
  paper.interventions
    .find((one) => one.operation === operation && one.seed === seed)
    ?.arms.find((arm) => arm.id === id && arm.version === version)

/** 0 where the arm never got there; null where the control did not. */
const speedup = (control: number | null, arm: number | null): number | null =>
  control === null ? null : arm === null ? 0 : control / arm

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
  quantity(
    `${operation}, natural run: step of ${grokSteps[by]}`,
    "steps",
    interventions
      .filter((one) => one.operation === operation)
      .map(({ seed, control }) => ({ seed, value: grokStep(control.run, by) })),
  )

const nullsOf = (paper: Paper, operation: Operation) => ({
  "frozen (rank 0)": speedups(paper, operation, "frozen", "gradient"),
  "frozen after warm-up": speedups(paper, operation, "frozen-after-warmup", "gradient"),
  "decay only": speedups(paper, operation, "decay-only", "gradient"),
  noise: speedups(paper, operation, "noise", "gradient"),
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
      beside: {
        ...otherGrokSteps(paper, "add", id, "gradient"),
        ...(id === "keep-random"
          ? { "norm-matched": speedups(paper, "add", "keep-random-norm-matched", "gradient") }
          : {}),
        ...(id.endsWith("-sed")
          ? { "natural buffer": speedups(paper, "add", `natural-buffer-${id}`, "gradient") }
          : {}),
        ...(id.startsWith("keep") ? nullsOf(paper, "add") : {}),
      },
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
        ...otherGrokSteps(paper, operation, id, "gradient"),
        ...(id.startsWith("keep") ? nullsOf(paper, operation) : {}),
      },
      family: "speed-up",
      judge: sameClass(speedup),
    }),
  )

/** Geometric mean over operations (and arms) of one seed's speed-ups; null where a control never got there. */
const together = (paper: Paper, ids: ReadonlyArray<string>, definition: string): Quantity => {
  const { operations } = paper.config.interventions
  const of = operations.flatMap((operation) =>
    ids.map((id) => speedups(paper, operation, id, "gradient").perSeed),
  )
  return quantity(
    definition,
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

const interpretations = (paper: Paper): ReadonlyArray<Claim> => {
  const { operations } = paper.config.interventions
  const over = `geometric mean over ${operations.join(", ")}`
  const kept = together(paper, ["keep-sed", "keep-random"], `keep-sed and keep-random, ${over}`)
  const frozen = together(paper, ["frozen"], `frozen, ${over}`)
  return [
    {
      id: "intervention.any-rank-3-accelerates",
      statement: "keeping any three directions, SED or random, speeds grokking up about 2.3 times",
      paper: { value: 2.3, source: text },
      quantity: kept,
      beside: {
        "keep-sed": together(paper, ["keep-sed"], `keep-sed, ${over}`),
        "keep-random": together(paper, ["keep-random"], `keep-random, ${over}`),
        "frozen (rank 0)": frozen,
        noise: together(paper, ["noise"], `noise, ${over}`),
      },
      family: "speed-up",
      judge: (measured) => judgeSpeedup(2.3, measured),
    },
    {
      id: "intervention.attention-update-is-rank-redundant",
      statement:
        "training needs only a rank-3 part of the attention update: then a rank-3 update must do what a rank-0 one (frozen attention) does not",
      paper: { statement: "stated as the interpretation; no rank-0 control published", source: text },
      quantity: quantity(
        `speed-up of keep-random ÷ speed-up of frozen, same seed, ${over}`,
        SPEEDUP,
        paper.config.seeds.map((seed) => {
          const of = (one: Quantity) => one.perSeed.find((other) => other.seed === seed)
          const [random, rankZero] = [of(together(paper, ["keep-random"], "")), of(frozen)]
          const none = map(all([]), () => null)
          return { seed, value: ratio(random?.value ?? none, rankZero?.value ?? none) }
        }),
      ),
      beside: { frozen },
      family: "speed-up",
      // Rank 0 within 10 % of rank 3: attention need not move at all, so its update's rank explains nothing.
      judge: (measured, beside) => {
        const { value } = measured
        const rankZero = beside.frozen?.value ?? null
        if (rankZero === 0) {
          return { verdict: "reproduced", because: "frozen attention does not grok, rank-3 attention does" }
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
