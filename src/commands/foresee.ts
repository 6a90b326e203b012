/** What `plan` and `explain` both look at: the nodes of a pipeline, what the store has of them, and what the rest is expected to cost. */
import { Effect } from "effect"
import { outlookOf } from "../pipelines/outlook.ts"
import { stages } from "../pipelines/registry.ts"
import { survey } from "../pipelines/survey.ts"
import { ArtifactStore } from "../services/ArtifactStore.ts"
import { readHistory } from "../services/history.ts"
import { type Asked, declared } from "./declared.ts"

export const foresee = Effect.fn("foresee")(function* (asked: Asked) {
  const { nodes } = yield* declared(asked)
  const surveyed = yield* survey(nodes, stages)
  // A run starts, and looks everything up, as this process did until here.
  const starting = process.uptime()
  const store = yield* ArtifactStore
  const entries = new Map<string, number>()
  for (const { node, state, identity } of surveyed) {
    if (state._tag === "Missing") entries.set(identity, yield* store.countEntries(node.stage, state.cursor))
  }
  const history = yield* readHistory
  return { surveyed, history, forecasts: outlookOf(surveyed, history, entries), starting }
})
export type Foreseen = Effect.Success<ReturnType<typeof foresee>>
