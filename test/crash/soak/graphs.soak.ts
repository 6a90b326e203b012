import { it } from "@effect/vitest"
import { Effect } from "effect"
import { checkProjects, laboratory } from "../projects.ts"
import { runPart } from "./figures.ts"
import { seed, shareOf } from "./settings.ts"

const GRAPHS = 1000

it.live("any project after any edits", () =>
  runPart(
    "graphs",
    Effect.gen(function* () {
      const graphs = shareOf(GRAPHS)
      const { edits, computed, found } = yield* checkProjects(graphs, seed)
      return {
        summary: `${graphs} random graphs, ${edits} random edits: each time the outputs of an empty store, and exactly the stages computed that were predicted`,
        figures: { graphs, edits, computed, found },
      }
    }),
  ).pipe(Effect.provide(laboratory)),
)
