/** Runs an ablation through the store, writes what came out and prints it. */
import { Console, Effect, FileSystem, Path, Schema } from "effect"
import { Comparison } from "../pipelines/comparison.ts"
import { evaluateAblation } from "../pipelines/evaluateAblation.ts"
import type { PlannedAblation } from "../pipelines/planAblation.ts"
import { comparisonTable } from "../report/comparisonText.ts"
import { CodeFingerprint } from "../services/CodeFingerprint.ts"
import { BadInput } from "./BadInput.ts"
import { isTolerableUnless, type OnFailure, stopsAll } from "./options.ts"
import { retryDamaged } from "./retryDamaged.ts"
import { requireWritable } from "./services.ts"

/** Some cells could not be measured; what could be is written. */
class CellsFailed extends Schema.TaggedError<CellsFailed>()("CellsFailed", {
  failed: Schema.Int,
  directory: Schema.String,
}) {
  override get message() {
    return `${this.failed} numbers could not be measured, the reasons are in ${this.directory}/comparison.md; run the same command again to try again`
  }
}

export interface AblationOptions extends OnFailure {
  /** Where results go, below a directory of the ablation's name; that of its scale if it is not given. */
  readonly out: string
  readonly json: boolean
}

// Drawing figures takes longer to load than everything else here.
const loadWriting = Effect.promise(() => import("../report/writeComparison.ts"))

export const runAblation = Effect.fn("runAblation")(function* (
  planned: PlannedAblation,
  options: AblationOptions,
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = path.resolve(options.out, planned.name)
  yield* requireWritable
  yield* fs
    .makeDirectory(directory, { recursive: true })
    .pipe(Effect.mapError(({ message }) => new BadInput({ message: `--out ${directory}: ${message}` })))
  const onFailure = { failFast: stopsAll(options), isTolerable: isTolerableUnless(options) }
  const comparison = yield* retryDamaged(evaluateAblation(planned, onFailure))
  const code = yield* Effect.flatMap(CodeFingerprint, ({ of }) => of(import.meta.url))
  const { writeComparison } = yield* loadWriting
  yield* writeComparison(directory, comparison, code)
  const shown = path.relative(".", directory)
  yield* options.json
    ? Console.log(JSON.stringify(yield* Schema.encodeEffect(Comparison)(comparison), null, 2))
    : Console.log(
        `\n${planned.name}: ${planned.description}\n\n${comparisonTable(comparison)}\n\n${comparison.evidence}; written to ${shown}/`,
      )
  const failed = comparison.cells.reduce((sum, { failed }) => sum + Object.keys(failed).length, 0)
  if (failed > 0) return yield* new CellsFailed({ failed, directory: shown })
})
