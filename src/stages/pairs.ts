/** The pairs of a data set in memory, and batches drawn from them. */
import { Effect } from "effect"
import { apply } from "../numerics/modular.ts"
import { integers, type Stream, stream } from "../numerics/random.ts"
import { getTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import type { Dataset, Operations } from "./contracts.ts"

/** n examples as columns, int32: what programs take as a batch. */
export interface Examples {
  /** [n] */
  readonly a: Int32Array<ArrayBuffer>
  /** [n] */
  readonly b: Int32Array<ArrayBuffer>
  /** [n·tasks], example-major: the labels of all tasks of the first example, then of the second, … */
  readonly label: Int32Array<ArrayBuffer>
}

export interface Pairs {
  /** All pairs, a-major. */
  readonly all: Examples
  /** The training pairs, in the order of the shuffle. */
  readonly train: Examples
  /** Whether pair i of `all` is trained on. */
  readonly isTrain: ReadonlyArray<boolean>
}

/** The columns of a data set's table that hold the labels: `label`, or `label_<operation>` for each of several. */
export const labelColumns = (operations: Operations): ReadonlyArray<string> =>
  operations.length === 1 ? ["label"] : operations.map((operation) => `label_${operation}`)

/** One column [n] for each task as one list of labels [n·tasks], example-major. */
const interleave = (columns: ReadonlyArray<ArrayLike<number>>): Int32Array<ArrayBuffer> => {
  const tasks = columns.length
  const label = new Int32Array(columns[0].length * tasks)
  for (const [task, column] of columns.entries()) {
    for (let i = 0; i < column.length; i++) label[i * tasks + task] = column[i]
  }
  return label
}

/** The examples at the given places, with repetition. */
export const take = ({ a, b, label }: Examples, places: Int32Array): Examples => {
  const tasks = label.length / a.length
  return {
    a: Int32Array.from(places, (i) => a[i]),
    b: Int32Array.from(places, (i) => b[i]),
    label: Int32Array.from(
      { length: places.length * tasks },
      (_, j) => label[places[Math.floor(j / tasks)] * tasks + (j % tasks)],
    ),
  }
}

/** `count` examples drawn uniformly with replacement. */
export const draw = (from: Examples, source: Stream, count: number): Examples =>
  take(from, integers(source, count, from.a.length))

/** The step of the streams of a task's own draws; null is the sum over tasks. */
export const streamStep = (task: number | null): number => (task === null ? 0 : task + 1)

/** Examples drawn once with replacement: the gradient batch of one task, or of the sum over tasks (experiment.md §4). */
export const fixedBatch = (from: Examples, size: number, task: number | null, seed: number): Examples =>
  draw(from, stream(seed, "capture", streamStep(task)), size)

/** The batch of step t (counted from 1): pairs of the training set, with replacement. */
export const batchOfStep = (pairs: Pairs, seed: number, t: number, size: number): Examples =>
  draw(pairs.train, stream(seed, "batch", t), size)

/** All p² pairs, a-major, with the labels of every task: those of the table, and those that it leaves out. */
export const gridPairs = ({ operations, modulus }: Pick<Dataset, "operations" | "modulus">): Examples => {
  const residues = Array.from({ length: modulus }, (_, value) => value)
  const a = Int32Array.from(residues.flatMap((first) => residues.map(() => first)))
  const b = Int32Array.from(residues.flatMap(() => residues))
  const labels = operations.map((operation) => a.map((first, i) => apply(operation, first, b[i], modulus)))
  return { a, b, label: interleave(labels) }
}

/** The same examples with the labels of one task alone. */
export const ofTask = ({ a, b, label }: Examples, task: number): Examples => {
  const tasks = label.length / a.length
  return { a, b, label: a.map((_, i) => label[i * tasks + task]) }
}

/** Examples one after another: `parts` as the consecutive rows of a batch of batches. */
export const concatenate = (parts: ReadonlyArray<Examples>): Examples => {
  const column = (name: keyof Examples): Int32Array<ArrayBuffer> => {
    const size = parts.reduce((n, part) => n + part[name].length, 0)
    const joined = new Int32Array(size)
    let offset = 0
    for (const part of parts) {
      joined.set(part[name], offset)
      offset += part[name].length
    }
    return joined
  }
  return { a: column("a"), b: column("b"), label: column("label") }
}

export const loadPairs = Effect.fn("loadPairs")(function* ({ pairs, operations, trainCount }: Dataset) {
  const rows = yield* getTable(pairs)
  const all: Examples = {
    a: Int32Array.from(numbers(rows, "a")),
    b: Int32Array.from(numbers(rows, "b")),
    label: interleave(labelColumns(operations).map((name) => numbers(rows, name))),
  }
  const order = numbers(rows, "order")
  const trainPlaces = new Int32Array(trainCount)
  order.forEach((place, pair) => {
    if (place < trainCount) trainPlaces[place] = pair
  })
  const loaded: Pairs = {
    all,
    train: take(all, trainPlaces),
    isTrain: Array.from(order, (place) => place < trainCount),
  }
  return loaded
})
