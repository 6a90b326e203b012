import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { apply } from "../../src/numerics/modular.ts"
import { stream } from "../../src/numerics/random.ts"
import type { Dataset, ProbeConfig } from "../../src/stages/contracts.ts"
import { generateData } from "../../src/stages/generateData.ts"
import { draw, loadPairs } from "../../src/stages/pairs.ts"
import { asProbes, drawProbes, problemOfProbes, tablePairs } from "../../src/stages/probes.ts"
import { temporaryStore } from "../services/store/temporary.ts"
import { memoryCursor } from "./tinyRun.ts"

const modulus = 7
const config: ProbeConfig = { probes: 400, epsilon: 0, centroid: "correct-logit", from: "table", task: 0 }

const generate = (operations: Dataset["operations"]) =>
  generateData.run(
    { operations, modulus, trainFraction: 0.5, labels: "true", seed: 42 },
    memoryCursor().cursor,
  )

describe("the probes of a run", () => {
  it.effect("are pairs of the table with their labels, the same each time", () =>
    Effect.gen(function* () {
      const data = yield* generate(["sub"])
      const probes = yield* drawProbes(data, config, 42)
      const { all } = yield* loadPairs(data)
      assert.deepStrictEqual(probes, draw(all, stream(42, "probe"), 400))
      assert.deepStrictEqual(yield* drawProbes(data, config, 42), probes)
      assert.notDeepEqual(yield* drawProbes(data, config, 43), probes)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("of a task name the logit of its head", () =>
    Effect.gen(function* () {
      const data = yield* generate(["add", "sub", "mul"])
      for (const [task, operation] of (["add", "sub", "mul"] as const).entries()) {
        const { a, b, label } = yield* drawProbes(data, { ...config, task }, 42)
        for (const i of a.keys()) {
          assert.strictEqual(label[i], task * modulus + apply(operation, a[i], b[i], modulus))
        }
      }
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("leave out what the table leaves out, unless they come from the grid", () =>
    Effect.gen(function* () {
      const data = yield* generate(["add", "mul"])
      const table = yield* drawProbes(data, config, 42)
      const grid = yield* drawProbes(data, { ...config, from: "grid", task: 1 }, 42)
      assert.notInclude(Array.from(table.a), 0)
      assert.deepStrictEqual([...new Set(grid.a)].sort(), [0, 1, 2, 3, 4, 5, 6])
      assert.deepStrictEqual([...new Set(grid.b)].sort(), [0, 1, 2, 3, 4, 5, 6])
      for (const i of grid.a.keys()) {
        assert.strictEqual(grid.label[i], modulus + ((grid.a[i] * grid.b[i]) % modulus))
      }
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("can be every pair of the table once", () =>
    Effect.gen(function* () {
      const data = yield* generate(["add", "mul"])
      const pairs = yield* tablePairs(data, 1)
      assert.lengthOf(pairs.a, 36)
      assert.strictEqual(new Set(Array.from(pairs.a, (first, i) => first * modulus + pairs.b[i])).size, 36)
      assert.deepStrictEqual(
        Array.from(pairs.label),
        Array.from(pairs.a, (first, i) => (first * pairs.b[i]) % modulus),
      )
      assert.deepStrictEqual(
        asProbes(pairs, data, 1).label,
        pairs.label.map((value) => modulus + value),
      )
    }).pipe(Effect.provide(temporaryStore())),
  )

  it("need a head, and a label for each pair", () => {
    const check = (task: number, from: ProbeConfig["from"], labels: Dataset["labels"]) =>
      problemOfProbes({ data: { operations: ["add", "sub"], labels }, probe: { task, from } })
    assert.isTrue(check(1, "grid", "true"))
    assert.isTrue(check(0, "table", "shuffled"))
    assert.deepInclude(check(2, "table", "true"), { path: ["probe", "task"] })
    assert.deepInclude(check(0, "grid", "shuffled"), { path: ["probe", "from"] })
  })
})
