/** Stage `generate-data`: all pairs of an operation, their labels and the train/test split (experiment.md §1). */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { apply, isPrime, needsInverse, operations, residues } from "../numerics/modular.ts"
import { permutation, stream } from "../numerics/random.ts"
import { putTable } from "../services/artifacts.ts"
import { stage } from "../services/Stage.ts"
import { Dataset, Seed } from "./contracts.ts"

const trainCountOf = (pairs: number, fraction: number): number => Math.floor(pairs * fraction)

export const DataConfig = Schema.Struct({
  operation: Schema.Literals(operations),
  /** p: tokens and labels are 0..p−1. */
  modulus: Schema.Int.check(Schema.isBetween({ minimum: 3, maximum: 997 })),
  /** Share of all pairs that is trained on. */
  trainFraction: Schema.Finite.check(Schema.isBetween({ minimum: 0.01, maximum: 0.99 })),
}).check(
  Schema.makeFilter(({ operation, modulus }) =>
    needsInverse(operation) && !isPrime(modulus)
      ? {
          path: ["modulus"],
          issue: `Expected a prime, because ${operation} needs inverses mod p, got ${modulus}`,
        }
      : true,
  ),
  Schema.makeFilter(({ operation, modulus, trainFraction }) =>
    trainCountOf(residues(operation, modulus).length ** 2, trainFraction) === 0
      ? {
          path: ["trainFraction"],
          issue: `Expected a share that leaves pairs to train on, got ${trainFraction}`,
        }
      : true,
  ),
)
export type DataConfig = typeof DataConfig.Type

const Input = Schema.Struct({ ...DataConfig.fields, seed: Seed })

export const generateData = stage({
  name: "generate-data",
  version: 1,
  module: import.meta.url,
  input: Input,
  output: Dataset,
  usesEngine: false,
  run: Effect.fn("generate-data")(function* ({ operation, modulus, trainFraction, seed }) {
    const values = residues(operation, modulus)
    const a = values.flatMap((first) => values.map(() => first))
    const b = values.flatMap(() => values)
    const pairCount = a.length
    const trainCount = trainCountOf(pairCount, trainFraction)
    const order = new Int32Array(pairCount)
    permutation(stream(seed, "split"), pairCount).forEach((pair, place) => {
      order[pair] = place
    })
    const pairs = yield* putTable(
      table({
        a,
        b,
        label: a.map((first, i) => apply(operation, first, b[i], modulus)),
        order: Array.from(order),
        train: Array.from(order, (place) => place < trainCount),
      }),
    )
    return { pairs, modulus, pairCount, trainCount }
  }),
})
