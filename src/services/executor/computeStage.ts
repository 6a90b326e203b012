/** Runs a stage on its cursor in the store; the same on the main thread and on worker threads. */
import { Clock, Effect } from "effect"
import { ArtifactStore } from "../ArtifactStore.ts"
import type { Stage } from "../Stage.ts"

export interface Computed<Output> {
  readonly output: Output
  /** Time that the computation itself took. */
  readonly seconds: number
}

/** @param cursorKey names the stage's cursor: `StageRunner` */
export const computeStage = Effect.fn("computeStage")(function* <Input, Output, E, R>(
  { name, run }: Stage<Input, Output, E, R>,
  input: Input,
  cursorKey: string,
) {
  const store = yield* ArtifactStore
  const started = yield* Clock.currentTimeMillis
  const output = yield* run(input, {
    entries: yield* store.cursor(name, cursorKey),
    advance: (position, entry) => store.advance(name, cursorKey, position, entry),
  })
  const computed: Computed<Output> = {
    output,
    seconds: ((yield* Clock.currentTimeMillis) - started) / 1000,
  }
  return computed
})
