/**
 * `node lookUpAll.ts STORE`: looks up every key of a store, and whether all that its record leads to is there; prints how
 * long that took.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Clock, Console, Effect, Layer, Option, Schema } from "effect"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { isWhole } from "../../src/services/references.ts"
import { quickFiles } from "../../src/services/store/quickFiles.ts"

/** What it prints. */
export const LookedUp = Schema.Struct({ keys: Schema.Int, milliseconds: Schema.Int })

class NotWhole extends Schema.TaggedError<NotWhole>()("NotWhole", { key: Schema.String }) {}

const lookUpAll = Effect.gen(function* () {
  const { record, recordNames } = yield* ArtifactStore
  const names = yield* recordNames
  const started = yield* Clock.currentTimeMillis
  for (const { stage, key } of names) {
    const found = yield* record(stage, key)
    if (Option.isNone(found) || !(yield* isWhole(found.value.output))) return yield* new NotWhole({ key })
  }
  const milliseconds = (yield* Clock.currentTimeMillis) - started
  yield* Console.log(JSON.stringify({ keys: names.length, milliseconds }))
})

if (import.meta.main) {
  await Effect.runPromise(
    lookUpAll.pipe(
      Effect.provide(ArtifactStore.layer(process.argv[2])),
      Effect.provide(quickFiles.pipe(Layer.provideMerge(NodeServices.layer))),
    ),
  )
}
