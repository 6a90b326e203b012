/** Which artifacts a stage's output leads to. */
import { Effect, Predicate, Result, Schema } from "effect"
import { ArtifactRef } from "./Artifact.ts"
import { ArtifactStore, type StoreError } from "./ArtifactStore.ts"
import { parseJsonBytes } from "./formats/json.ts"

const isArtifact = Schema.is(ArtifactRef)

const addReferences = (value: unknown, found: Array<ArtifactRef>): void => {
  if (Array.isArray(value)) for (const item of value) addReferences(item, found)
  else if (Predicate.isObject(value)) {
    // The Schema is asked only of what may be one: a trajectory has thousands of other objects.
    if ("digest" in value && isArtifact(value)) found.push(value)
    else for (const field of Object.values(value)) addReferences(field, found)
  }
}

/** Every artifact that encoded data refers to. */
export const referencesOf = (value: unknown): ReadonlyArray<ArtifactRef> => {
  const found: Array<ArtifactRef> = []
  addReferences(value, found)
  return found
}

/** The digest of each, once. */
export const digestsIn = (value: unknown): ReadonlyArray<string> => [
  ...new Set(referencesOf(value).map(({ digest }) => digest)),
]

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
export const isWhole = Effect.fnUntraced(function* (value: unknown) {
  const store = yield* ArtifactStore
  const named = referencesOf(value)
  // Most outputs name tables and tensors, which lead no further.
  const refs = named.some(({ format }) => format === "json") ? yield* reachableFrom(value) : named
  for (const ref of refs) if (!(yield* store.has(ref))) return false
  return true
})
