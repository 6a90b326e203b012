import { assert, describe, it } from "@effect/vitest"
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { f32Tensor, putJson, putTable, putTensors } from "../../src/services/artifacts.ts"
import { distance } from "../../src/services/distance.ts"
import { describeGrade, gradeOf, MOST_ULPS } from "../../src/services/Grade.ts"
import { temporaryStore } from "./store/temporary.ts"

const FAR = Number.POSITIVE_INFINITY
const ulp = 2 ** -23

const tensor = (...values: ReadonlyArray<number>) => putTensors({ x: f32Tensor(Float32Array.from(values)) })
const json = (value: unknown) => putJson(Schema.Unknown, value)

describe("the distance of two outputs", () => {
  it.effect.each([
    ["equal data", { a: [1, "x", null] }, { a: [1, "x", null] }, 0],
    ["a number that moved", { a: 1, b: 2 }, { b: 2, a: 1 + 3 * ulp }, 3],
    ["another text", { a: "x" }, { a: "y" }, FAR],
    ["a number and none", { a: 1 }, { a: null }, FAR],
    ["a field more", { a: 1 }, { a: 1, b: 1 }, FAR],
    ["another field", { a: 1 }, { b: 1 }, FAR],
    ["another length", [1], [1, 1], FAR],
    ["a list and an object", [1], { 0: 1 }, FAR],
  ] as const)("of %s", ([, a, b, expected]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* distance(a, b), expected)
      assert.strictEqual(yield* distance(b, a), expected)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("counts what artifacts hold, however deep they are", () =>
    Effect.gen(function* () {
      const one = yield* tensor(1, 2)
      assert.strictEqual(yield* distance({ run: one }, { run: yield* tensor(1, 2) }), 0)
      const near = yield* tensor(1 + 5 * ulp, 2)
      assert.strictEqual(yield* distance({ run: one }, { run: near }), 5)
      const lists = [yield* json([{ theta: one }]), yield* json([{ theta: near }])]
      assert.strictEqual(yield* distance(lists[0], lists[1]), 5)
      assert.strictEqual(yield* distance(one, yield* tensor(1, 2, 3)), FAR)
      assert.strictEqual(
        yield* distance(one, yield* putTensors({ y: f32Tensor(Float32Array.of(1, 2)) })),
        FAR,
      )
      assert.strictEqual(yield* distance(one, lists[0]), FAR)
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("counts the cells of tables, and does not take other bytes for the same", () =>
    Effect.gen(function* () {
      const rows = yield* putTable(table({ step: [1, 2], loss: [0.5, null], kind: ["a", "b"] }))
      const moved = yield* putTable(table({ step: [1, 2], loss: [0.5 + ulp, null], kind: ["a", "b"] }))
      assert.strictEqual(yield* distance(rows, moved), 2)
      const hardly = yield* putTable(table({ step: [1, 2], loss: [0.5 + 2 ** -50, null], kind: ["a", "b"] }))
      assert.strictEqual(yield* distance(rows, hardly), 1)
      const other = yield* putTable(table({ step: [1, 2], loss: [0.5, null], kind: ["a", "c"] }))
      assert.strictEqual(yield* distance(rows, other), FAR)
    }).pipe(Effect.provide(temporaryStore())),
  )
})

describe("the grade of a distance", () => {
  it.each([
    [0, "bitwise"],
    [1, "within 1 ulp"],
    [MOST_ULPS, "within 1024 ulp"],
    [MOST_ULPS + 1, "statistical only"],
    [FAR, "statistical only"],
  ])("of %d is %s", (distance, text) => {
    assert.strictEqual(describeGrade(gradeOf(distance)), text)
  })
})
