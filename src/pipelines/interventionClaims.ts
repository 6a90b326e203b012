/** Claims about what happens when attention may move only in, or only out of, a few directions (experiment.md §6–7). */
import { Effect } from "effect"
import type { Operation } from "../numerics/modular.ts"
import { getTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import { type Claim, type Quantities, type Quantity, SPEEDUP, STEPS } from "./Claim.ts"
import { map, ratio, read, zip } from "./derive.ts"
import { type GrokStep, grokStep, grokSteps, speedup } from "./grokStep.ts"
import type { Paper } from "./paper.ts"
import { code, review, text } from "./quantities.ts"
import type { Source } from "./recipe.ts"
import {
  judgeEach,
  judgeMagnitude,
  judgeSpeedup,
  LIMITS,
  type Measured,
  type NumberJudgement,
  noReadingRule,
  readRankZero,
  speedClass,
} from "./verdicts.ts"

type Version = "gradient" | "update"

/** An arm by its id and version. */
export interface ArmId {
  readonly id: string
  readonly version?: Version
}

/** The operation and seed pairs of some operations; all of them where none is given. */
const pairsOf = ({ interventions, config }: Paper, operations: ReadonlyArray<Operation>) =>
  interventions.filter(
    ({ operation }) => operations.includes(operation) && config.interventions.operations.includes(operation),
  )

const pick = (pair: Paper["interventions"][number], { id, version = "gradient" }: ArmId) =>
  pair.arms.filter((arm) => arm.id === id && arm.version === version)

const armSource = (
  operations: ReadonlyArray<Operation>,
  { id, version = "gradient" }: ArmId,
  column: string,
): Source => ({
  table: "interventions",
  where: {
    arm: id,
    version: id === "control" ? null : version,
    ...(operations.length === 1 ? { operation: operations[0] } : {}),
  },
  column,
  statistic: "value",
})

const tagged = (
  operations: ReadonlyArray<Operation>,
  { operation, seed }: Paper["interventions"][number],
) => ({
  seed,
  ...(operations.length === 1 ? {} : { operation }),
})

/** Steps of the paired control ÷ steps of the arm, for each pair of operation and seed. */
export const speedups = (
  paper: Paper,
  operations: ReadonlyArray<Operation>,
  arm: ArmId,
  by: GrokStep = "stopStep",
): Quantity => ({
  definition: `${operations.join(" and ")}, ${arm.id}, ${arm.version ?? "gradient"} version: steps of the natural run ÷ steps of the arm, same operation and seed, to ${grokSteps[by]}`,
  unit: SPEEDUP,
  perSeed: pairsOf(paper, operations).flatMap((pair) =>
    pick(pair, arm).map(({ run }) => ({
      ...tagged(operations, pair),
      value: zip(grokStep(pair.control.run, by), grokStep(run, by), speedup),
    })),
  ),
  recipe: { speedup: [armSource(operations, { id: "control" }, by), armSource(operations, arm, by)] },
})

/** Speed-up of one arm ÷ speed-up of another, pair by pair; null where the other never got there. */
export const speedupRatio = (
  paper: Paper,
  operations: ReadonlyArray<Operation>,
  one: ArmId,
  other: ArmId,
): Quantity => {
  const [above, below] = [speedups(paper, operations, one), speedups(paper, operations, other)]
  return {
    definition: `${operations.join(" and ")}: speed-up of ${one.id} ÷ speed-up of ${other.id}, same operation and seed, to ${grokSteps.stopStep}`,
    unit: SPEEDUP,
    perSeed: above.perSeed.map((run, i) => ({ ...run, value: ratio(run.value, below.perSeed[i].value) })),
    recipe: { divide: [above.recipe, below.recipe] },
  }
}

export const RANK_ZERO = "÷ frozen (rank 0)"

type Figure = "normRatio" | "cosine" | "energyShare"

/** Mean over the modified steps of what an arm did to the vectors of a step. */
const armFigure = (
  paper: Paper,
  operations: ReadonlyArray<Operation>,
  arm: ArmId,
  figure: Figure,
  definition: string,
): Quantity => ({
  definition: `${definition}; mean over modified steps, ${operations.join(" and ")}, ${arm.id}, ${arm.version ?? "gradient"} version`,
  unit: "share",
  perSeed: pairsOf(paper, operations).flatMap((pair) =>
    pick(pair, arm).map(({ run }) => ({
      ...tagged(operations, pair),
      value: map(run, (intervened) => intervened[figure]),
    })),
  ),
  recipe: armSource(operations, arm, figure),
})

export const energyShare = (paper: Paper, operations: ReadonlyArray<Operation>, arm: ArmId): Quantity =>
  armFigure(
    paper,
    operations,
    arm,
    "energyShare",
    "share of the buffer's energy in its three leading directions",
  )

/** Share of the gradient's energy that an arm removes: mean over the modified steps of 1 − (norm ratio)². */
export const removedEnergy = (paper: Paper, operations: ReadonlyArray<Operation>, arm: ArmId): Quantity => ({
  definition: `share of the gradient's energy that is removed; mean over modified steps, ${operations.join(" and ")}, ${arm.id}`,
  unit: "share",
  perSeed: pairsOf(paper, operations).flatMap((pair) =>
    pick(pair, arm).map(({ run }) => ({
      ...tagged(operations, pair),
      value: read(run, ({ steps }) =>
        Effect.map(getTable(steps), (rows) => {
          const ratios = Array.from(numbers(rows, "normRatio")).filter(Number.isFinite)
          return ratios.length === 0
            ? null
            : ratios.reduce((sum, ratio) => sum + 1 - ratio ** 2, 0) / ratios.length
        }),
      ),
    })),
  ),
  recipe: armSource(operations, arm, "removedEnergy"),
})

/** Speed-ups of the gradient version on `add`. */
export const publishedArms: ReadonlyArray<readonly [id: string, speedup: number, steps: number]> = [
  ["remove-sed", 1.02, 3300],
  ["keep-sed", 2.2, 1525],
  ["remove-random", 1, 3358],
  ["keep-random", 2.36, 1425],
]

const controlSteps = (paper: Paper, operation: Operation, by: GrokStep): Quantity => ({
  definition: `${operation}, natural run: step of ${grokSteps[by]}`,
  unit: STEPS,
  perSeed: pairsOf(paper, [operation]).map(({ seed, control }) => ({
    seed,
    value: grokStep(control.run, by),
  })),
  recipe: armSource([operation], { id: "control" }, by),
})

/** The arms that hold attention, or let it move at random: what rank 3 is compared with. */
export const nullArms = (paper: Paper, operations: ReadonlyArray<Operation>): Quantities => ({
  "frozen (rank 0)": speedups(paper, operations, { id: "frozen" }),
  "frozen after warm-up": speedups(paper, operations, { id: "frozen-after-warmup" }),
  "decay only": speedups(paper, operations, { id: "decay-only" }),
  noise: speedups(paper, operations, { id: "noise" }),
})

/** An arm by the other two definitions of when a network grokked. */
export const otherGrokSteps = (
  paper: Paper,
  operations: ReadonlyArray<Operation>,
  arm: ArmId,
): Quantities => ({
  "to ≥ 0.5": speedups(paper, operations, arm, "firstHalf"),
  "to ≥ 0.98": speedups(paper, operations, arm, "firstThreshold"),
})

const armClaim = (
  paper: Paper,
  operation: Operation,
  id: string,
  texts: Pick<Claim, "short" | "statement" | "paper">,
  judge: (measured: Measured) => NumberJudgement,
): Claim => {
  const operations = [operation]
  const keeps = id.startsWith("keep")
  return {
    id: `intervention.${operation}.${id}.gradient.speedup`,
    isHeadline: false,
    ...texts,
    quantity: speedups(paper, operations, { id }),
    beside: {
      ...otherGrokSteps(paper, operations, { id }),
      "update version": speedups(paper, operations, { id, version: "update" }),
      ...(keeps ? { [RANK_ZERO]: speedupRatio(paper, operations, { id }, { id: "frozen" }) } : {}),
      ...(id === "remove-sed" ? { "energy removed": removedEnergy(paper, operations, { id }) } : {}),
    },
    controls: {
      ...(id === "keep-random"
        ? { "norm-matched": speedups(paper, operations, { id: "keep-random-norm-matched" }) }
        : {}),
      ...(id.endsWith("-sed")
        ? { "current gradients": speedups(paper, operations, { id: `natural-buffer-${id}` }) }
        : {}),
      ...(keeps ? nullArms(paper, operations) : {}),
    },
    judge,
    read: (others) => (keeps ? readRankZero(others[RANK_ZERO]) : noReadingRule),
  }
}

const addClaims = (paper: Paper): ReadonlyArray<Claim> => [
  {
    id: "intervention.add.control.gradient.speedup",
    isHeadline: false,
    short: "add: the natural run stops at 3358",
    statement: "add: the natural run stops after 3358 steps",
    paper: { value: 3358, source: code },
    quantity: controlSteps(paper, "add", "stopStep"),
    beside: {
      "to ≥ 0.5": controlSteps(paper, "add", "firstHalf"),
      "to ≥ 0.98": controlSteps(paper, "add", "firstThreshold"),
    },
    controls: {},
    judge: (measured, _, published) => judgeMagnitude(published, measured),
    read: () => noReadingRule,
  },
  ...publishedArms.map(([id, value, steps]) =>
    armClaim(
      paper,
      "add",
      id,
      { short: `add, ${id}`, statement: `add, ${id}: ${steps} steps`, paper: { value, source: code } },
      (measured) => judgeSpeedup(value, measured),
    ),
  ),
  {
    id: "intervention.add.remove-sed.update.speedup",
    isHeadline: false,
    short: "add, remove-sed on updates",
    statement: "add, remove-sed on updates: 1.21×, called an artefact of projecting after AdamW",
    paper: { value: 1.21, source: code },
    quantity: speedups(paper, ["add"], { id: "remove-sed", version: "update" }),
    beside: {
      ...otherGrokSteps(paper, ["add"], { id: "remove-sed", version: "update" }),
      "keep-sed": speedups(paper, ["add"], { id: "keep-sed", version: "update" }),
      "keep-random": speedups(paper, ["add"], { id: "keep-random", version: "update" }),
    },
    controls: { "remove-random": speedups(paper, ["add"], { id: "remove-random", version: "update" }) },
    judge: (measured) => judgeSpeedup(1.21, measured),
    read: () => noReadingRule,
  },
]

/** The paper gives no numbers for other operations: the class of the speed-up must be that of `add`. */
const sameClass =
  (ofAdd: number) =>
  (measured: Measured): NumberJudgement => {
    const judged = judgeSpeedup(ofAdd, measured)
    return measured.value !== null && speedClass(measured.value) === speedClass(ofAdd)
      ? { verdict: "reproduced", because: `same class as published for add: ${judged.because}` }
      : judged
  }

const otherClaims = (paper: Paper, operation: Operation): ReadonlyArray<Claim> =>
  publishedArms.map(([id, value]) =>
    armClaim(
      paper,
      operation,
      id,
      {
        short: `${operation}, ${id}: as add`,
        statement: `${operation}, ${id}: the same pattern as add`,
        paper: { statement: "same pattern, no numbers", source: text },
      },
      sameClass(value),
    ),
  )

/**
 * The published arm keeps directions of a buffer of vectors that it has modified itself, which lock on one another. This one
 * keeps those of the current gradients.
 */
const currentClaim = (paper: Paper): Claim => {
  const { operations } = paper.config.interventions
  const current = { id: "natural-buffer-keep-sed" }
  return {
    id: "intervention.keep-current-sed",
    isHeadline: false,
    short: "keeping current directions speeds up, too",
    statement:
      "keeping the directions of the current gradients gives the published speed-up (the published arm's buffer holds the vectors that it has modified itself)",
    paper: { value: 2.2, source: code },
    quantity: speedups(paper, operations, current),
    beside: {
      ...otherGrokSteps(paper, operations, current),
      "energy share of the buffer": energyShare(paper, operations, current),
      "energy share of the published buffer": energyShare(paper, operations, { id: "keep-sed" }),
      [RANK_ZERO]: speedupRatio(paper, operations, current, { id: "frozen" }),
    },
    controls: {
      "published buffer": speedups(paper, operations, { id: "keep-sed" }),
      "keep-random": speedups(paper, operations, { id: "keep-random" }),
      ...nullArms(paper, operations),
    },
    judge: (measured) => judgeSpeedup(2.2, measured),
    read: (others) => readRankZero(others[RANK_ZERO]),
  }
}

/** Arms that remove or keep a part of a vector, in both versions. */
const projecting: ReadonlyArray<Required<ArmId>> = (["gradient", "update"] as const).flatMap((version) =>
  ["keep-sed", "remove-sed", "keep-random", "remove-random"].map((id) => ({ id, version })),
)

/** A rebuttal about one number of the projections: the nearest of all arms is named. */
const projectionClaim = (
  paper: Paper,
  figure: "normRatio" | "cosine",
  definition: string,
  { wanted, within }: { readonly wanted: number; readonly within: number },
  texts: Pick<Claim, "id" | "short" | "statement" | "paper">,
): Claim => {
  const nameOf = ({ id, version }: Required<ArmId>) => (version === "update" ? `${id}, updates` : id)
  const [first, ...others] = projecting
  const of = (arm: Required<ArmId>) => armFigure(paper, ["add"], arm, figure, definition)
  return {
    ...texts,
    isHeadline: false,
    quantity: of(first),
    beside: Object.fromEntries(others.map((arm) => [nameOf(arm), of(arm)])),
    controls: {},
    judge: (measured, beside) => {
      const cases = [
        [nameOf(first), measured] as const,
        ...others.map((arm) => [nameOf(arm), beside[nameOf(arm)]] as const),
      ]
      const judged = judgeEach(cases, (value) => Math.abs(value - wanted) <= within)
      const known = cases.flatMap(([name, one]) =>
        one === undefined || one.value === null ? [] : [{ name, off: Math.abs(one.value - wanted) }],
      )
      const nearest = known.toSorted((a, b) => a.off - b.off)[0]
      return nearest === undefined
        ? judged
        : {
            ...judged,
            because: `nearest is ${nearest.name}, ${nearest.off.toPrecision(2)} off; ${judged.because}`,
          }
    },
    read: () => noReadingRule,
  }
}

const projectionClaims = (paper: Paper): ReadonlyArray<Claim> => [
  projectionClaim(
    paper,
    "normRatio",
    "‖modified‖ ÷ ‖natural‖",
    { wanted: 1, within: LIMITS.normRatio },
    {
      id: "rebuttal.norm-ratio",
      short: "projection keeps the norm within 1 %",
      statement:
        "projection changes the norm by less than 1 % (for an orthogonal projection norm ratio and cosine are the same number, so this and a cosine of 0.85 cannot both hold)",
      paper: { statement: "norm ratio within 1 %", source: review },
    },
  ),
  projectionClaim(
    paper,
    "cosine",
    "cosine of the modified and the natural vector",
    { wanted: 0.85, within: LIMITS.difference.reproduced },
    {
      id: "rebuttal.cosine",
      short: "the projection has cosine 0.85",
      statement: "the projected vector has a cosine of 0.85 with the natural one",
      paper: { value: 0.85, source: review },
    },
  ),
]

export const interventionClaims = (paper: Paper): ReadonlyArray<Claim> => {
  const { operations } = paper.config.interventions
  return [
    ...(operations.includes("add") ? addClaims(paper) : []),
    ...operations.filter((operation) => operation !== "add").flatMap((one) => otherClaims(paper, one)),
    currentClaim(paper),
    ...(operations.includes("add") ? projectionClaims(paper) : []),
  ]
}
