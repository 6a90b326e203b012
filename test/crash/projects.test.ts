/** Random graphs and random edits; a thousand more of them in `soak/graphs.soak.ts`. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { checkProjects, laboratory } from "./projects.ts"

it.live(
  "any project after any edits: what is computed on top of the former state is what an empty store ends with",
  () =>
    Effect.gen(function* () {
      const { edits, computed, found } = yield* checkProjects(100)
      assert.isAbove(edits, 100)
      // Neither everything nor nothing is computed again.
      assert.isAbove(computed, 100)
      assert.isAbove(found, 100)
    }).pipe(Effect.provide(laboratory)),
  180_000,
)
