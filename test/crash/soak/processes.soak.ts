import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { labels } from "../../pipelines/tiny.ts"
import { temporaryDirectory } from "../../services/store/temporary.ts"
import { sideBySide } from "../sideBySide.ts"
import { runPart } from "./figures.ts"
import { shareOf } from "./settings.ts"

/** Races of each number of processes. */
const RACES = 10

it.live("processes on one store compute each stage once", () =>
  runPart(
    "processes",
    Effect.gen(function* () {
      const races = shareOf(RACES)
      const stages: Record<string, number> = {}
      const said = new Set<string>()
      for (const count of [2, 6]) {
        for (let race = 0; race < races; race++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const store = join(yield* temporaryDirectory, "store")
              const { computed, stdout } = yield* sideBySide(store, count)
              assert.deepStrictEqual(computed, [...labels].sort(), `${count} processes, race ${race + 1}`)
              stages[`by ${count}`] = (stages[`by ${count}`] ?? 0) + computed.length
              said.add(stdout)
            }),
          )
        }
      }
      assert.strictEqual(said.size, 1, "all races end with the same result")
      return {
        summary: `${races} times 2 and ${races} times 6 processes on one store computed each of its ${labels.length} stages exactly once`,
        figures: { races: 2 * races, stages: labels.length, computed: stages },
      }
    }),
  ).pipe(Effect.provide(NodeServices.layer)),
)
