/**
 * Stage `generate-data`: all pairs of residues, their labels under each operation and the train/test split
 * (experiment.md §1).
 */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { apply, isPrime, needsInverse, type Operation, residues } from "../numerics/modular.ts"
import { permutation, stream } from "../numerics/random.ts"
import { putTable } from "../services/artifacts.ts"
import { stage } from "../services/Stage.ts"
import { Dataset, Labels, Operations, Seed } from "./contracts.ts"
import { labelColumns } from "./pairs.ts"

const trainCountOf = (pairs: number, fraction: number): number => Math.floor(pairs * fraction)

const Fields = Schema.Struct({
  operations: Operations,
  /** p: tokens and labels are 0..p−1. */
  modulus: Schema.Int.check(Schema.isBetween({ minimum: 3, maximum: 997 })),
  /** Share of all pairs that is trained on. */
  trainFraction: Schema.Finite.check(Schema.isBetween({ minimum: 0.01, maximum: 0.99 })),
  labels: Labels,
})

/** What is wrong with a configuration whose fields are right one by one, or true: a Schema's filter. */
export const problemOf = ({ operations, modulus, trainFraction }: typeof Fields.Type) => {
  if (new Set(operations).size < operations.length) {
    return { path: ["operations"], issue: `Expected each operation once, got ${operations.join(", ")}` }
  }
  const inverting = operations.find(needsInverse)
  if (inverting !== undefined && !isPrime(modulus)) {
    const issue = `Expected a prime, because ${inverting} needs inverses mod p, got ${modulus}`
    return { path: ["modulus"], issue }
  }
  if (trainCountOf(residues(operations, modulus).length ** 2, trainFraction) === 0) {
    const issue = `Expected a share that leaves pairs to train on, got ${trainFraction}`
    return { path: ["trainFraction"], issue }
  }
  return true
}

export const DataConfig = Fields.check(Schema.makeFilter(problemOf))
export type DataConfig = typeof DataConfig.Type

const Input = Schema.Struct({ ...DataConfig.fields, seed: Seed })

export const generateData = stage({
  name: "generate-data",
  version: 1,
  module: import.meta.url,
  input: Input,
  output: Dataset,
  usesEngine: false,
  run: Effect.fn("generate-data")(function* ({ operations, modulus, trainFraction, labels, seed }) {
    const values = residues(operations, modulus)
    const a = values.flatMap((first) => values.map(() => first))
    const b = values.flatMap(() => values)
    const pairCount = a.length
    const trainCount = trainCountOf(pairCount, trainFraction)
    const order = new Int32Array(pairCount)
    permutation(stream(seed, "split"), pairCount).forEach((pair, place) => {
      order[pair] = place
    })
    const names = labelColumns(operations)
    const labelsOf = (operation: Operation, task: number): ReadonlyArray<number> => {
      const right = a.map((first, i) => apply(operation, first, b[i], modulus))
      if (labels === "true") return right
      return Array.from(permutation(stream(seed, "shuffle", task), pairCount), (pair) => right[pair])
    }
    const pairs = yield* putTable(
      table({
        a,
        b,
        ...Object.fromEntries(operations.map((operation, task) => [names[task], labelsOf(operation, task)])),
        order: Array.from(order),
        train: Array.from(order, (place) => place < trainCount),
      }),
    )
    return { operations, labels, pairs, modulus, pairCount, trainCount }
  }),
})
