/** Which artifacts a stage's output leads to. */
import { Effect, Option, Predicate, Schema } from "effect"
import { ArtifactRef } from "./Artifact.ts"
import { ArtifactStore, type StoreError } from "./ArtifactStore.ts"

/** Every artifact that encoded data refers to. */
export const referencesOf = (value: unknown): ReadonlyArray<ArtifactRef> => {
  if (Schema.is(ArtifactRef)(value)) return [value]
  if (Array.isArray(value)) return value.flatMap(referencesOf)
  return Predicate.isObject(value) ? Object.values(value).flatMap(referencesOf) : []
}

const parse = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

/** Those, and every one that the JSON artifacts among them refer to. Fails where one of these is damaged. */
export const reachableFrom = (
  value: unknown,
): Effect.Effect<ReadonlyArray<ArtifactRef>, StoreError, ArtifactStore> =>
  Effect.gen(function* () {
    const store = yield* ArtifactStore
    const direct = referencesOf(value)
    const behind = yield* Effect.forEach(direct, (ref) =>
      ref.format === "json"
        ? Effect.flatMap(store.get(ref), (bytes) =>
            reachableFrom(Option.getOrNull(parse(new TextDecoder().decode(bytes)))),
          )
        : Effect.succeed([]),
    )
    return [...direct, ...behind.flat()]
  })

/** Whether everything that encoded data leads to is there. Fails where a JSON artifact on the way is damaged. */
export const isWhole = Effect.fn("isWhole")(function* (value: unknown) {
  const store = yield* ArtifactStore
  for (const ref of yield* reachableFrom(value)) if (!(yield* store.has(ref))) return false
  return true
})
