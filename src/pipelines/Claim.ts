/**
 * A claim of the paper as a value: what was published, the nodes that measure it for each seed, and the rule that
 * judges it. `claims.ts` lists them; this file turns one into a row of `claims.json`.
 */
import { Effect, Schema } from "effect"
import { bootstrapInterval, geometricMean, holm, signTest } from "../numerics/inference.ts"
import { mean } from "../numerics/statistics.ts"
import { referencesOf } from "../services/references.ts"
import { sources } from "./derive.ts"
import { closure, type Node, type Resolve } from "./Node.ts"
import { type Judgement, type Measured, Published, Verdict } from "./verdicts.ts"

/** One number for each seed, and how it was made. */
export interface Quantity {
  readonly definition: string
  readonly unit: string
  readonly perSeed: ReadonlyArray<{ readonly seed: number; readonly value: Node<number | null> }>
}

export interface Claim {
  readonly id: string
  readonly statement: string
  readonly paper: Published
  readonly quantity: Quantity
  /** The same under other definitions, and the controls that the claim needs, by name. */
  readonly beside: Readonly<Record<string, Quantity>>
  /** Claims that are tested together, for Holm's correction; the test is of the quantity against 1. */
  readonly family?: string
  readonly judge: (
    measured: Measured,
    beside: Readonly<Record<string, Measured>>,
    paper: Published,
  ) => Judgement
}

export const Estimate = Schema.Struct({
  /**
   * Mean over the seeds that have a value: geometric for ratios, arithmetic else; null where none has. A speed-up
   * is 0 where some seed's arm never grokked.
   */
  value: Schema.NullOr(Schema.Finite),
  /** 95 % bootstrap interval over seeds; null for one seed. */
  low: Schema.NullOr(Schema.Finite),
  high: Schema.NullOr(Schema.Finite),
  /** Seeds that have a value. */
  n: Schema.Int,
  unit: Schema.String,
  /** Null: no value. A step is null, and a speed-up 0, where the run never grokked. */
  perSeed: Schema.Array(Schema.Struct({ seed: Schema.Int, value: Schema.NullOr(Schema.Finite) })),
})
export type Estimate = typeof Estimate.Type

const SignTest = Schema.Struct({
  family: Schema.String,
  /** Exact two-sided sign test of the seeds' values against 1. */
  p: Schema.Finite,
  /** The smallest p that so many seeds that differ from 1 can give: 0.25 for three. */
  attainable: Schema.Finite,
  /** Holm's correction over the family. */
  adjusted: Schema.Finite,
})

/** A row of `claims.json`. */
export const ClaimRow = Schema.Struct({
  id: Schema.String,
  statement: Schema.String,
  paper: Published,
  measured: Estimate,
  verdict: Verdict,
  because: Schema.String,
  definition: Schema.String,
  /** Other definitions and controls, by name. */
  beside: Schema.Record(Schema.String, Schema.Struct({ definition: Schema.String, ...Estimate.fields })),
  /** What should stand beside it and could not be measured, and why. */
  missing: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String, because: Schema.String }))),
  test: Schema.NullOr(SignTest),
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

/** Mean and interval over the seeds that have a value. */
export const estimate = (unit: string, perSeed: Estimate["perSeed"]): Estimate => {
  const values = perSeed.flatMap(({ value }) => (value === null ? [] : [value]))
  const statistic = isRatio(unit) ? geometricMean : mean
  const [first] = perSeed
  const interval = values.length < 2 ? null : bootstrapInterval(values, { seed: first?.seed ?? 0, statistic })
  return {
    // The exponential of a logarithm is not quite the number; of one number it is the number.
    value: values.length < 2 ? (values[0] ?? null) : statistic(values),
    low: interval?.low ?? null,
    high: interval?.high ?? null,
    n: values.length,
    unit,
    perSeed,
  }
}

const measure = Effect.fnUntraced(function* (quantity: Quantity, resolve: Resolve) {
  const perSeed = yield* Effect.forEach(
    quantity.perSeed,
    ({ seed, value }) => Effect.map(resolve(value), (value) => ({ seed, value })),
    { concurrency: "unbounded" },
  )
  return estimate(quantity.unit, perSeed)
})

