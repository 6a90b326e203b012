import { readFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Ablation } from "../../src/pipelines/Ablation.ts"
import { ablationNames, loadAblation } from "../../src/pipelines/ablations.ts"
import { nodesOf } from "../../src/pipelines/evaluateAblation.ts"
import { planAblation } from "../../src/pipelines/planAblation.ts"

const heads = {
  description: "heads",
  base: "single",
  seeds: [42, 7],
  measure: ["grok-step", "gradient-peak"],
  vary: { "model.heads": [1, 4] },
}

const planned = (declaration: unknown, set = {}) =>
  Result.getOrThrow(planAblation("heads", declaration, "paper", set))

const refusal = (declaration: unknown, set = {}) => {
  const outcome = planAblation("heads", declaration, "paper", set)
  if (Result.isSuccess(outcome)) throw new Error("nothing is wrong with it")
  return { where: outcome.failure.path.join("."), why: outcome.failure.message }
}

describe("a planned ablation", () => {
  it("has a cell for each combination, with its runs for every seed", () => {
    const { cells, axes, seeds } = planned(heads)
    assert.deepStrictEqual(
      cells.map(({ id, isBase, settings }) => ({ id, isBase, settings })),
      [
        { id: "heads=1", isBase: false, settings: { "model.heads": 1 } },
        { id: "heads=4", isBase: true, settings: { "model.heads": 4 } },
      ],
    )
    assert.deepStrictEqual(axes, [{ field: "model.heads", values: [1, 4] }])
    assert.deepStrictEqual(seeds, [42, 7])
    for (const { runs } of cells) {
      assert.deepStrictEqual(
        runs.map(({ seed, measures }) => [seed, measures.map(({ id }) => id)]),
        [
          [42, ["grok-step", "gradient-peak"]],
          [7, ["grok-step", "gradient-peak"]],
        ],
      )
    }
  })

  it("records one definition for each measure", () => {
    assert.deepStrictEqual(
      planned(heads).metrics.map(({ id, definition }) => [id, definition]),
      [
        ["grok-step", "step of test accuracy ≥ 0.98 seen 20 times"],
        ["gradient-peak", "R̄ of gradients of the loss: max over points; W = 20, K = 3, 40 points"],
      ],
    )
  })

  it("takes the paper's seeds first where it is told how many", () => {
    assert.deepStrictEqual(planned({ ...heads, seeds: 4 }).seeds, [42, 137, 2024, 1])
  })

  it("runs only what its measures need", () => {
    const stages = (measure: ReadonlyArray<string>) =>
      new Set(nodesOf(planned({ ...heads, measure })).map(({ stage }) => stage))
    assert.deepStrictEqual([...stages(["grok-step"])], ["generate-data", "train"])
    assert.isTrue(stages(["gradient-peak"]).has("measure-coupling"))
  })

  it("names fields in full where their last parts are the same", () => {
    const { cells } = planned({ ...heads, vary: { "capture.batchSize": [64], "train.batchSize": [64] } })
    assert.strictEqual(cells[0].id, "capture.batchSize=64 train.batchSize=64")
  })

  it("leaves out a control that is waived, and says why", () => {
    const ranks = {
      description: "ranks",
      base: "interventions",
      seeds: 1,
      measure: ["speedup"],
      vary: { "intervention.rank": [1] },
      waive: { noise: "too slow" },
    }
    const { cells, waived } = planned(ranks)
    const [{ beside }] = cells[0].runs[0].measures
    assert.notProperty(beside, "noise")
    assert.property(beside, "frozen")
    assert.deepStrictEqual(waived, { noise: "too slow" })
  })

  it("is set from outside over what it declares", () => {
    const { config } = planned(
      { ...heads, set: { "train.learningRate": 0.01 } },
      { "train.learningRate": 0.1 },
    )
    assert.nestedPropertyVal(config, "train.learningRate", 0.1)
  })

  it.each([
    ["no seeds", { seeds: undefined }, "seeds", "is missing"],
    ["a seed twice", { seeds: [1, 1] }, "seeds", "Expected every seed once"],
    ["no measure", { measure: [] }, "measure.0", "is missing"],
    ["an unknown measure", { measure: ["grok-stp"] }, "measure.0", "did you mean grok-step?"],
    [
      "an unknown field of a configuration",
      { vary: { "model.head": [1] } },
      "vary.model.head.0",
      "did you mean model.heads?",
    ],
    ["an unknown field of a declaration", { mesure: [] }, "mesure", "did you mean measure?"],
    [
      "a value that no model has",
      { vary: { "model.heads": [1, 3] } },
      "vary.model.heads.1",
      "divisor of width 128, got 3",
    ],
    [
      "a value of another kind",
      { set: { "train.learningRate": "fast" } },
      "set.train.learningRate",
      'Expected number, got "fast"',
    ],
    [
      "a value that is a structure",
      { vary: { "model.heads": [{ a: 1 }] } },
      "vary.model.heads.0",
      "Expected",
    ],
    ["seeds as a field", { vary: { seed: [1, 2] } }, "", "under seeds"],
    ["two ways to combine", { zip: { "model.heads": [1] } }, "", "Expected one of vary, zip and list"],
    ["no way to combine", { vary: undefined }, "", "got none"],
    [
      "axes of different lengths",
      { vary: undefined, zip: { "model.heads": [1, 2], "model.width": [64] } },
      "zip",
      "Expected",
    ],
    [
      "more than anyone meant",
      { vary: { "train.learningRate": Array(1001).fill(1e-3) } },
      "",
      "at most 1000",
    ],
    ["a combination twice", { vary: { "model.heads": [2, 2] } }, "", "every combination once"],
    [
      "to waive what is not there",
      { waive: { frozn: "why not" } },
      "waive.frozn",
      "there is no control frozn",
    ],
    [
      "a block that the model lacks",
      {
        base: "interventions",
        measure: ["speedup"],
        set: { "model.layers": 1 },
        vary: { block: ["layer-0", "layer-1-Q"] },
      },
      "vary.block.1",
      "layer-1-Q",
    ],
    ["another experiment", { base: "sigle" }, "base", '"single" | "interventions", got "sigle"'],
  ] as const)("refuses %s", (_, change, path, message) => {
    const declaration = Object.fromEntries(
      Object.entries({ ...heads, ...change }).filter(([, value]) => value !== undefined),
    )
    const { where, why } = refusal(declaration)
    assert.strictEqual(where, path)
    assert.include(why, message)
  })
})

