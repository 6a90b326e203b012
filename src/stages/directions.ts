/** Directions at measurement points: those of a rolling SVD, formed from its rows, and random ones. */
import { Effect, Schema } from "effect"
import { type Block, blocks } from "../model/blocks.ts"
import { norm } from "../numerics/gram.ts"
import { quickNormalsInto, stream } from "../numerics/random.ts"
import { rightSingularVectors } from "../numerics/svd.ts"
import type { Window } from "../numerics/windows.ts"
import { float64, getTable, getTensors } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import type { RollingSvd } from "./contracts.ts"
import type { Rows } from "./rows.ts"

/** The window at a measurement point and its leading directions, unit vectors [block]. */
export interface Directions {
  readonly checkpoint: number
  readonly window: Window
  readonly vectors: ReadonlyArray<Float32Array>
}

/**
 * Forms the directions of point i from the rows; fewer than K where the rows are dependent. Left singular vectors of centred
 * rows sum to zero, so the mean row drops out and the rows need not be centred here.
 */
export const openDirections = Effect.fn("openDirections")(function* (stored: RollingSvd, rows: Rows) {
  const spectrum = yield* getTable(stored.spectrum)
  const vectors = yield* getTensors(stored.vectors)
  const [checkpoints, firsts, counts] = ["checkpoint", "firstRow", "rowCount"].map((name) =>
    numbers(spectrum, name),
  )
  return {
    /** Checkpoint of each measurement point. */
    points: Array.from(checkpoints),
    at: Effect.fnUntraced(function* (i: number) {
      const window: Window = { first: firsts[i], count: counts[i] }
      const singularValues = yield* float64(vectors, `sigma.${i}`)
      const left = yield* float64(vectors, `left.${i}`)
      const kept = left.length / window.count
      const leftVectors = Array.from({ length: kept }, (_, k) =>
        left.subarray(k * window.count, (k + 1) * window.count),
      )
      const members = Array.from({ length: window.count }, (_, r) => rows.row(window.first + r))
      const directions: Directions = {
        checkpoint: checkpoints[i],
        window,
        vectors: rightSingularVectors(members, { singularValues, leftVectors }, kept),
      }
      return directions
    }),
  }
})

/** Directions of one block of the parameters were to be measured, or compared, as another's. */
export class DifferentBlocks extends Schema.TaggedError<DifferentBlocks>()("DifferentBlocks", {
  /** The block of each thing that was put together, by its name. */
  blocks: Schema.Record(Schema.String, Schema.Literals(blocks)),
}) {
  override get message() {
    const named = Object.entries(this.blocks).map(([name, block]) => `${name} of ${block}`)
    return `directions of different blocks of the parameters do not go together: ${named.join(", ")}`
  }
}

/** Fails unless everything that is put together is of one block. */
export const requireOneBlock = (blocks: Readonly<Record<string, Block>>) =>
  new Set(Object.values(blocks)).size <= 1 ? Effect.void : Effect.fail(new DifferentBlocks({ blocks }))

/** Random directions that a step has streams for. */
export const MOST_DRAWS = 2 ** 12

/** Random Gaussian unit vector [size] number `index` at a training step. */
export const randomDirection = (seed: number, step: number, index: number, size: number): Float32Array => {
  const direction = new Float32Array(size)
  quickNormalsInto(stream(seed, "random-direction", step * MOST_DRAWS + index), direction)
  const scale = 1 / norm(direction)
  for (let i = 0; i < size; i++) direction[i] *= scale
  return direction
}