const nodesOf = ({ quantity, beside }: Claim): ReadonlyArray<Node<unknown>> =>
  [quantity, ...Object.values(beside)].flatMap(({ perSeed }) => perSeed.map(({ value }) => value))

/** Every node whose output a claim's numbers are read from. */
export const upstreamOf = (claim: Claim): ReadonlyArray<Node<unknown>> => closure(nodesOf(claim))

/** Digests of the artifacts that the nearest stages upstream of numbers returned. */
const digestsOf = Effect.fnUntraced(function* (quantities: ReadonlyArray<Quantity>, resolve: Resolve) {
  const nodes = quantities.flatMap(({ perSeed }) => perSeed.flatMap(({ value }) => sources(value)))
  const outputs = yield* Effect.forEach([...new Set(nodes)], (node) => resolve(node))
  return [...new Set(referencesOf(outputs).map(({ digest }) => digest))].sort()
})

/**
 * Measures a claim and judges it; the correction over its family comes later ({@link correct}). What stands beside it may
 * fail with an error that `leavesOut` accepts: then the row says that it is missing.
 */
export const evaluateClaim = Effect.fn("evaluateClaim")(function* (
  claim: Claim,
  resolve: Resolve,
  leavesOut: (error: Error) => boolean = () => false,
) {
  const { id, statement, paper, quantity, family } = claim
  const measured = yield* measure(quantity, resolve)
  const others = yield* Effect.forEach(
    Object.entries(claim.beside),
    ([name, other]) =>
      measure(other, resolve).pipe(
        Effect.map((estimate) => ({ name, other, estimate, because: "" })),
        Effect.catch((error) =>
          leavesOut(error)
            ? Effect.succeed({ name, other, estimate: undefined, because: error.message })
            : Effect.fail(error),
        ),
      ),
    { concurrency: "unbounded" },
  )
  const found = others.flatMap(({ estimate, ...rest }) =>
    estimate === undefined ? [] : [{ ...rest, estimate }],
  )
  const missing = others.flatMap(({ name, estimate, because }) =>
    estimate === undefined ? [{ name, because }] : [],
  )
  const beside = Object.fromEntries(
    found.map(({ name, other, estimate }) => [name, { definition: other.definition, ...estimate }]),
  )
  const { verdict, because } = claim.judge(measured, beside, paper)
  const differences = measured.perSeed.flatMap(({ value }) => (value === null ? [] : [Math.log(value)]))
  const { p, attainable } = signTest(differences)
  const row: ClaimRow = {
    id,
    statement,
    paper,
    measured,
    verdict,
    because,
    definition: quantity.definition,
    beside,
    ...(missing.length === 0 ? {} : { missing }),
    test: family === undefined || differences.length === 0 ? null : { family, p, attainable, adjusted: p },
    artifacts: yield* digestsOf([quantity, ...found.map(({ other }) => other)], resolve),
  }
  return row
})

/** The rows with Holm's correction applied within each family. */
export const correct = (rows: ReadonlyArray<ClaimRow>): ReadonlyArray<ClaimRow> => {
  const adjusted = new Map<string, number>()
  for (const family of new Set(rows.flatMap(({ test }) => (test === null ? [] : [test.family])))) {
    const members = rows.flatMap(({ id, test }) => (test?.family === family ? [{ id, p: test.p }] : []))
    const corrected = holm(members.map(({ p }) => p))
    for (const [i, { id }] of members.entries()) adjusted.set(id, corrected[i])
  }
  return rows.map((row) =>
    row.test === null ? row : { ...row, test: { ...row.test, adjusted: adjusted.get(row.id) ?? row.test.p } },
  )
}

/** The row of a claim whose stages did not run: no seed has been measured, which is not the same as "never". */
export const untestedRow = ({ id, statement, paper, quantity }: Claim, because: string): ClaimRow => ({
  id,
  statement,
  paper,
  measured: estimate(quantity.unit, []),
  verdict: "not-tested",
  because,
  definition: quantity.definition,
  beside: {},
  test: null,
  artifacts: [],
})
