/** A trained run's checkpoints, loaded when they are needed. */
import { Effect } from "effect"
import { type Layout, makeLayout } from "../model/layout.ts"
import { float32, getJson, getTensors } from "../services/artifacts.ts"
import { type TrainedRun, Trajectory } from "./contracts.ts"

export interface Checkpoints {
  readonly layout: Layout
  /** Training step of each checkpoint. */
  readonly steps: ReadonlyArray<number>
  /** Parameters [layout.size] at checkpoint i. */
  readonly theta: (i: number) => ReturnType<typeof loadTheta>
}

const loadTheta = Effect.fn("loadTheta")(function* (ref: Parameters<typeof getTensors>[0]) {
  return yield* float32(yield* getTensors(ref), "theta")
})

export const openTrajectory = Effect.fn("openTrajectory")(function* ({ model, trajectory }: TrainedRun) {
  const entries = yield* getJson(Trajectory, trajectory)
  const opened: Checkpoints = {
    layout: makeLayout(model),
    steps: entries.map(({ step }) => step),
    theta: (i) => loadTheta(entries[i].theta),
  }
  return opened
})
