import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Schema } from "effect"
import { stages } from "../../src/pipelines/registry.ts"
import { ArtifactRef } from "../../src/services/Artifact.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { f32Tensor, putTensors } from "../../src/services/artifacts.ts"
import { Executor } from "../../src/services/executor/Executor.ts"
import { describeGrade } from "../../src/services/Grade.ts"
import { Progress } from "../../src/services/Progress.ts"
import { type Recomputable, recomputable } from "../../src/services/recomputable.ts"
import { inputOf, rerun } from "../../src/services/rerun.ts"
import { stage } from "../../src/services/Stage.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { laboratory, runSingle, tiny } from "../pipelines/tiny.ts"
import { filesBelow } from "./store/temporary.ts"

/** A stage whose output is `drift()` ulps away each time. */
const drifting = (drift: () => number) =>
  stage({
    name: "drifting",
    version: 1,
    module: new URL("../../src/stages/generateData.ts", import.meta.url).href,
    input: Schema.Struct({ n: Schema.Int }),
    output: Schema.Struct({ tensor: ArtifactRef }),
    usesEngine: false,
    run: Effect.fnUntraced(function* ({ n }) {
      return { tensor: yield* putTensors({ x: f32Tensor(Float32Array.of(n * (1 + drift() * 2 ** -23))) }) }
    }),
  })

const runner = Layer.fresh(StageRunner.layer().pipe(Layer.provide(Executor.inProcess())))
const services = () => Layer.mergeAll(laboratory(), Progress.silent)

const gradesOf = Effect.fn("gradesOf")(function* (name: string, known: ReadonlyArray<Recomputable> = stages) {
  const { records } = yield* ArtifactStore
  const ofStage = (yield* records).filter((record) => record.stage === name)
  return yield* Effect.forEach(ofStage, (record) =>
    Effect.gen(function* () {
      const stage = known.find(({ name }) => name === record.stage)
      assert.isDefined(stage)
      const input = Option.getOrThrow(yield* inputOf(stage, record))
      return describeGrade(yield* rerun(stage, record, input, name))
    }),
  )
})

describe("computing again", () => {
  it.effect(
    "finds every stage of a run bitwise the same, stores that, and leaves nothing behind",
    () =>
      Effect.gen(function* () {
        const { root, record, records } = yield* ArtifactStore
        const before = yield* runSingle(tiny)
        const files = filesBelow(root)
        for (const { stage, key } of yield* records) {
          assert.deepStrictEqual([...new Set(yield* gradesOf(stage))], ["bitwise"], stage)
          const { provenance } = Option.getOrThrow(yield* record(stage, key))
          assert.deepStrictEqual(provenance.determinism?.grade, { _tag: "Bitwise" })
        }
        assert.deepStrictEqual(filesBelow(root), files)
        const { computed, ...after } = yield* runSingle(tiny)
        assert.deepStrictEqual(computed, [])
        assert.deepStrictEqual(after.couplings, before.couplings)
      }).pipe(Effect.provide(services())),
    120_000,
  )

  for (const [drift, grade] of [
    [7, "within 7 ulp"],
    [1e6, "statistical only"],
  ] as const) {
    it.effect(`finds a stage that is ${grade}, and keeps what was stored first`, () =>
      Effect.gen(function* () {
        let runs = 0
        const stage = drifting(() => drift * runs++)
        const { run } = yield* StageRunner
        const first = yield* run(stage, { n: 1 })
        assert.deepStrictEqual(yield* gradesOf(stage.name, [recomputable(stage)]), [grade])
        const again = yield* run(stage, { n: 1 })
        assert.deepStrictEqual({ ...again, cached: false }, first)
      }).pipe(Effect.provide(runner), Effect.provide(services())),
    )
  }

  it.effect("has no input where other code computed it", () =>
    Effect.gen(function* () {
      const stage = drifting(() => 0)
      const { records } = yield* ArtifactStore
      yield* Effect.flatMap(StageRunner, ({ run }) => run(stage, { n: 1 }))
      const [record] = yield* records
      assert.isTrue(Option.isSome(yield* inputOf(recomputable(stage), record)))
      assert.isTrue(Option.isNone(yield* inputOf(recomputable({ ...stage, version: 2 }), record)))
    }).pipe(Effect.provide(runner), Effect.provide(services())),
  )
})
