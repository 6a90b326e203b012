import { assert, describe, it } from "@effect/vitest"
import { laws } from "../../src/pipelines/costs.ts"
import { stages } from "../../src/pipelines/registry.ts"
import { paper } from "../../src/pipelines/sizes.ts"

const { train, model } = paper
const data = { operations: ["add"], modulus: 97, pairCount: 9409 }
const input = { data, model, train, seed: 42 }
const grokked = { checkpoints: 121, stopStep: 3000, model: { ...model, modulus: 97, tasks: 1 } }

describe("the laws of cost", () => {
  it("are those of stages that exist", () => {
    assert.includeMembers(
      stages.map(({ name }) => name),
      Object.keys(laws),
    )
  })

  it("expect a training to end where its neighbour did, at the latest at its last step", () => {
    const law = laws.train
    const longer = { ...input, train: { ...train, maxSteps: 16_000 } }
    const shorter = { ...input, train: { ...train, maxSteps: 1000 } }
    assert.strictEqual(Object(law.likely?.(longer, grokked, input)).checkpoints, 121)
    assert.strictEqual(Object(law.likely?.(shorter, grokked, input)).checkpoints, 41)
    assert.strictEqual(Object(law.costliest?.(input, grokked)).checkpoints, 321)
    assert.strictEqual(Object(law.likely?.(longer, { ...grokked, stopStep: null }, input)).checkpoints, 641)
  })

  it("expect a training whose weights decay less in a step to take longer, as those of the paper's run do", () => {
    const law = laws.train
    const steps = (change: Partial<typeof train>, before: unknown = input) =>
      Object(law.likely?.({ ...input, train: { ...train, maxSteps: 1e6, ...change } }, grokked, before))
        .stopStep
    // Stored: 7,850 steps with a decay of 0.3, 3,300 with 1.
    assert.approximately(steps({ weightDecay: 0.3 }) / 3000, 7850 / 3300, 0.1)
    assert.strictEqual(steps({ learningRate: 3e-4 }), steps({ weightDecay: 0.3 }))
    assert.isBelow(steps({ learningRate: 2e-3 }), 3000)
    for (const change of [{}, { weightDecay: 0 }, { optimizer: "sgd" }] as const)
      assert.strictEqual(steps(change), 3000)
    assert.strictEqual(steps({}, {}), 3000)
    // One that never grokked says so only of trainings that are no faster.
    const never = { ...grokked, stopStep: null }
    const faster = { ...input, train: { ...train, weightDecay: 3 } }
    assert.isBelow(Object(law.likely?.(faster, never, input)).stopStep, train.maxSteps)
    assert.isNull(Object(law.likely?.(input, never, faster)).stopStep)
  })

  it("let a training cost what its steps do, and only those that are left", () => {
    const law = laws.train
    const work = law.work?.(input, grokked)
    assert.strictEqual(work?.count, 3000)
    assert.deepStrictEqual(law.work?.(input, { ...grokked, stopStep: 6000 }), { ...work, count: 6000 })
    const larger = { ...input, train: { ...train, batchSize: 1024 } }
    assert.isAbove(law.work?.(larger, grokked)?.size ?? 0, 1.5 * (work?.size ?? 1))
    assert.strictEqual(law.left?.(input, grokked, 61), 0.5)
    assert.strictEqual(law.left?.(input, grokked, 200), 0)
  })

  it("say nothing of inputs that they cannot read", () => {
    for (const { work, size, left } of Object.values(laws)) {
      assert.isUndefined(work?.({}, {}))
      assert.isUndefined(size?.({}, {}))
      if (left !== undefined) assert.isAtMost(left({}, {}, 3), 1)
    }
  })
})
