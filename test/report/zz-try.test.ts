import { writeFileSync } from "node:fs"
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { paperScale, smokeScale } from "../../src/pipelines/paper.ts"
import { claimsDocument, claimsTable } from "../../src/report/claimsText.ts"
import { asFeared, asPublished, rowsIn, tablesIn, varied } from "./madeUp.ts"

it.effect(
  "x",
  () =>
    Effect.gen(function* () {
      for (const [name, world] of [
        ["pub", asPublished],
        ["fear", asFeared],
        ["var", varied(asFeared)],
      ] as const) {
        const t0 = Date.now()
        const rows = yield* rowsIn(world, paperScale)
        writeFileSync(`/tmp/rep-${name}.md`, claimsDocument(rows, "a test") + "\n" + claimsTable(rows))
        const t = yield* tablesIn(world, smokeScale)
        console.log(
          name,
          Date.now() - t0,
          Object.entries(t)
            .map(([k, v]) => `${k} ${v.length}`)
            .join(" "),
        )
      }
    }),
  60000,
)
