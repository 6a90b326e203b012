/**
 * A claim of the paper as a value: what was published, the nodes that measure it for each run, and the rules that judge it.
 * `claims.ts` lists them; this file turns one into a row of `claims.json`.
 */
import { Effect, Schema } from "effect"
import { intervalOf, permutationTest, sampleMean, tableMean } from "../numerics/inference.ts"
import { mean } from "../numerics/statistics.ts"
import { referencesOf } from "../services/references.ts"
import { sources } from "./derive.ts"
import { closure, type Node, type Resolve } from "./Node.ts"
import { Recipe } from "./recipe.ts"
import {
  compared,
  type Measured,
  type NumberJudgement,
  Published,
  Reading,
  type ReadingJudgement,
  Verdict,
} from "./verdicts.ts"

/** One number for each run, and how it was made. */
export interface Quantity {
  readonly definition: string
  readonly unit: string
  /** A run is a seed, or a seed of an operation. */
  readonly perSeed: ReadonlyArray<{
    readonly seed: number
    readonly operation?: string
    readonly value: Node<number | null>
  }>
  /** Where in the tables the numbers are found. */
  readonly recipe: Recipe
}

/** Quantities by name. */
export type Quantities = Readonly<Record<string, Quantity>>
/** The same, measured. */
export type MeasuredBy = Readonly<Record<string, Measured>>

export interface Claim {
  readonly id: string
  /** Whether it is one of the statements of the abstract, rather than a detail below one. */
  readonly isHeadline: boolean
  /** A few words, for a table. */
  readonly short: string
  readonly statement: string
  readonly paper: Published
  readonly quantity: Quantity
  /** The same under other definitions, by name. */
  readonly beside: Quantities
  /** What the number would be if what it is read as were not so, by name. */
  readonly controls: Quantities
  /** Whether the number agrees with the published one. */
  readonly judge: (measured: Measured, beside: MeasuredBy, paper: Published) => NumberJudgement
  /** Whether the reading survives its control. `others` are quantities beside it and controls. */
  readonly read: (others: MeasuredBy, measured: Measured) => ReadingJudgement
}

const RunValue = Schema.Struct({
  seed: Schema.Int,
  operation: Schema.optionalKey(Schema.String),
  value: Schema.NullOr(Schema.Finite),
})

export const Estimate = Schema.Struct({
  /**
   * Mean over the runs that have a value: geometric for ratios, arithmetic else; null where none has. A speed-up
   * is 0 where some run's arm never grokked.
   */
  value: Schema.NullOr(Schema.Finite),
  /** Ends of what `interval` says; null for one run. */
  low: Schema.NullOr(Schema.Finite),
  high: Schema.NullOr(Schema.Finite),
  /**
   * `range`: the smallest and largest of fewer than five runs. `t`: 95 % by Student's t. `pooled`: 95 % of the mean over all
   * operations and seeds, whose error leaves out what an operation or a seed has in common.
   */
  interval: Schema.optionalKey(Schema.Literals(["range", "t", "pooled"])),
  /** Runs that have a value. */
  n: Schema.Int,
  unit: Schema.String,
  /** Null: no value. A step is null, and a speed-up 0, where the run never grokked. */
  perSeed: Schema.Array(RunValue),
  /** For speed-ups over operations and seeds: exact two-sided permutation test of the paired logarithms against 0. */
  test: Schema.optionalKey(
    Schema.Struct({
      p: Schema.Finite,
      /** The smallest p that so many pairs can give. */
      attainable: Schema.Finite,
    }),
  ),
})
export type Estimate = typeof Estimate.Type

const Quantified = Schema.Struct({ definition: Schema.String, recipe: Recipe, ...Estimate.fields })

const judgement = <A extends Schema.Top>(verdict: A) => Schema.Struct({ verdict, because: Schema.String })

