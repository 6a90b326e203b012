import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { retryDamaged } from "../../src/commands/retryDamaged.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { Progress } from "../../src/services/Progress.ts"
import { verify } from "../../src/services/verify.ts"
import { laboratory, runSingle, tiny } from "../pipelines/tiny.ts"
import { damages, unprivileged } from "./store/damages.ts"
import { filesBelow } from "./store/temporary.ts"

/** Every kind of file that a result is made of. */
const kinds = {
  tensors: /^objects.*\.safetensors$/,
  tables: /^objects.*\.parquet$/,
  documents: /^objects.*\.json$/,
  records: /^records\/.*\.json$/,
  entries: /^cursors\/train\/.*\.json$/,
}

/** The middle one of the files of each kind, and the next in its part of the store. */
const victims = (root: string) => {
  const files = filesBelow(root)
  return Object.values(kinds).map((kind) => {
    const ofKind = files.filter((file) => kind.test(file))
    const file = ofKind[ofKind.length >> 1]
    const around = files.filter((other) => other.split("/")[0] === file.split("/")[0])
    const next = around[(around.indexOf(file) + 1) % around.length]
    return { file: join(root, file), next: join(root, next) }
  })
}

const clean = Effect.gen(function* () {
  const { damages, ...counts } = yield* verify
  assert.deepStrictEqual(damages, [])
  return counts
})

describe("verify", () => {
  it.effect("finds nothing wrong with what was just computed, and counts it", () =>
    Effect.gen(function* () {
      yield* runSingle(tiny)
      const { root } = yield* ArtifactStore
      const files = filesBelow(root)
      const objects = files.filter((file) => file.startsWith("objects"))
      assert.deepStrictEqual(yield* clean, {
        blobs: objects.length,
        bytes: objects.reduce((sum, file) => sum + readFileSync(join(root, file)).length, 0),
        records: files.filter((file) => file.startsWith("records")).length,
        cursors: new Set(
          files
            .filter((file) => file.startsWith("cursors"))
            .map((file) => file.split("/").slice(0, 3).join("/")),
        ).size,
      })
    }).pipe(Effect.provide(laboratory()), Effect.provide(Progress.silent)),
  )

  it.effect("finds nothing in an empty store", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* clean, { blobs: 0, bytes: 0, records: 0, cursors: 0 })
    }).pipe(Effect.provide(laboratory()), Effect.provide(Progress.silent)),
  )

  for (const [name, damage] of Object.entries(damages)) {
    for (const verified of [true, false]) {
      it.effect(
        `${verified ? "finds" : "is not needed to get over"} a file of each kind that is ${name}; the next run heals the store`,
        () =>
          Effect.gen(function* () {
            const { root } = yield* ArtifactStore
            const { computed: _, cached: __, ...before } = yield* runSingle(tiny)
            const files = filesBelow(root).filter((file) => !file.startsWith("runs"))
            const damaged = victims(root)
            yield* unprivileged(root)
            for (const { file, next } of damaged) damage(file, next)
            if (verified) {
              const found = yield* verify
              // A deleted entry makes its cursor shorter, a deleted record was never there, and what a deleted document
              // names is not known.
              assert.isAtLeast(found.damages.length, name === "deleted" ? 2 : damaged.length)
              for (const line of found.damages) assert.match(line, /^(artifact|record|entry) /)
            }
            const { computed, cached, ...after } = yield* retryDamaged(runSingle(tiny))
            assert.isAbove(computed.length, 0)
            assert.deepStrictEqual(after, before)
            if (!verified) {
              // A damage in what nobody has read is still there.
              yield* verify
              yield* runSingle(tiny)
            }
            assert.includeMembers([...filesBelow(root)], files)
            yield* clean
          }).pipe(Effect.provide(laboratory()), Effect.provide(Progress.silent)),
        120_000,
      )
    }
  }
})
