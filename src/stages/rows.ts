/**
 * The rows that a rolling SVD stacks, each of the length of a block of the parameters (θ_attn in the paper), numbered from
 * 0. With a stride, only every stride-th checkpoint of the run counts, and i below numbers those.
 *
 * - `update`: row i is θ(i + 1) − θ(i), the sum of the optimiser's steps that leave checkpoint i.
 * - `step-update`: row s is θ(s + 1) − θ(s), the update of the training step that leaves step s.
 * - `displacement`: row i is θ(i) − θ(0).
 * - `gradient`: row i is the captured gradient at checkpoint i.
 * - `noisy-gradient`: that plus white noise, g + √multiple · σ · N(0, I), with the measured variance of the minibatch
 *   gradient per coordinate at the same checkpoint, σ² = ‖g_step − g_full‖² / D.
 */
import { Effect } from "effect"
import { type Block, blockOf, problemOfBlock, rangesOf, sizeOfRanges } from "../model/blocks.ts"
import { norm } from "../numerics/gram.ts"
import { normalsInto, stream } from "../numerics/random.ts"
import type { RowRange } from "../numerics/windows.ts"
import { float32, getJson, getTensors } from "../services/artifacts.ts"
import { type CapturedGradients, type CapturedSteps, type RowSource, StepWindows } from "./contracts.ts"
import { type Checkpoints, openTrajectory } from "./trajectory.ts"

export interface Rows extends RowRange {
  /** Training step of each checkpoint of the run. */
  readonly steps: ReadonlyArray<number>
  /** The row number at a checkpoint: of its gradient, or of the first update that leaves it. */
  readonly at: (checkpoint: number) => number
  /** Row r [block]. */
  readonly row: (r: number) => Float32Array
}

/** Checkpoints from one row of a source to the next. */
export const strideOf = (source: RowSource): number => {
  switch (source.kind) {
    case "update":
    case "displacement":
      return source.stride
    case "step-update":
      return 1
    default:
      return source.gradients.stride
  }
}

/** The block of the parameters that the rows of a source are of. */
export const blockOfRows = (source: RowSource): Block => {
  switch (source.kind) {
    case "update":
    case "displacement":
      return source.block
    case "step-update":
      return source.steps.block
    default:
      return source.gradients.block
  }
}

/** What is wrong with a source, or true: a Schema's filter. */
export const problemOfRows = (source: RowSource) => {
  const missing = problemOfBlock(blockOfRows(source), source.run.model)
  if (missing !== undefined) return missing
  if (source.kind !== "noisy-gradient") return true
  const { gradients, full, step } = source
  if (full.block !== gradients.block || step.block !== gradients.block) {
    return `Expected gradients of one block, got ${gradients.block}, ${full.block} and ${step.block}`
  }
  return full.stride === gradients.stride && step.stride === gradients.stride
    ? true
    : `Expected gradients of one stride, got ${gradients.stride}, ${full.stride} and ${step.stride}`
}

const captured = Effect.fnUntraced(function* ({ gradients }: CapturedGradients, size: number) {
  const all = yield* float32(yield* getTensors(gradients), "gradients")
  return Array.from({ length: all.length / size }, (_, r) => all.subarray(r * size, (r + 1) * size))
})

const minus = (left: Float32Array, right: Float32Array): Float32Array =>
  left.map((value, slot) => value - right[slot])

/** The block of θ at every stride-th checkpoint. */
const blocksAlong = Effect.fnUntraced(function* (
  { layout, steps, theta }: Checkpoints,
  { stride, block }: { readonly stride: number; readonly block: Block },
) {
  const ranges = rangesOf(layout, block)
  const along: Array<Float32Array> = []
  for (let i = 0; i < steps.length; i += stride) along.push(blockOf(ranges, yield* theta(i)).slice())
  return along
})

/** σ of each captured checkpoint: the deviation of the minibatch gradient per coordinate. */
const minibatchDeviations = Effect.fnUntraced(function* (
  full: CapturedGradients,
  step: CapturedGradients,
  size: number,
) {
  const steps = yield* captured(step, size)
  return (yield* captured(full, size)).map((exact, r) => norm(minus(steps[r], exact)) / Math.sqrt(size))
})

/** `row` plus `scale` times white noise of a training step. The noise is the same for every scale. */
const withNoise = (row: Float32Array, scale: number, seed: number, step: number): Float32Array => {
  const noise = new Float32Array(row.length)
  normalsInto(stream(seed, "row-noise", step), noise)
  return row.map((value, slot) => value + scale * noise[slot])
}

/** A function that gives the update of a step; it must be in a window that was captured. */
const capturedSteps = Effect.fnUntraced(function* ({ windows }: CapturedSteps, size: number) {
  const stored = yield* getJson(StepWindows, windows)
  const loaded = yield* Effect.forEach(stored, ({ first, updates }) =>
    Effect.map(
      Effect.flatMap(getTensors(updates), (tensors) => float32(tensors, "updates")),
      (rows) => ({ first, rows }),
    ),
  )
  return (s: number): Float32Array => {
    const { first, rows } = loaded.findLast((window) => window.first <= s) ?? loaded[0]
    return rows.subarray((s - first) * size, (s - first + 1) * size)
  }
})

export const loadRows = Effect.fn("loadRows")(function* (source: RowSource) {
  const trajectory = yield* openTrajectory(source.run)
  const { layout, steps } = trajectory
  const stride = strideOf(source)
  const size = sizeOfRanges(rangesOf(layout, blockOfRows(source)))
  /** Rows that are one for each checkpoint, or one for each way from a checkpoint to the next. */
  const ofCheckpoints = (rows: ReadonlyArray<Float32Array>, leaves: boolean): Rows => ({
    count: rows.length,
    leaves,
    steps,
    at: (checkpoint) => checkpoint / stride,
    row: (r) => rows[r],
  })
  switch (source.kind) {
    case "update": {
      const along = yield* blocksAlong(trajectory, source)
      return ofCheckpoints(
        along.slice(1).map((theta, i) => minus(theta, along[i])),
        true,
      )
    }
    case "displacement": {
      const along = yield* blocksAlong(trajectory, source)
      return ofCheckpoints(
        along.map((theta) => minus(theta, along[0])),
        false,
      )
    }
    case "step-update": {
      const rows: Rows = {
        count: steps[steps.length - 1],
        leaves: true,
        steps,
        at: (checkpoint) => steps[checkpoint],
        row: yield* capturedSteps(source.steps, size),
      }
      return rows
    }
    case "gradient":
      return ofCheckpoints(yield* captured(source.gradients, size), false)
    case "noisy-gradient": {
      const { multiple, seed } = source
      const deviations = yield* minibatchDeviations(source.full, source.step, size)
      const gradients = yield* captured(source.gradients, size)
      const rows: Rows = {
        ...ofCheckpoints(gradients, false),
        row: (r) => withNoise(gradients[r], Math.sqrt(multiple) * deviations[r], seed, steps[r * stride]),
      }
      return rows
    }
  }
})
