/** What names a computation, and whether the store has its result. Both runners ask here, the one that computes and the one that only looks. */
import { Effect, Option, Schema } from "effect"
import { ArtifactStore, type DamagedArtifact, type StageRecord } from "./ArtifactStore.ts"
import { digestsIn, isWhole } from "./references.ts"
import type { Stage } from "./Stage.ts"
import { stageCode } from "./stageCode.ts"
import { digestOf } from "./store/canonical.ts"

/** Its key, what that digests, and its cursor. */
export interface Computation {
  readonly key: string
  readonly preimage: { readonly stage: string; readonly code: string; readonly input: unknown }
  readonly cursorKey: string
}

export const identify = Effect.fnUntraced(function* <Input, Output, E, R>(
  stage: Stage<Input, Output, E, R>,
  input: Input,
) {
  const encoded = yield* Schema.encodeEffect(stage.input)(input)
  const preimage = { ...(yield* stageCode(stage)), input: encoded }
  const key = digestOf(preimage)
  const { identity } = stage
  const cursorKey = identity === undefined ? key : digestOf({ ...preimage, input: identity(input) })
  const computation: Computation = { key, preimage, cursorKey }
  return computation
})

export interface Stored<Output> {
  readonly output: Output
  readonly provenance: StageRecord["provenance"]
  /** Digests of the artifacts that the output names. */
  readonly artifacts: ReadonlyArray<string>
}

/** The stored output under a key, if everything that it leads to is there. Damage is told, and counts as absence. */
export const lookup = Effect.fnUntraced(function* <Input, Output, E, R>(
  stage: Stage<Input, Output, E, R>,
  key: string,
  tell: (damage: DamagedArtifact) => Effect.Effect<void>,
) {
  const store = yield* ArtifactStore
  const none = Option.none<Stored<Output>>()
  const record = yield* store
    .record(stage.name, key)
    .pipe(Effect.catchTag("DamagedArtifact", (damage) => Effect.as(tell(damage), Option.none())))
  if (Option.isNone(record)) return none
  const { output, provenance } = record.value
  const whole = isWhole(output).pipe(
    Effect.catchTag("DamagedArtifact", (damage) => Effect.as(tell(damage), false)),
  )
  if (!(yield* whole)) return none
  const artifacts = digestsIn(output)
  return Option.map(Schema.decodeUnknownOption(stage.output)(output), (output) => ({
    output,
    provenance,
    artifacts,
  }))
})
