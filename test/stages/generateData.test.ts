import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { apply, type Operation, operations, residues } from "../../src/numerics/modular.ts"
import { permutation, stream } from "../../src/numerics/random.ts"
import { getTable } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import { DataConfig, generateData } from "../../src/stages/generateData.ts"
import { concatenate, draw, loadPairs, take } from "../../src/stages/pairs.ts"
import { temporaryStore } from "../services/store/temporary.ts"

const noCursor = { entries: [], advance: () => Effect.die("wrote a cursor") }

interface Settings {
  readonly modulus: number
  readonly trainFraction: number
  readonly labels: "true" | "shuffled"
  readonly seed: number
}

/** The stage's output, and its table as columns. */
const generate = Effect.fn("generate")(function* (
  operation: Operation,
  { modulus = 97, trainFraction = 0.5, labels = "true", seed = 42 }: Partial<Settings> = {},
) {
  const input = { operations: [operation], modulus, trainFraction, labels, seed } as const
  const dataset = yield* generateData.run(input, noCursor)
  const rows = yield* getTable(dataset.pairs)
  const column = (name: string) => Array.from(numbers(rows, name))
  const columns = {
    a: column("a"),
    b: column("b"),
    label: column("label"),
    order: column("order"),
    train: column("train"),
  }
  return { dataset, names: rows.columnNames(), ...columns }
})

const ascending = (values: ReadonlyArray<number>) => values.toSorted((x, y) => x - y)

