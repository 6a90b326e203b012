/**
 * The rows that a rolling SVD stacks, each of length attentionSize: row i belongs to checkpoint i.
 *
 * `update`: θ_attn(i) − θ_attn(i − 1), the sum of the optimiser's steps between two checkpoints; the first
 * checkpoint has none. `gradient`: the captured gradient at checkpoint i.
 */
import { Effect } from "effect"
import { thetaAttn } from "../model/layout.ts"
import { float32, getTensors } from "../services/artifacts.ts"
import type { RowSource } from "./contracts.ts"
import { openTrajectory } from "./trajectory.ts"

export interface Rows {
  /** First checkpoint that has a row. */
  readonly firstRow: number
  /** Last checkpoint. */
  readonly last: number
  readonly steps: ReadonlyArray<number>
  readonly row: (checkpoint: number) => Float32Array
}

export const loadRows = Effect.fn("loadRows")(function* (source: RowSource) {
  const { layout, steps, theta } = yield* openTrajectory(source.run)
  const last = steps.length - 1
  if (source.kind === "gradient") {
    const all = yield* float32(yield* getTensors(source.gradients.gradients), "gradients")
    const size = layout.attentionSize
    const rows: Rows = { firstRow: 0, last, steps, row: (i) => all.subarray(i * size, (i + 1) * size) }
    return rows
  }
  const updates: Array<Float32Array> = []
  let previous = thetaAttn(layout, yield* theta(0))
  for (let i = 1; i <= last; i++) {
    const current = thetaAttn(layout, yield* theta(i))
    const before = previous
    updates.push(current.map((value, slot) => value - before[slot]))
    previous = current
  }
  const rows: Rows = { firstRow: 1, last, steps, row: (i) => updates[i - 1] }
  return rows
})
