/** A sweep of twelve runs, for parts that compute it on several machines. With a share below one, runs are small. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Scale } from "../../../src/pipelines/scale.ts"
import { filesBelow } from "../../services/store/temporary.ts"
import { eventsOf } from "../stores.ts"
import { share } from "./settings.ts"

const SWEEP = `description: Twelve runs
base: single
seeds: 3
measure: [grok-step, gradient-peak, update-peak]
vary: { data.operation: [add, sub, mul, x2_y2] }
`
export const SCALE: Scale = share < 1 ? "smoke" : "paper"

/** What runs it on a store; its description is written into `directory`. */
export const sweepIn = (directory: string) => {
  const file = join(directory, "sweep.yaml")
  writeFileSync(file, SWEEP)
  return (store: string, scale: Scale = SCALE): ReadonlyArray<string> => [
    ...["run", file, "--scale", scale, "--store", store, "--out", join(directory, "out")],
  ]
}

/** Checkpoints of trainings. */
export const checkpoints = (store: string): number => {
  try {
    return filesBelow(join(store, "cursors", "train")).filter((file) => file.endsWith(".json")).length
  } catch {
    return 0
  }
}

/** How many computations were of something that had been computed. */
export const twice = (store: string): number => {
  const labels = eventsOf(store).flatMap((event) => (event._tag === "Computed" ? [event.label] : []))
  return labels.length - new Set(labels).size
}

/** How many runs have journals. */
export const runsBegun = (store: string): number =>
  eventsOf(store).filter((event) => event._tag === "Started" && event.command.startsWith("run")).length