/** A row of `claims.json`. */
export const ClaimRow = Schema.Struct({
  id: Schema.String,
  isHeadline: Schema.Boolean,
  short: Schema.String,
  statement: Schema.String,
  paper: Published,
  measured: Estimate,
  /** Null where the sizes are not the paper's, so that nothing is judged. */
  number: Schema.NullOr(judgement(Verdict)),
  reading: Schema.NullOr(judgement(Reading)),
  definition: Schema.String,
  recipe: Recipe,
  /** Other definitions, by name. */
  beside: Schema.Record(Schema.String, Quantified),
  /** Controls, by name, and how each compares. */
  controls: Schema.Record(Schema.String, Schema.Struct({ ...Quantified.fields, compared: Schema.String })),
  /** What should stand beside it and could not be measured, and why. */
  missing: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String, because: Schema.String }))),
  /** Digests of the artifacts that the numbers were read from. */
  artifacts: Schema.Array(Schema.String),
})
export type ClaimRow = typeof ClaimRow.Type

/** Units whose values are positive ratios, averaged on a log scale. */
export const RATIO = "ratio"
export const SPEEDUP = "×"
/** Training steps, null where a run never got there. */
export const STEPS = "steps"

const isRatio = (unit: string): boolean => unit === RATIO || unit === SPEEDUP

/** Runs from which an interval is one of Student's t; fewer have a range. */
const ENOUGH = 5

/** The interval of runs, on the scale on which they are averaged. */
const intervalOver = (
  unit: string,
  runs: ReadonlyArray<{
    readonly seed: number
    readonly operation?: string | undefined
    readonly scaled: number
  }>,
): { readonly kind: "range" | "t" | "pooled"; readonly low: number; readonly high: number } | undefined => {
  const values = runs.map(({ scaled }) => scaled)
  if (values.length < 2) return undefined
  if (values.length < ENOUGH) return { kind: "range", low: Math.min(...values), high: Math.max(...values) }
  const table = runs.flatMap(({ seed, operation, scaled }) =>
    operation === undefined ? [] : [{ row: operation, column: String(seed), value: scaled }],
  )
  const pooled = intervalOf(tableMean(table))
  if (unit === RATIO && table.length === runs.length && pooled.low !== null && pooled.high !== null) {
    return { kind: "pooled", low: pooled.low, high: pooled.high }
  }
  const { low, high } = intervalOf(sampleMean(values))
  return low === null || high === null ? undefined : { kind: "t", low, high }
}

/** Mean and interval over the runs that have a value. */
export const estimate = (unit: string, perSeed: Estimate["perSeed"]): Estimate => {
  const known = perSeed.flatMap(({ value, ...run }) => (value === null ? [] : [{ ...run, value }]))
  const scale = isRatio(unit) ? Math.log : (value: number) => value
  const unscale = isRatio(unit) ? Math.exp : (value: number) => value
  const runs = known.map(({ value, ...run }) => ({ ...run, scaled: scale(value) }))
  // The logarithm of a speed-up of 0 has a mean, and no interval.
  const hasLogs = runs.every(({ scaled }) => Number.isFinite(scaled))
  const interval = hasLogs ? intervalOver(unit, runs) : undefined
  const isPaired = unit === SPEEDUP && hasLogs && runs.length >= ENOUGH
  const logs = runs.map(({ scaled }) => scaled)
  return {
    // The exponential of a logarithm is not quite the number; of one number it is the number.
    value: known.length < 2 ? (known[0]?.value ?? null) : unscale(mean(logs)),
    // So are the ends of a range.
    low:
      interval === undefined
        ? null
        : interval.kind === "range"
          ? Math.min(...known.map(({ value }) => value))
          : unscale(interval.low),
    high:
      interval === undefined
        ? null
        : interval.kind === "range"
          ? Math.max(...known.map(({ value }) => value))
          : unscale(interval.high),
    ...(interval === undefined ? {} : { interval: interval.kind }),
    n: known.length,
    unit,
    perSeed,
    ...(isPaired
      ? {
          test: permutationTest(
            logs,
            logs.map(() => 0),
            { paired: true },
          ),
        }
      : {}),
  }
}

const measure = Effect.fnUntraced(function* (quantity: Quantity, resolve: Resolve) {
  const perSeed = yield* Effect.forEach(
    quantity.perSeed,
    ({ value, ...run }) => Effect.map(resolve(value), (value) => ({ ...run, value })),
    { concurrency: "unbounded" },
  )
  return estimate(quantity.unit, perSeed)
})

