import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Result } from "effect"
import { map } from "../../src/pipelines/derive.ts"
import { evaluateAblation, evidenceOf } from "../../src/pipelines/evaluateAblation.ts"
import { Node } from "../../src/pipelines/Node.ts"
import { type PlannedAblation, planAblation } from "../../src/pipelines/planAblation.ts"
import { idle } from "./idle.ts"

const SEEDS = [42, 7]
const METRIC = "grok-step"

const declared = Result.getOrThrow(
  planAblation(
    "heads",
    {
      description: "heads",
      base: "single",
      seeds: SEEDS,
      measure: [METRIC],
      vary: { "model.heads": [1, 4] },
    },
    "paper",
    {},
  ),
)

/** An ablation of which one seed fails at once, in every cell, and the other takes its time; what has ended is in `ended`. */
const failing = () => {
  const ended: Array<string> = []
  const stage = (seed: number, label: string) =>
    new Node<number>(label, "stage", [], () =>
      seed === SEEDS[0]
        ? Effect.fail(new Error(`${label} failed`))
        : Effect.sleep(50).pipe(Effect.andThen(Effect.sync(() => ended.push(label)))),
    )
  const cells = declared.cells.map((cell) => ({
    ...cell,
    runs: cell.runs.map(({ seed, measures }) => ({
      seed,
      measures: measures.map((measure) => ({
        ...measure,
        value: map(stage(seed, `${cell.id}/${seed}`), (step): number | null => step),
      })),
    })),
  }))
  const ablation: PlannedAblation = { ...declared, cells }
  return { ablation, ended }
}

describe("an ablation in which a seed fails", () => {
  it.live("computes everything that does not depend on it, and says in each cell what failed", () =>
    Effect.gen(function* () {
      const { ablation, ended } = failing()
      const { cells } = yield* evaluateAblation(ablation, { failFast: false, isTolerable: () => true })
      assert.deepStrictEqual(ended.sort(), ["heads=1/7", "heads=4/7"])
      assert.deepStrictEqual(
        cells.map(({ failed }) => failed[METRIC]),
        ["heads=1/42 failed", "heads=4/42 failed"],
      )
    }).pipe(Effect.provide(idle())),
  )

  it.live("stops everything at once where that is asked for", () =>
    Effect.gen(function* () {
      const { ablation, ended } = failing()
      const exit = yield* Effect.exit(
        evaluateAblation(ablation, { failFast: true, isTolerable: () => false }),
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(ended, [])
    }).pipe(Effect.provide(idle())),
  )
})

describe("what an ablation's numbers are worth", () => {
  it("names what was set otherwise than in the paper, too", () => {
    const set = { "intervention.window": 64, block: "mlp" }
    assert.strictEqual(
      evidenceOf({ scale: "paper", set, seeds: [42, 7] }),
      'the paper\'s sizes but for what varies and intervention.window = 64 and block = "mlp"; seeds 42, 7',
    )
    assert.strictEqual(evidenceOf({ scale: "smoke", set, seeds: [42] }), "smoke: not evidence; seeds 42")
  })
})
