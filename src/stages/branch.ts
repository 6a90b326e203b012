/**
 * Where an intervened training may leave its natural run: the longest prefix of that run which the arm leaves alone and at
 * whose end the optimiser's moments were kept. What follows is bit for bit what it is without the prefix.
 */
import { Effect } from "effect"
import { getJson, getTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import { branchableUntil, type InterventionConfig } from "./arms.ts"
import { loadState, type TrainingState } from "./checkpoints.ts"
import { type Evaluation, type TrainedRun, Trajectory } from "./contracts.ts"

/** A block of natural steps, up to `step`. */
export interface NaturalBlock {
  readonly step: number
  readonly evaluation: Evaluation
  /** Of each of its steps. */
  readonly losses: ReadonlyArray<number>
  readonly gradientNorms: ReadonlyArray<number>
}

export interface Branch {
  /** From the beginning on; at the last one's end the run branches off. */
  readonly blocks: ReadonlyArray<NaturalBlock>
  readonly state: TrainingState
}

/** The branch of a natural run for an arm; null where there is no kept state but that before the first step. */
export const branchOf = Effect.fn("branchOf")(function* (run: TrainedRun, arm: InterventionConfig) {
  const trajectory = yield* getJson(Trajectory, run.trajectory)
  const until = branchableUntil(arm)
  const at = trajectory.findLastIndex(({ step, moments }) => moments !== null && step <= until)
  const { theta, moments = null } = trajectory[at] ?? {}
  if (at <= 0 || theta === undefined || moments === null) return null
  const table = yield* getTable(run.losses)
  const [losses, gradientNorms] = [numbers(table, "loss"), numbers(table, "gradientNorm")]
  const blocks = trajectory.slice(0, at + 1).map(({ step, evaluation }, i): NaturalBlock => {
    const before = i === 0 ? 0 : trajectory[i - 1].step
    return {
      step,
      evaluation,
      losses: Array.from(losses.slice(before, step)),
      gradientNorms: Array.from(gradientNorms.slice(before, step)),
    }
  })
  const branch: Branch = { blocks, state: yield* loadState({ theta, moments }) }
  return branch
})