describe("the combinators", () => {
  it("know the fields and their values when they are compiled", () => {
    const common = { description: "", seeds: 1, measure: ["grok-step"] } as const
    Ablation.of("single", common).vary({ "model.heads": [1, 2] })
    // @ts-expect-error there is no such field
    Ablation.of("single", common).vary({ "model.head": [1, 2] })
    // @ts-expect-error heads are numbers
    Ablation.of("single", common).vary({ "model.heads": ["two"] })
    // @ts-expect-error seeds are a policy, not a field
    Ablation.of("single", common).vary({ seed: [1, 2] })
    // @ts-expect-error seeds cannot be omitted
    Ablation.of("single", { description: "", measure: ["grok-step"] })
    // @ts-expect-error only interventions have arms
    Ablation.of("single", common).set({ "intervention.rank": 1 })
    Ablation.of("interventions", common).set({ "intervention.rank": 1 })
  })
})

describe("ablations that ship", () => {
  it.effect("are found by themselves, can be planned at every scale, and have ten lines or fewer", () =>
    Effect.gen(function* () {
      const names = yield* ablationNames
      assert.includeMembers(
        [...names],
        ["blocks", "heads", "intervention-rank", "modulus", "train-fraction", "weight-decay", "width"],
      )
      for (const name of names) {
        const declaration = yield* loadAblation(name)
        for (const scale of ["paper", "smoke"] as const) {
          const outcome = planAblation(name, declaration, scale)
          assert.isTrue(Result.isSuccess(outcome), `${name}, ${scale}: ${JSON.stringify(outcome)}`)
        }
        const file = join(import.meta.dirname, "../../src/pipelines/ablations", `${name}.ts`)
        assert.isAtMost(readFileSync(file, "utf8").trimEnd().split("\n").length, 10, name)
      }
    }).pipe(Effect.provide(NodeServices.layer)),
  )
})
