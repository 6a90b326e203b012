import { it } from "@effect/vitest"
import { Console, Effect } from "effect"
import { failAt, laboratory, type Trial, undisturbed } from "../everyOperation.ts"
import { runPart, tally } from "./figures.ts"
import { seed, share } from "./settings.ts"

const sum = (trials: ReadonlyArray<Trial>, of: (trial: Trial) => number) =>
  trials.reduce((total, trial) => total + of(trial), 0)

/** Every operation, or, where only a share is run, evenly spaced ones. */
const chosen = (count: number): ReadonlyArray<number> => {
  const every = Math.round(1 / share)
  return Array.from({ length: count }, (_, i) => i + 1).filter((n) => n % every === seed % every)
}

it.live("a pipeline may fail at every file-system operation", () =>
  runPart(
    "operations",
    Effect.gen(function* () {
      const expected = yield* undisturbed
      const { operations } = expected
      const once: Array<Trial> = []
      const forGood: Array<Trial> = []
      for (const failing of chosen(operations.length)) {
        once.push(yield* failAt(expected, failing, false))
        forGood.push(yield* failAt(expected, failing, true))
        if (once.length % 50 === 0) yield* Console.log(`operations: ${failing} of ${operations.length}`)
      }
      const trials = [...once, ...forGood]
      return {
        summary: `a pipeline of ${operations.length} file-system operations failed at ${once.length} of them, once and for good; all ${trials.length} ended like an undisturbed one when they were run again`,
        figures: {
          operations: operations.length,
          byName: tally(operations),
          failedOnce: once.length,
          failedForGood: forGood.length,
          wentOnInSpiteOfIt: sum(trials, ({ wentOn }) => Number(wentOn)),
          superfluousBlobs: sum(trials, ({ superfluous }) => superfluous),
          temporaryFilesOfTheDead: sum(trials, ({ temporary }) => temporary),
        },
      }
    }),
  ).pipe(Effect.provide(laboratory)),
)
