/** A sweep of twelve runs, for parts that compute it on several machines. With a share below one, runs are small. */
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Scale } from "../../../src/pipelines/paper.ts"
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

/** How many files a directory has; none where there is none, or no more. */
const entries = (directory: string): number => {
  try {
    return readdirSync(directory).length
  } catch {
    return 0
  }
}

/** Checkpoints of trainings. */
export const checkpoints = (store: string): number => {
  try {
    return filesBelow(join(store, "cursors", "train")).filter((file) => file.endsWith(".json")).length
  } catch {
    return 0
  }
}

/** Trainings that have begun and not ended, as they name their cursors, with how many checkpoints each has. */
export const going = (store: string): ReadonlyMap<string, number> => {
  const directory = join(store, "cursors", "train")
  const ended = new Set(eventsOf(store).flatMap((event) => (event._tag === "Computed" ? [event.key] : [])))
  const cursors = eventsOf(store).flatMap((event) =>
    event._tag === "Began" && event.stage === "train" && !ended.has(event.key) ? [event.cursor] : [],
  )
  return new Map(cursors.map((cursor) => [cursor, entries(join(directory, cursor))]))
}

/** How many computations were of something that had been computed. */
export const twice = (store: string): number => {
  const labels = eventsOf(store).flatMap((event) => (event._tag === "Computed" ? [event.label] : []))
  return labels.length - new Set(labels).size
}

/** How many runs have journals. */
export const runsBegun = (store: string): number =>
  eventsOf(store).filter((event) => event._tag === "Started" && event.command.startsWith("run")).length
