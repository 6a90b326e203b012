import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { type Pin, pins, putPin, removePin } from "../../src/services/pins.ts"
import { filesBelow, temporaryStore } from "./store/temporary.ts"

const [first, second] = ["ab", "cd"].map(
  (digits, i): Pin => ({ stage: "train", key: digits.repeat(32), at: `2026-01-0${i + 1}T00:00:00.000Z` }),
)

describe("pins", () => {
  it.effect("are none at first, are there until they are removed, and a newer one replaces an older", () =>
    Effect.gen(function* () {
      const { root } = yield* ArtifactStore
      assert.deepStrictEqual(yield* pins, [])
      yield* putPin(second)
      yield* putPin(first)
      assert.deepStrictEqual(yield* pins, [first, second])
      const explained = { ...first, label: "train add/42", because: "figure 3" }
      yield* putPin(explained)
      assert.deepStrictEqual(yield* pins, [explained, second])
      for (const _ of [1, 2]) yield* removePin(first)
      assert.deepStrictEqual(yield* pins, [second])
      yield* removePin(second)
      assert.deepStrictEqual(filesBelow(root), [])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect.each([
    ["torn", '{ "stage": "tr'],
    ["empty", ""],
    ["changed", JSON.stringify(first)],
  ])("that are %s go on holding what their name says", ([, content]) =>
    Effect.gen(function* () {
      const { root } = yield* ArtifactStore
      yield* putPin(first)
      writeFileSync(join(root, "pins", `${first.key}.json`), content)
      const [{ key, because }] = yield* pins
      assert.strictEqual(key, first.key)
      assert.include(because, "cannot be read")
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("are not other files that lie there", () =>
    Effect.gen(function* () {
      const { root } = yield* ArtifactStore
      yield* putPin(first)
      for (const name of ["notes.txt", ".x.tmp"]) writeFileSync(join(root, "pins", name), "")
      assert.deepStrictEqual(yield* pins, [first])
    }).pipe(Effect.provide(temporaryStore())),
  )
})
