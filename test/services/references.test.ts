import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ArtifactRef } from "../../src/services/Artifact.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { reachableFrom, referencesOf } from "../../src/services/references.ts"
import { sha256 } from "../../src/services/store/canonical.ts"
import { temporaryStore } from "./store/temporary.ts"

const putJson = (value: unknown) =>
  Effect.flatMap(ArtifactStore, ({ put }) => put("json", new TextEncoder().encode(JSON.stringify(value))))

const ref = (name: string): ArtifactRef => ({ digest: sha256(name), format: "parquet", bytes: 1 })

describe("references", () => {
  it("are found wherever they are in data", () => {
    const [a, b, c] = ["a", "b", "c"].map(ref)
    assert.deepStrictEqual(referencesOf({ x: a, y: [{ z: b }, [c]], digest: a.digest, n: null }), [a, b, c])
  })

  it.effect("lead through documents to others, each once", () =>
    Effect.gen(function* () {
      const [a, b] = ["a", "b"].map(ref)
      const inner = yield* putJson([a, b])
      const outer = yield* putJson({ inner, a })
      assert.sameDeepMembers([...(yield* reachableFrom({ outer, again: [outer, b] }))], [outer, inner, a, b])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("of documents that name the next one over and over are followed once", () =>
    Effect.gen(function* () {
      let document: unknown = ref("last")
      for (let i = 0; i < 60; i++) document = yield* putJson({ i, left: document, right: document })
      assert.lengthOf(yield* reachableFrom(document), 61)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("of one artifact in several sizes are all told: at most one of them is there", () =>
    Effect.gen(function* () {
      const document = yield* putJson({ of: ref("a") })
      const sizes = [document, { ...document, bytes: 1 }]
      assert.sameDeepMembers([...(yield* reachableFrom(sizes))], [...sizes, ref("a")])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("to a document that is missing are a failure", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(reachableFrom({ ...ref("nowhere"), format: "json" }))
      assert.strictEqual(error._tag, "DamagedArtifact")
    }).pipe(Effect.provide(temporaryStore())),
  )
})
