import { it } from "@effect/vitest"
import { cpSync } from "node:fs"
import { Effect } from "effect"
import { paperScale } from "../../src/pipelines/paper.ts"
import { writePage } from "../../src/report/html/write.ts"
import { writeReport } from "../../src/report/write.ts"
import { idle } from "../pipelines/idle.ts"
import { asFeared, rowsIn, tablesIn, varied } from "./madeUp.ts"
it.effect("x", () => Effect.gen(function* () {
  const world = varied({ ...asFeared, peak: (l) => /random-logits/.test(l) ? 110 : /multitask.*update/.test(l) ? 0.9 : / update\b/.test(l) ? 5 : 180, grokked: (l) => /decay-only/.test(l) ? null : asFeared.grokked(l) })
  cpSync("artifacts/ablations", "/tmp/rep-made/ablations", { recursive: true })
  yield* writeReport({ directory: "/tmp/rep-made/paper", evidence: "made up; seeds 42, 137, 2024", config: paperScale, tables: yield* tablesIn(world, paperScale), claims: yield* rowsIn(world, paperScale), code: "x" })
  yield* writePage("/tmp/rep-made/paper", "/tmp/rep-made/ablations", "/tmp/rep-made/report.html")
}).pipe(Effect.provide(idle())), 120000)
