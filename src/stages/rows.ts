/**
 * The rows that a rolling SVD stacks, each of the length of a block of the parameters (θ_attn in the paper): row r belongs
 * to checkpoint r·stride.
 *
 * `update`: θ_block(r·stride) − θ_block((r − 1)·stride), the sum of the optimiser's steps between two checkpoints; row 0
 * does not exist. `gradient`: the captured gradient at checkpoint r·stride. `noisy-gradient`: that plus white noise,
 * g + √multiple · σ · N(0, I), with the measured variance of the minibatch gradient per coordinate at the same
 * checkpoint, σ² = ‖g_step − g_full‖² / D.
 */
import { Effect } from "effect"
import { type Block, blockOf, problemOfBlock, rangesOf, sizeOfRanges } from "../model/blocks.ts"
import { norm } from "../numerics/gram.ts"
import { normalsInto, stream } from "../numerics/random.ts"
import { float32, getTensors } from "../services/artifacts.ts"
import type { CapturedGradients, RowSource } from "./contracts.ts"
import { type Checkpoints, openTrajectory } from "./trajectory.ts"

export interface Rows {
  /** Checkpoints from one row to the next. */
  readonly stride: number
  /** Number of the first row. */
  readonly firstRow: number
  /** Number of the last row. */
  readonly last: number
  /** Training step of each checkpoint of the run. */
  readonly steps: ReadonlyArray<number>
  /** Row number r [block]. */
  readonly row: (r: number) => Float32Array
}

/** Checkpoints from one row of a source to the next. */
export const strideOf = (source: RowSource): number =>
  source.kind === "update" ? source.stride : source.gradients.stride

/** The block of the parameters that the rows of a source are of. */
export const blockOfRows = (source: RowSource): Block =>
  source.kind === "update" ? source.block : source.gradients.block

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

const updates = Effect.fnUntraced(function* (
  { layout, steps, theta }: Checkpoints,
  { stride, block }: { readonly stride: number; readonly block: Block },
) {
  const ranges = rangesOf(layout, block)
  const rows: Array<Float32Array> = []
  let previous = blockOf(ranges, yield* theta(0))
  for (let i = stride; i < steps.length; i += stride) {
    const current = blockOf(ranges, yield* theta(i))
    const before = previous
    rows.push(current.map((value, slot) => value - before[slot]))
    previous = current
  }
  return rows
})

/** σ of each captured checkpoint: the deviation of the minibatch gradient per coordinate. */
const minibatchDeviations = Effect.fnUntraced(function* (
  full: CapturedGradients,
  step: CapturedGradients,
  size: number,
) {
  const steps = yield* captured(step, size)
  return (yield* captured(full, size)).map((exact, r) => {
    const difference = exact.map((value, slot) => steps[r][slot] - value)
    return norm(difference) / Math.sqrt(size)
  })
})

/** `row` plus `scale` times white noise of a training step. The noise is the same for every scale. */
const withNoise = (row: Float32Array, scale: number, seed: number, step: number): Float32Array => {
  const noise = new Float32Array(row.length)
  normalsInto(stream(seed, "row-noise", step), noise)
  return row.map((value, slot) => value + scale * noise[slot])
}

export const loadRows = Effect.fn("loadRows")(function* (source: RowSource) {
  const trajectory = yield* openTrajectory(source.run)
  const { layout, steps } = trajectory
  const stride = strideOf(source)
  const size = sizeOfRanges(rangesOf(layout, blockOfRows(source)))
  const common = { stride, steps, last: Math.floor((steps.length - 1) / stride) }
  if (source.kind === "update") {
    const differences = yield* updates(trajectory, source)
    const rows: Rows = { ...common, firstRow: 1, row: (r) => differences[r - 1] }
    return rows
  }
  const gradients = yield* captured(source.gradients, size)
  if (source.kind === "gradient") {
    const rows: Rows = { ...common, firstRow: 0, row: (r) => gradients[r] }
    return rows
  }
  const { full, step, multiple, seed } = source
  const deviations = yield* minibatchDeviations(full, step, size)
  const rows: Rows = {
    ...common,
    firstRow: 0,
    row: (r) => withNoise(gradients[r], Math.sqrt(multiple) * deviations[r], seed, steps[r * stride]),
  }
  return rows
})
