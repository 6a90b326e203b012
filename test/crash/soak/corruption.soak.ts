import { assert, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import * as fc from "fast-check"
import { type Cell, damageNames, type Fate, kinds, prepared, tryCell } from "../corruption.ts"
import { laboratory, undisturbed } from "../everyOperation.ts"
import { runPart, tally } from "./figures.ts"
import { seed, shareOf } from "./settings.ts"

/** Files that are damaged for each cell. */
const FILES = 20

it.live("a store may be damaged anywhere", () =>
  runPart(
    "corruption",
    Effect.gen(function* () {
      const expected = yield* undisturbed
      const template = yield* prepared
      const files = shareOf(FILES)
      const cells = kinds.flatMap((kind) =>
        damageNames.flatMap((damage) => [true, false].map((verified): Cell => ({ kind, damage, verified }))),
      )
      const draws = fc.sample(fc.nat(9999), { seed, numRuns: cells.length * files })
      const fates: Array<string> = []
      for (const cell of cells) {
        for (let i = 0; i < files; i++) {
          const fate: Fate = yield* tryCell(cell, expected, template, (count) => (draws.pop() ?? 0) % count)
          fates.push(fate)
        }
        yield* Console.log(`corruption: ${cell.kind} ${cell.damage}`)
      }
      assert.lengthOf(fates, cells.length * files)
      return {
        summary: `${kinds.length} kinds of files × ${damageNames.length} damages, before and without verify: ${cells.length} cells, ${fates.length} damages; every run ended like an undisturbed one, every store whole`,
        figures: {
          kinds: kinds.length,
          damages: damageNames.length,
          cells: cells.length,
          trials: fates.length,
          fates: tally(fates),
        },
      }
    }),
  ).pipe(Effect.provide(laboratory)),
)
