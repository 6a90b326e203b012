/** A stage for those who hold its input and output encoded, as records do: to compute a stored output again. */
import { Effect, type Option, Schema } from "effect"
import type { StoreError } from "./ArtifactStore.ts"
import type { Stage, StageServices } from "./Stage.ts"
import { type RunnerError, StageRunner } from "./StageRunner.ts"
import type { StageCode } from "./stageCode.ts"

export interface Recomputable extends StageCode {
  /** The encoded output, from the beginning and whatever is stored. */
  readonly compute: (input: unknown) => Effect.Effect<unknown, Error, StageServices>
  /** The input as a pipeline has it, defaults included, of one as it is stored; none where it is another version's. */
  readonly inputOf: (encoded: unknown) => Option.Option<unknown>
  /** Has the output in the store, computed if need be. */
  readonly restore: (
    input: unknown,
    label: string,
  ) => Effect.Effect<void, Error | StoreError | RunnerError, StageServices | StageRunner>
}

export const recomputable = <Input, Output, E extends Error, R extends StageServices>(
  stage: Stage<Input, Output, E, R>,
): Recomputable => ({
  ...stage,
  inputOf: Schema.decodeUnknownOption(stage.input),
  compute: Effect.fnUntraced(function* (encoded) {
    const input = yield* Schema.decodeUnknownEffect(stage.input)(encoded)
    const output = yield* stage.run(input, { entries: [], advance: () => Effect.void })
    return yield* Schema.encodeEffect(stage.output)(output)
  }),
  restore: Effect.fnUntraced(function* (encoded, label) {
    const { run } = yield* StageRunner
    yield* run(stage, yield* Schema.decodeUnknownEffect(stage.input)(encoded), label)
  }),
})