const nodesOf = ({ quantity, beside, controls }: Claim): ReadonlyArray<Node<unknown>> =>
  [quantity, ...Object.values(beside), ...Object.values(controls)].flatMap(({ perSeed }) =>
    perSeed.map(({ value }) => value),
  )

/** Every node whose output a claim's numbers are read from. */
export const upstreamOf = (claim: Claim): ReadonlyArray<Node<unknown>> => closure(nodesOf(claim))

/** Digests of the artifacts that the nearest stages upstream of numbers returned. */
const digestsOf = Effect.fnUntraced(function* (quantities: ReadonlyArray<Quantity>, resolve: Resolve) {
  const nodes = quantities.flatMap(({ perSeed }) => perSeed.flatMap(({ value }) => sources(value)))
  const outputs = yield* Effect.forEach([...new Set(nodes)], (node) => resolve(node))
  return [...new Set(referencesOf(outputs).map(({ digest }) => digest))].sort()
})

interface Found {
  readonly name: string
  readonly quantity: Quantity
  readonly estimate: Estimate
}

/**
 * Measures a claim, and judges it where `judges`. What stands beside it may fail with an error that `leavesOut` accepts: then
 * the row says that it is missing.
 */
export const evaluateClaim = Effect.fn("evaluateClaim")(function* (
  claim: Claim,
  resolve: Resolve,
  {
    leavesOut = () => false,
    judges = true,
  }: { readonly leavesOut?: (error: Error) => boolean; readonly judges?: boolean } = {},
) {
  const { id, isHeadline, short, statement, paper, quantity } = claim
  const measured = yield* measure(quantity, resolve)
  const missing: Array<{ readonly name: string; readonly because: string }> = []
  const measureAll = Effect.fnUntraced(function* (quantities: Quantities) {
    const outcomes = yield* Effect.forEach(
      Object.entries(quantities),
      ([name, quantity]) =>
        measure(quantity, resolve).pipe(
          Effect.map((estimate): ReadonlyArray<Found> => [{ name, quantity, estimate }]),
          Effect.catch((error) => {
            if (!leavesOut(error)) return Effect.fail(error)
            missing.push({ name, because: error.message })
            return Effect.succeed<ReadonlyArray<Found>>([])
          }),
        ),
      { concurrency: "unbounded" },
    )
    return outcomes.flat()
  })
  const beside = yield* measureAll(claim.beside)
  const controls = yield* measureAll(claim.controls)
  const byName = (found: ReadonlyArray<Found>): MeasuredBy =>
    Object.fromEntries(found.map(({ name, estimate }) => [name, estimate]))
  const quantified = ({ quantity: { definition, recipe }, estimate }: Found) => ({
    definition,
    recipe,
    ...estimate,
  })
  const row: ClaimRow = {
    id,
    isHeadline,
    short,
    statement,
    paper,
    measured,
    number: judges ? claim.judge(measured, byName(beside), paper) : null,
    reading: judges ? claim.read({ ...byName(beside), ...byName(controls) }, measured) : null,
    definition: quantity.definition,
    recipe: quantity.recipe,
    beside: Object.fromEntries(beside.map((found) => [found.name, quantified(found)])),
    controls: Object.fromEntries(
      controls.map((found) => [
        found.name,
        {
          ...quantified(found),
          compared:
            found.estimate.unit === measured.unit ? compared(measured.value, found.estimate.value) : "",
        },
      ]),
    ),
    ...(missing.length === 0 ? {} : { missing }),
    artifacts: yield* digestsOf([quantity, ...[...beside, ...controls].map((one) => one.quantity)], resolve),
  }
  return row
})

/** The row of a claim whose stages did not run: no run has been measured, which is not the same as "never". */
export const untestedRow = (
  { id, isHeadline, short, statement, paper, quantity }: Claim,
  because: string,
  judges = true,
): ClaimRow => {
  const untested = judges ? { verdict: "not-tested" as const, because } : null
  return {
    id,
    isHeadline,
    short,
    statement,
    paper,
    measured: estimate(quantity.unit, []),
    number: untested,
    reading: untested,
    definition: quantity.definition,
    recipe: quantity.recipe,
    beside: {},
    controls: {},
    artifacts: [],
  }
}
