import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Clock, Console, Effect } from "effect"
import { cli } from "../../commands/process.ts"
import { temporaryDirectory } from "../../services/store/temporary.ts"
import { runPart } from "./figures.ts"
import { fullStore } from "./settings.ts"

/** Milliseconds that a `reproduce-all` should take of which everything is stored. */
const TARGET = 3000
const RUNS = 5

// It needs the store of a full run: STORE=artifacts/store pnpm test:crash warm
it.live.skipIf(fullStore === undefined)("a finished reproduce-all at full scale is found in no time", () =>
  runPart(
    "warm",
    Effect.gen(function* () {
      const out = join(yield* temporaryDirectory, "paper")
      const milliseconds: Array<number> = []
      let stages = 0
      // The first run writes the report.
      for (let i = 0; i <= RUNS; i++) {
        const started = yield* Clock.currentTimeMillis
        const { code, stderr } = yield* cli(["reproduce-all", "--store", fullStore ?? "", "--out", out])
        if (i > 0) milliseconds.push((yield* Clock.currentTimeMillis) - started)
        assert.strictEqual(code, 0, stderr)
        stages = Number(/cached (\d+)/.exec(stderr)?.[1] ?? 0)
        assert.notMatch(stderr, /done in/)
        yield* Console.log(`warm: run of ${stages} stages ${milliseconds.at(-1) ?? "to write the report"} ms`)
      }
      return {
        summary: `reproduce-all of whose ${stages} stages all are stored took ${Math.max(...milliseconds)} ms at most (target ${TARGET})`,
        figures: {
          stages,
          milliseconds: Object.fromEntries(milliseconds.map((ms, i) => [`run ${i + 1}`, ms])),
        },
      }
    }),
  ).pipe(Effect.provide(NodeServices.layer)),
)
