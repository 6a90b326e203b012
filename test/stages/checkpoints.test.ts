import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { getJson } from "../../src/services/artifacts.ts"
import { Progress } from "../../src/services/Progress.ts"
import { verify } from "../../src/services/verify.ts"
import { Trajectory } from "../../src/stages/contracts.ts"
import { laboratory, runSingle, tiny } from "../pipelines/tiny.ts"

it.live("moments that a trajectory leads to come back when they are gone", () =>
  Effect.gen(function* () {
    const store = yield* ArtifactStore
    const { run } = yield* runSingle(tiny)
    const kept = (yield* getJson(Trajectory, run.trajectory)).flatMap(({ moments }) => moments ?? [])
    assert.isNotEmpty(kept)
    for (const moments of kept) yield* store.drop(moments)
    const again = yield* runSingle(tiny)
    assert.deepStrictEqual(again.computed, ["train"])
    assert.deepStrictEqual(again.run, run)
    assert.deepStrictEqual((yield* verify).damages, [])
    assert.deepStrictEqual((yield* runSingle(tiny)).computed, [])
  }).pipe(Effect.provide(laboratory()), Effect.provide(Progress.silent)),
)
