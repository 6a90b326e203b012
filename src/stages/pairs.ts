/** The pairs of a data set in memory, and batches drawn from them. */
import { Effect } from "effect"
import { integers, type Stream } from "../numerics/random.ts"
import { getTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import type { Dataset } from "./contracts.ts"

/** Examples as columns, int32 [n] each: what programs take as a batch. */
export interface Examples {
  readonly a: Int32Array<ArrayBuffer>
  readonly b: Int32Array<ArrayBuffer>
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

/** The examples at the given places, with repetition. */
export const take = ({ a, b, label }: Examples, places: Int32Array): Examples => ({
  a: Int32Array.from(places, (i) => a[i]),
  b: Int32Array.from(places, (i) => b[i]),
  label: Int32Array.from(places, (i) => label[i]),
})

/** `count` examples drawn uniformly with replacement. */
export const draw = (from: Examples, source: Stream, count: number): Examples =>
  take(from, integers(source, count, from.a.length))

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

export const loadPairs = Effect.fn("loadPairs")(function* ({ pairs, trainCount }: Dataset) {
  const rows = yield* getTable(pairs)
  const all: Examples = {
    a: Int32Array.from(numbers(rows, "a")),
    b: Int32Array.from(numbers(rows, "b")),
    label: Int32Array.from(numbers(rows, "label")),
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
