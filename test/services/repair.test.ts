import { rmSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { stages } from "../../src/pipelines/registry.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { Executor } from "../../src/services/executor/Executor.ts"
import { Progress } from "../../src/services/Progress.ts"
import { recomputable } from "../../src/services/recomputable.ts"
import { repair } from "../../src/services/repair.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { verify } from "../../src/services/verify.ts"
import { generateData } from "../../src/stages/generateData.ts"
import { laboratory, runSingle, tiny } from "../pipelines/tiny.ts"
import { filesBelow } from "./store/temporary.ts"

const services = () =>
  Layer.fresh(StageRunner.layer({ note: undefined }).pipe(Layer.provide(Executor.inProcess()))).pipe(
    Layer.provideMerge(Layer.mergeAll(laboratory(), Progress.silent)),
  )

const objects = (root: string, kind: RegExp) =>
  filesBelow(root)
    .filter((file) => file.startsWith("objects") && kind.test(file))
    .map((file) => join(root, file))

describe("repair", () => {
  it.effect(
    "computes anew what damaged and missing artifacts held, upstream first; the next run finds all",
    () =>
      Effect.gen(function* () {
        const { root } = yield* ArtifactStore
        const { couplings } = yield* runSingle(tiny)
        for (const file of objects(root, /json$/)) writeFileSync(file, "[]")
        for (const file of objects(root, /parquet$/)) rmSync(file)
        for (const file of objects(root, /safetensors$/).slice(0, 5)) truncateSync(file, 10)
        assert.isAbove((yield* verify).damages.length, 5)
        const { repaired, refused } = yield* repair(stages)
        assert.deepStrictEqual(refused, [])
        assert.isAbove(repaired.length, 5)
        assert.deepStrictEqual((yield* verify).damages, [])
        const after = yield* runSingle(tiny)
        assert.deepStrictEqual(after.computed, [])
        assert.deepStrictEqual(after.couplings, couplings)
        assert.deepStrictEqual(yield* repair(stages), { repaired: [], refused: [] })
      }).pipe(Effect.provide(services())),
    120_000,
  )

  it.effect(
    "refuses what other code computed, and what depends on it",
    () =>
      Effect.gen(function* () {
        const { root } = yield* ArtifactStore
        yield* runSingle(tiny)
        for (const file of objects(root, /parquet$|json$/)) rmSync(file)
        const changed = stages.map((stage) =>
          stage.name === "generate-data" ? recomputable({ ...generateData, version: 2 }) : stage,
        )
        const { repaired, refused } = yield* repair(changed)
        assert.deepStrictEqual(repaired, [])
        assert.match(
          refused[0],
          /^generate-data [0-9a-f]{12}: it was computed by other code; run its pipeline/,
        )
        assert.isAbove(refused.length, 3)
        for (const line of refused.slice(1))
          assert.match(line, /: its input is missing, too; run its pipeline/)
      }).pipe(Effect.provide(services())),
    120_000,
  )

  it.effect(
    "keeps the mark of what is no evidence",
    () =>
      Effect.gen(function* () {
        const { root, records, commitRecord } = yield* ArtifactStore
        yield* runSingle(tiny)
        for (const record of yield* records) {
          yield* commitRecord({
            ...record,
            provenance: { ...record.provenance, note: "smoke: not evidence" },
          })
        }
        for (const file of objects(root, /parquet$/)) rmSync(file)
        yield* repair(stages)
        for (const { provenance } of yield* records)
          assert.strictEqual(provenance.note, "smoke: not evidence")
      }).pipe(Effect.provide(services())),
    120_000,
  )
})
