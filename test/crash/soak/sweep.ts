/** A sweep of twelve runs, for parts that compute it on several machines. With a share below one, runs are small. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert } from "@effect/vitest"
import { Console, Duration, Effect } from "effect"
import type { Scale } from "../../../src/pipelines/scale.ts"
import { cli } from "../../commands/process.ts"
import { filesBelow, temporaryDirectory } from "../../services/store/temporary.ts"
import { eventsOf, recordsOf } from "../stores.ts"
import { fullStore, share } from "./settings.ts"

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

/** Until trainings have stored so many checkpoints. */
export const untilCheckpoints = Effect.fn("untilCheckpoints")(function* (store: string, count: number) {
  while (checkpoints(store) < count) yield* Effect.sleep(20)
})

/** What the sweep comes to on one machine. */
export const onOneMachine = Effect.fn("onOneMachine")(function* (scale: Scale) {
  const directory = yield* temporaryDirectory
  const store = scale === SCALE && fullStore !== undefined ? fullStore : join(directory, "store")
  const [took, { code, stderr }] = yield* Effect.timed(cli(sweepIn(directory)(store, scale)))
  assert.strictEqual(code, 0, stderr)
  yield* Console.log(`sweep: ${scale} on one machine in ${Duration.format(took)}`)
  return recordsOf(store)
}, Effect.scoped)
