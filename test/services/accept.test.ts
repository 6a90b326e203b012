import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Schema } from "effect"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { accept } from "../../src/services/accept.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { Executor } from "../../src/services/executor/Executor.ts"
import { Progress } from "../../src/services/Progress.ts"
import { stage } from "../../src/services/Stage.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { digestOf } from "../../src/services/store/canonical.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { temporaryStore } from "./store/temporary.ts"

const engine = Layer.succeed(TensorEngine, {
  id: "untouched",
  version: Effect.succeed("1"),
  compile: () => Effect.die("compiled a program"),
  compileScan: () => Effect.die("compiled a scan"),
})

/** As if the code on disk had this fingerprint. */
const withCode = (fingerprint: string) =>
  Layer.merge(Layer.succeed(CodeFingerprint, { of: () => Effect.succeed(fingerprint) }), engine)

/** A stage, and the inputs that it was run on. */
const doubling = (version = 1) => {
  const runs: Array<number> = []
  const double = stage({
    name: "double",
    version,
    module: "file:///double.ts",
    input: Schema.Int,
    output: Schema.Int,
    usesEngine: false,
    run: (n) => Effect.sync(() => runs.push(n)).pipe(Effect.as(2 * n)),
  })
  return { double, runs }
}

const lines: Array<string> = []
const listening = Layer.succeed(Progress, {
  running: (_, effect) => effect,
  step: () => Effect.void,
  cached: () => Effect.void,
  plan: () => Effect.void,
  say: (line) => Effect.sync(() => lines.push(line)),
})

const runWith = (code: string, { double }: ReturnType<typeof doubling>, input: number) =>
  Effect.flatMap(StageRunner, ({ run }) => run(double, input, `double ${input}`)).pipe(
    Effect.provide(
      Layer.fresh(StageRunner.layer().pipe(Layer.provide(Executor.inProcess()))).pipe(
        Layer.provide([withCode(code), listening]),
      ),
    ),
  )

const acceptWith = (code: string, { double }: ReturnType<typeof doubling>) =>
  accept(double, "only a name was changed").pipe(Effect.provide(withCode(code)))

describe("accept", () => {
  it.effect("lets changed code use what the old code computed, and says so wherever that is used", () =>
    Effect.gen(function* () {
      const lab = doubling()
      for (const n of [1, 2]) yield* runWith("old", lab, n)
      assert.lengthOf(yield* acceptWith("new", lab), 2)
      lines.length = 0
      const { cached, key, output } = yield* runWith("new", lab, 2)
      assert.deepStrictEqual({ cached, output }, { cached: true, output: 4 })
      assert.deepStrictEqual(lab.runs, [1, 2])
      assert.deepStrictEqual(lines, [
        "double 2: computed by other code, accepted because only a name was changed",
      ])

      const { record } = yield* ArtifactStore
      const { preimage, provenance } = Option.getOrThrow(yield* record("double", key))
      assert.strictEqual(digestOf(preimage), key)
      assert.strictEqual(provenance.accepted?.because, "only a name was changed")
      const original = Option.getOrThrow(yield* record("double", provenance.accepted?.from ?? ""))
      assert.isUndefined(original.provenance.accepted)
      assert.strictEqual(provenance.seconds, original.provenance.seconds)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("changes nothing for the old code, and nothing the second time", () =>
    Effect.gen(function* () {
      const lab = doubling()
      yield* runWith("old", lab, 1)
      yield* acceptWith("new", lab)
      assert.deepStrictEqual(yield* acceptWith("new", lab), [])
      assert.deepStrictEqual(yield* acceptWith("old", lab), [])
      lines.length = 0
      assert.isTrue((yield* runWith("old", lab, 1)).cached)
      assert.deepStrictEqual(lines, [])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("leaves alone what the present code has computed itself", () =>
    Effect.gen(function* () {
      const lab = doubling()
      for (const code of ["old", "new"]) yield* runWith(code, lab, 1)
      assert.deepStrictEqual(yield* acceptWith("new", lab), [])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("accepts the same input once, and does not know other inputs", () =>
    Effect.gen(function* () {
      const lab = doubling()
      for (const code of ["oldest", "old"]) yield* runWith(code, lab, 1)
      assert.lengthOf(yield* acceptWith("new", lab), 1)
      assert.isFalse((yield* runWith("new", lab, 7)).cached)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("refuses outputs of another version of the stage", () =>
    Effect.gen(function* () {
      yield* runWith("old", doubling(1), 1)
      assert.deepStrictEqual(yield* acceptWith("new", doubling(2)), [])
    }).pipe(Effect.provide(temporaryStore())),
  )
})