describe("generate-data", () => {
  it.effect.each<readonly [Operation, number, number]>([
    ["add", 9409, 4704],
    ["sub", 9409, 4704],
    ["x2_y2", 9409, 4704],
    ["mul", 9216, 4608],
  ])(
    "%s mod 97 has the published number of pairs and of training pairs",
    ([operation, pairCount, trainCount]) =>
      Effect.gen(function* () {
        const { dataset, a, train } = yield* generate(operation)
        assert.deepInclude(dataset, { modulus: 97, pairCount, trainCount })
        assert.lengthOf(a, pairCount)
        assert.strictEqual(
          train.reduce((sum, x) => sum + x, 0),
          trainCount,
        )
      }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("lists every pair once, a-major, with its label", () =>
    Effect.gen(function* () {
      for (const operation of operations) {
        const { a, b, label, names } = yield* generate(operation, { modulus: 7 })
        assert.deepStrictEqual(names, ["a", "b", "label", "order", "train"])
        const values = residues([operation], 7)
        const pairs = values.flatMap((first) => values.map((second) => [first, second]))
        assert.deepStrictEqual(
          a.map((first, i) => [first, b[i]]),
          pairs,
        )
        assert.deepStrictEqual(
          label,
          pairs.map(([first, second]) => apply(operation, first, second, 7)),
        )
      }
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("trains on the first half of the seed's shuffle", () =>
    Effect.gen(function* () {
      const { dataset, order, train } = yield* generate("add")
      assert.deepStrictEqual(
        ascending(order),
        Array.from(order, (_, i) => i),
      )
      assert.deepStrictEqual(
        train,
        order.map((place) => (place < dataset.trainCount ? 1 : 0)),
      )
      // `order` is the place of each pair in the shuffle: the inverse of the permutation.
      const shuffle = permutation(stream(42, "split"), 9409)
      shuffle.forEach((pair, place) => {
        assert.strictEqual(order[pair], place)
      })
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("rounds the number of training pairs down", () =>
    Effect.gen(function* () {
      const { dataset } = yield* generate("add", { modulus: 5, trainFraction: 0.3 })
      assert.deepInclude(dataset, { pairCount: 25, trainCount: 7 })
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("splits evenly over residues: no value is missing from the training pairs", () =>
    Effect.gen(function* () {
      const { a, b, train } = yield* generate("add")
      for (const column of [a, b]) {
        const counts = new Array<number>(97).fill(0)
        column.forEach((value, i) => {
          counts[value] += train[i]
        })
        // Hypergeometric: mean 48.5, deviation 4.9.
        assert.isAbove(Math.min(...counts), 25)
        assert.isBelow(Math.max(...counts), 72)
      }
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("is the same for the same seed, byte for byte, and splits otherwise for another", () =>
    Effect.gen(function* () {
      const first = yield* generate("add", { modulus: 23 })
      const again = yield* generate("add", { modulus: 23 })
      const other = yield* generate("add", { modulus: 23, seed: 137 })
      assert.deepStrictEqual(again.dataset, first.dataset)
      assert.notStrictEqual(other.dataset.pairs.digest, first.dataset.pairs.digest)
      assert.deepStrictEqual(other.label, first.label)
      const shared = first.train.filter((isTrain, i) => isTrain === 1 && other.train[i] === 1).length
      assert.closeTo(shared / first.dataset.trainCount, 0.5, 0.12)
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("generate-data of several operations", () => {
  const four = ["add", "sub", "mul", "x2_y2"] as const
  const input = { operations: four, modulus: 97, trainFraction: 0.5, labels: "true", seed: 42 } as const

  it.effect(
    "has the pairs of the one that needs inverses, 9216 of them, and a column of labels for each",
    () =>
      Effect.gen(function* () {
        const dataset = yield* generateData.run(input, noCursor)
        assert.deepInclude(dataset, { operations: four, modulus: 97, pairCount: 9216, trainCount: 4608 })
        const rows = yield* getTable(dataset.pairs)
        assert.deepStrictEqual(rows.columnNames(), [
          "a",
          "b",
          "label_add",
          "label_sub",
          "label_mul",
          "label_x2_y2",
          "order",
          "train",
        ])
        const single = yield* generateData.run({ ...input, operations: ["mul"] }, noCursor)
        const mul = yield* getTable(single.pairs)
        for (const name of ["a", "b", "order", "train"]) {
          assert.strictEqual(numbers(rows, name).join(), numbers(mul, name).join(), name)
        }
        const [a, b] = [numbers(rows, "a"), numbers(rows, "b")]
        for (const operation of four) {
          const column = numbers(rows, `label_${operation}`)
          assert.isTrue(
            column.every((label, i) => label === apply(operation, a[i], b[i], 97)),
            operation,
          )
        }
      }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("is loaded with the labels of an example side by side, through drawing and joining", () =>
    Effect.gen(function* () {
      const { all, train } = yield* loadPairs(yield* generateData.run(input, noCursor))
      const joined = concatenate([draw(train, stream(1, "probe"), 50), take(all, Int32Array.of(3, 3, 9215))])
      assert.lengthOf(joined.a, 53)
      for (const examples of [all, train, joined]) {
        const expected = Array.from(examples.a, (a, i) =>
          four.map((operation) => apply(operation, a, examples.b[i], 97)),
        )
        assert.strictEqual(examples.label.join(), expected.flat().join())
      }
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("shuffled labels", () => {
  it.effect("are the true ones in another order; pairs and split are the same", () =>
    Effect.gen(function* () {
      const right = yield* generate("add", { modulus: 23 })
      const shuffled = yield* generate("add", { modulus: 23, labels: "shuffled" })
      assert.strictEqual(right.dataset.labels, "true")
      assert.strictEqual(shuffled.dataset.labels, "shuffled")
      for (const name of ["a", "b", "order", "train"] as const) {
        assert.deepStrictEqual(shuffled[name], right[name])
      }
      assert.deepStrictEqual(ascending(shuffled.label), ascending(right.label))
      const kept = shuffled.label.filter((label, i) => label === right.label[i]).length
      // Chance: 1/23 of 529, 23 ± 4.7.
      assert.isBelow(kept, 23 + 5 * 4.7)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("have an order of their own for each seed and each operation", () =>
    Effect.gen(function* () {
      const shuffledBy = Effect.fnUntraced(function* (seed: number) {
        const operations = ["add", "sub"] as const
        const config = { operations, modulus: 23, trainFraction: 0.5, labels: "shuffled", seed } as const
        const rows = yield* getTable((yield* generateData.run(config, noCursor)).pairs)
        return [Array.from(numbers(rows, "label_add")), Array.from(numbers(rows, "label_sub"))]
      })
      const [add, sub] = yield* shuffledBy(42)
      const [other] = yield* shuffledBy(137)
      assert.deepStrictEqual(add, (yield* generate("add", { modulus: 23, labels: "shuffled" })).label)
      assert.notDeepEqual(other, add)
      // Under one order for both, the two would still be the sum and difference of the same pair: 2a mod 23 = sum.
      const evenly = Array.from({ length: 529 }, (_, i) => (add[i] + sub[i]) % 23)
      const right = Array.from({ length: 529 }, (_, i) => (2 * Math.floor(i / 23)) % 23)
      assert.notDeepEqual(ascending(evenly), ascending(right))
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("loadPairs", () => {
  it.effect("gives all pairs a-major, and the training pairs in the order of the shuffle", () =>
    Effect.gen(function* () {
      const { dataset, a, b, label } = yield* generate("mul", { modulus: 11 })
      const { all, train, isTrain } = yield* loadPairs(dataset)
      assert.deepStrictEqual([Array.from(all.a), Array.from(all.b), Array.from(all.label)], [a, b, label])
      const shuffled = Array.from(permutation(stream(42, "split"), 100)).slice(0, 50)
      assert.deepStrictEqual(
        Array.from(train.a, (first, i) => [first, train.b[i], train.label[i]]),
        shuffled.map((pair) => [a[pair], b[pair], label[pair]]),
      )
      assert.strictEqual(isTrain.filter(Boolean).length, 50)
      assert.isTrue(shuffled.every((pair) => isTrain[pair]))
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("DataConfig", () => {
  const config = { operations: ["add"], modulus: 97, trainFraction: 0.5, labels: "true" }
  const check = (change: object) => Schema.decodeUnknownResult(DataConfig)({ ...config, ...change })._tag

  it.each([
    {},
    { operations: ["x3_xy"] },
    { operations: ["add", "sub", "mul", "x2_y2"] },
    { labels: "shuffled" },
    { modulus: 3 },
    { modulus: 997 },
    { operations: ["add"], modulus: 15 },
    { operations: ["mul"], modulus: 23 },
    { trainFraction: 0.99 },
  ])("takes %j", (change) => {
    assert.strictEqual(check(change), "Success")
  })

  it.each([
    { operations: ["div"] },
    { operations: [] },
    { operations: ["add", "mul", "add"] },
    { labels: "random" },
    { modulus: 2 },
    { modulus: 998 },
    { modulus: 9.5 },
    { operations: ["mul"], modulus: 15 },
    { operations: ["add", "mul"], modulus: 961 },
    { trainFraction: 0 },
    { trainFraction: 1 },
    { trainFraction: Number.NaN },
  ])("refuses %j", (change) => {
    assert.strictEqual(check(change), "Failure")
  })

  // Found: 1 % of 49 pairs is none. The training runs to its end and fails on the mean of no accuracies.
  it("refuses a share that leaves no pair to train on", () => {
    assert.strictEqual(check({ modulus: 7, trainFraction: 0.01 }), "Failure")
    assert.strictEqual(check({ operations: ["mul"], modulus: 3, trainFraction: 0.2 }), "Failure")
    assert.strictEqual(check({ operations: ["mul"], modulus: 3, trainFraction: 0.25 }), "Success")
  })
})
