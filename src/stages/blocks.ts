/** The entries of an intervened run's cursor: how a block of steps is stored, and from which one a run can go on. */
import { Effect, Option, Schema } from "effect"
import { ArtifactRef } from "../services/Artifact.ts"
import { ArtifactStore } from "../services/ArtifactStore.ts"
import { f32Tensor, float32, getTensors, putTensors } from "../services/artifacts.ts"
import type { NaturalBlock } from "./branch.ts"
import type { TrainingState } from "./checkpoints.ts"
import { Evaluation } from "./contracts.ts"

/** Figures of one step; null where nothing was modified, or there is no such figure. */
export const StepFigures = Schema.Struct({
  loss: Schema.Finite,
  gradientNorm: Schema.Finite,
  normRatio: Schema.NullOr(Schema.Finite),
  cosine: Schema.NullOr(Schema.Finite),
  energyShare: Schema.NullOr(Schema.Finite),
})
export type StepFigures = typeof StepFigures.Type

/**
 * An entry of the cursor: a block's figures, and the state after `step`; null where it was not stored, see {@link blocksPerState}.
 * The state of the newest entry that has one is kept, and that of step 0.
 */
export const Block = Schema.Struct({
  step: Schema.Int,
  state: Schema.NullOr(ArtifactRef),
  figures: Schema.Array(StepFigures),
  evaluation: Evaluation,
})
export type Block = typeof Block.Type

/** Bytes of states that are written for each step, at most: a window of 20 rows makes a state 14 MB, one of 64 rows 37 MB. */
const BYTES_PER_STEP = 150_000

/** Blocks of `every` steps from one stored state to the next: 1 for a state without a window, at the paper's size. */
export const blocksPerState = (
  { theta, first, second }: TrainingState,
  rows: ReadonlyArray<Float32Array>,
  every: number,
): number => {
  const bytes = [theta, first, second, ...rows].reduce((sum, { byteLength }) => sum + byteLength, 0)
  return Math.ceil(bytes / (every * BYTES_PER_STEP))
}

export const storeBlockState = ({ theta, first, second }: TrainingState, rows: ReadonlyArray<Float32Array>) =>
  putTensors({
    theta: f32Tensor(theta),
    first: f32Tensor(first),
    second: f32Tensor(second),
    ...Object.fromEntries(rows.map((row, i) => [`row.${i}`, f32Tensor(row)])),
  })

export const loadBlockState = Effect.fn("loadBlockState")(function* (state: ArtifactRef) {
  const tensors = yield* getTensors(state)
  const count = Object.keys(tensors).filter((name) => name.startsWith("row.")).length
  const training: TrainingState = {
    theta: yield* float32(tensors, "theta"),
    first: yield* float32(tensors, "first"),
    second: yield* float32(tensors, "second"),
  }
  const rows = yield* Effect.forEach(Array.from({ length: count }).keys(), (i) =>
    float32(tensors, `row.${i}`),
  )
  return { training, rows }
})

/** What a run has of each of its blocks: of those before a branch, no state. */
export type Passed = Pick<Block, "step" | "figures" | "evaluation">

/** A natural block as a run has it that branches off later. */
export const passedNaturally = ({ step, evaluation, losses, gradientNorms }: NaturalBlock): Passed => ({
  step,
  evaluation,
  figures: losses.map((loss, i) => ({
    loss,
    gradientNorm: gradientNorms[i],
    normRatio: null,
    cosine: null,
    energyShare: null,
  })),
})

/** The blocks to go on from, from step `first` on, up to the last one whose state is there; and that state. */
export const resumable = Effect.fn("resumable")(function* (
  entries: ReadonlyArray<unknown>,
  every: number,
  first: number,
) {
  const store = yield* ArtifactStore
  const blocks: Array<Block> = []
  for (const entry of entries) {
    const block = Schema.decodeUnknownOption(Block)(entry)
    if (Option.isNone(block) || block.value.step !== first + blocks.length * every) break
    blocks.push(block.value)
  }
  while (blocks.length > 0) {
    const { state } = blocks[blocks.length - 1]
    if (state !== null && (yield* store.has(state))) return { blocks, state }
    blocks.pop()
  }
  return { blocks, state: null }
})
