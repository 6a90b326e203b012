/** The entries of a training's cursor: how a checkpoint is stored, and from which one a run can go on. */
import { Effect, Option, Schema } from "effect"
import { ArtifactRef } from "../services/Artifact.ts"
import { ArtifactStore } from "../services/ArtifactStore.ts"
import { f32Tensor, float32, getTensors, putTensors } from "../services/artifacts.ts"
import { Evaluation } from "./contracts.ts"

/** An entry of the cursor. `losses` and `gradientNorms` are those of the steps since the entry before. */
export const Checkpoint = Schema.Struct({
  step: Schema.Int,
  theta: ArtifactRef,
  moments: ArtifactRef,
  losses: Schema.Array(Schema.Finite),
  gradientNorms: Schema.Array(Schema.Finite),
  evaluation: Evaluation,
})
export type Checkpoint = typeof Checkpoint.Type

/** Moments are kept at multiples of this step, to branch and resume from. */
export const KEYFRAME = 500

export const isKeyframe = ({ step }: { readonly step: number }): boolean => step % KEYFRAME === 0

/** Parameters and AdamW's moments, [layout.size] each. */
export interface TrainingState {
  readonly theta: Float32Array
  readonly first: Float32Array
  readonly second: Float32Array
}

export const storeState = Effect.fn("storeState")(function* ({ theta, first, second }: TrainingState) {
  return {
    theta: yield* putTensors({ theta: f32Tensor(theta) }),
    moments: yield* putTensors({ first: f32Tensor(first), second: f32Tensor(second) }),
  }
})

export const loadState = Effect.fn("loadState")(function* ({
  theta,
  moments,
}: Pick<Checkpoint, "theta" | "moments">) {
  const saved = yield* getTensors(moments)
  const state: TrainingState = {
    theta: yield* float32(yield* getTensors(theta), "theta"),
    first: yield* float32(saved, "first"),
    second: yield* float32(saved, "second"),
  }
  return state
})

/** Deletes the moments of a checkpoint that is no longer the newest, unless they are kept to branch from. */
export const dropMoments = Effect.fn("dropMoments")(function* (checkpoint: Checkpoint) {
  const store = yield* ArtifactStore
  if (!isKeyframe(checkpoint)) yield* store.drop(checkpoint.moments)
})

/** The longest prefix of the entries whose parameters and kept moments exist and whose last moments exist too. */
export const resumable = Effect.fn("resumable")(function* (entries: ReadonlyArray<unknown>, every: number) {
  const store = yield* ArtifactStore
  const prefix: Array<Checkpoint> = []
  let last = 0
  for (const [i, entry] of entries.entries()) {
    const checkpoint = Schema.decodeUnknownOption(Checkpoint)(entry)
    if (Option.isNone(checkpoint) || checkpoint.value.step !== i * every) break
    if (!(yield* store.has(checkpoint.value.theta))) break
    const hasMoments = yield* store.has(checkpoint.value.moments)
    // A trajectory leads to those that are kept: without them it would never be whole again.
    if (isKeyframe(checkpoint.value) && !hasMoments) break
    prefix.push(checkpoint.value)
    if (hasMoments) last = i + 1
  }
  return prefix.slice(0, last)
})
