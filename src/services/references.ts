/** Which artifacts a stage's output leads to. */
import { Effect, Predicate, Result, Schema } from "effect"
import { ArtifactRef } from "./Artifact.ts"
import { ArtifactStore, type StoreError } from "./ArtifactStore.ts"
import { parseJsonBytes } from "./formats/json.ts"

/** Every artifact that encoded data refers to. */
export const referencesOf = (value: unknown): ReadonlyArray<ArtifactRef> => {
  if (Schema.is(ArtifactRef)(value)) return [value]
  if (Array.isArray(value)) return value.flatMap(referencesOf)
  return Predicate.isObject(value) ? Object.values(value).flatMap(referencesOf) : []
}

/** Every artifact that a JSON artifact of these bytes refers to; none if it is not JSON. */
export const referencesInJson = (bytes: Uint8Array): ReadonlyArray<ArtifactRef> =>
  Result.match(parseJsonBytes(bytes), { onSuccess: referencesOf, onFailure: () => [] })

/**
 * Those, and every one that the JSON artifacts among them refer to, each once, however many ways lead to it. Fails where
 * one of these is damaged.
 */
export const reachableFrom = (
  value: unknown,
): Effect.Effect<ReadonlyArray<ArtifactRef>, StoreError, ArtifactStore> =>
  Effect.gen(function* () {
    const store = yield* ArtifactStore
    const found = new Map<string, ArtifactRef>()
    const read = new Set<string>()
    const left = [...referencesOf(value)]
    for (let ref = left.pop(); ref !== undefined; ref = left.pop()) {
      const { digest, format, bytes } = ref
      found.set(`${digest}.${format}.${bytes}`, ref)
      if (format !== "json" || read.has(digest)) continue
      read.add(digest)
      for (const next of referencesInJson(yield* store.get(ref))) left.push(next)
    }
    return [...found.values()]
  })

/** Whether everything that encoded data leads to is there. Fails where a JSON artifact on the way is damaged. */
export const isWhole = Effect.fn("isWhole")(function* (value: unknown) {
  const store = yield* ArtifactStore
  for (const ref of yield* reachableFrom(value)) if (!(yield* store.has(ref))) return false
  return true
})
