import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as fc from "fast-check"
import {
  type Claim,
  ClaimRow,
  estimate,
  evaluateClaim,
  type Quantity,
  RATIO,
  SPEEDUP,
  STEPS,
  untestedRow,
  upstreamOf,
} from "../../src/pipelines/Claim.ts"
import { map, ratio, read, zip } from "../../src/pipelines/derive.ts"
import { evaluator } from "../../src/pipelines/Node.ts"
import { judgeMagnitude } from "../../src/pipelines/verdicts.ts"
import { assertClose } from "../model/close.ts"
import { estimateOf } from "../report/recompute.ts"
import { artifact, constant, idle, stageWith } from "./idle.ts"

const perSeed = (...values: ReadonlyArray<number | null>) =>
  values.map((value, i) => ({ seed: [42, 137, 2024][i] ?? i, value }))

const recipe = { table: "a-table", where: {}, column: "a", statistic: "value" } as const

const quantityOf = (unit: string, ...values: ReadonlyArray<number | null>): Quantity => ({
  definition: "what was measured",
  unit,
  recipe,
  perSeed: perSeed(...values).map(({ seed, value }) => ({ seed, value: constant(value) })),
})

const claimOf = (changes: Partial<Claim> = {}): Claim => ({
  id: "a.claim",
  isHeadline: false,
  short: "it holds",
  statement: "something holds",
  paper: { value: 10, source: "a test" },
  quantity: quantityOf(RATIO, 5, 10, 20),
  beside: {},
  controls: {},
  judge: (measured, _, paper) => judgeMagnitude(paper, measured),
  read: () => ({ verdict: "supported", because: "a control says so" }),
  ...changes,
})

const evaluate = (claim: Claim) => Effect.provide(evaluateClaim(claim, evaluator()), idle())

describe("an estimate", () => {
  it("of a ratio or a speed-up is the geometric mean over seeds", () => {
    for (const unit of [RATIO, SPEEDUP]) {
      const { value } = estimate(unit, perSeed(1, 10, 100))
      assertClose([value ?? Number.NaN], [10], 1e-12)
    }
  })

  it("of anything else is the arithmetic mean", () => {
    for (const unit of [STEPS, "share"]) assert.strictEqual(estimate(unit, perSeed(1, 10, 100)).value, 37)
  })

  it("leaves out seeds without a value, and counts the others", () => {
    const { value, n, perSeed: all } = estimate(STEPS, perSeed(1000, null, 3000))
    assert.deepStrictEqual({ value, n }, { value: 2000, n: 2 })
    assert.strictEqual(all.length, 3)
  })

  it("is null where no seed has a value", () => {
    assert.deepInclude(estimate(RATIO, perSeed(null, null)), { value: null, low: null, high: null, n: 0 })
    assert.deepInclude(estimate(RATIO, []), { value: null, n: 0 })
  })

  it("has no interval for one run, and for fewer than five their range, called that", () => {
    const one = estimate(RATIO, perSeed(7, null))
    assert.deepInclude(one, { value: 7, low: null, high: null, n: 1 })
    assert.notProperty(one, "interval")
    assert.deepInclude(estimate(RATIO, perSeed(20, 5, 10)), { low: 5, high: 20, interval: "range" })
    assert.deepInclude(estimate("share", perSeed(0.2, 0.1, 0.3, 0.4)), {
      low: 0.1,
      high: 0.4,
      interval: "range",
    })
  })

  it("of five runs or more has a t interval, for ratios on the log scale", () => {
    // The mean of 1 … 5 is 3 ± 2.776445 · √2.5 / √5.
    const { low, high, interval } = estimate("share", perSeed(1, 2, 3, 4, 5))
    assert.strictEqual(interval, "t")
    assertClose([low ?? Number.NaN, high ?? Number.NaN], [1.036757, 4.963243], 1e-6)
    const ratios = estimate(RATIO, perSeed(...[1, 2, 3, 4, 5].map(Math.exp)))
    assertClose(
      [ratios.value, ratios.low, ratios.high].map(Number),
      [3, 1.036757, 4.963243].map(Math.exp),
      1e-5,
    )
  })

  it("of ratios over all operations and seeds is pooled: what each has in common is no error", () => {
    const effect = { add: 0, sub: 1, mul: 2, x2_y2: 5 }
    const runs = Object.entries(effect).flatMap(([operation, shift], i) =>
      [0, 3, 7].map((seed, j) => ({
        seed,
        operation,
        // Residuals of ±0.1 that add up to 0 by operation and by seed.
        value: Math.exp(
          shift +
            seed +
            0.1 *
              [
                [1, -1, 0],
                [-1, 1, 0],
                [0, 1, -1],
                [0, -1, 1],
              ][i][j],
        ),
      })),
    )
    const { value, low, high, interval } = estimate(RATIO, runs)
    assert.strictEqual(interval, "pooled")
    const half = (2.446911851 * Math.sqrt((8 * 0.01) / 6)) / Math.sqrt(12)
    const mean = 2 + 10 / 3
    assertClose(
      [value, low, high].map((x) => Math.log(Number(x))),
      [mean, mean - half, mean + half],
      1e-8,
    )
    // A table with a hole is no table.
    assert.strictEqual(estimate(RATIO, runs.slice(1)).interval, "t")
  })

  it("of a speed-up is 0 where one run never got there, and has no interval", () => {
    assert.deepInclude(estimate(SPEEDUP, perSeed(2, 0, 8)), { value: 0, low: null, high: null, n: 3 })
  })

  it("of speed-ups over pairs has an exact permutation test, and says what it could have given at least", () => {
    const { test } = estimate(SPEEDUP, perSeed(2, 3, 2, 1.5, 2, 4))
    assert.deepStrictEqual(test, { p: 2 / 64, attainable: 2 / 64 })
    assert.strictEqual(estimate(SPEEDUP, perSeed(2, 3, 2)).test, undefined)
    assert.strictEqual(estimate(RATIO, perSeed(2, 3, 2, 1.5, 2, 4)).test, undefined)
  })
})

describe("an estimate, computed by other code", () => {
  /** Some operations and seeds, of which runs are missing now and then. */
  const tables = fc
    .record({
      unit: fc.constantFrom(RATIO, SPEEDUP, STEPS, "share"),
      operations: fc.integer({ min: 0, max: 4 }),
      seeds: fc.integer({ min: 1, max: 5 }),
      values: fc.array(
        fc.integer({ min: -400, max: 600 }).map((hundredths) => Math.exp(hundredths / 100)),
        {
          minLength: 20,
          maxLength: 20,
        },
      ),
      missing: fc.array(fc.nat({ max: 19 }), { maxLength: 2 }),
    })
    // More than ten pairs are many signs to try.
    .filter(({ unit, operations, seeds }) => unit !== SPEEDUP || operations * seeds <= 10)
    .map(({ unit, operations, seeds, values, missing }) => ({
      unit,
      perSeed: Array.from({ length: Math.max(1, operations) * seeds }, (_, i) => ({
        seed: i % seeds,
        ...(operations === 0 ? {} : { operation: `operation ${Math.floor(i / seeds)}` }),
        value: missing.includes(i) ? null : values[i],
      })),
    }))

  it("is the same: mean, interval and its kind, runs and test", () => {
    const kinds = new Set<string | undefined>()
    fc.assert(
      fc.property(tables, ({ unit, perSeed }) => {
        const [one, other] = [estimate(unit, perSeed), estimateOf(unit, perSeed)]
        kinds.add(one.interval)
        assert.strictEqual(one.interval, other.interval)
        assert.strictEqual(one.n, other.n)
        for (const key of ["value", "low", "high"] as const) {
          const [a, b] = [one[key], other[key]]
          if (a === null || b === null) assert.strictEqual(a, b)
          else assert.closeTo(a / b, 1, 1e-8, key)
        }
        assert.closeTo(one.test?.p ?? -1, other.test?.p ?? -1, 1e-12)
        assert.strictEqual(one.test?.attainable, other.test?.attainable)
      }),
      { numRuns: 500 },
    )
    assert.sameMembers([...kinds], [undefined, "range", "t", "pooled"])
  })
})

describe("what stands beside a claim and fails", () => {
  const failing = read(constant(1), () => Effect.fail(new Error("the stage failed")))
  const beside: Quantity = {
    definition: "a control",
    unit: RATIO,
    recipe,
    perSeed: [{ seed: 42, value: failing }],
  }
  const claim = claimOf({ beside: { control: beside, other: quantityOf(RATIO, 3) } })

  it.effect("fails the claim where nothing may be left out", () =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(evaluate(claim))
      assert.strictEqual(message, "the stage failed")
    }),
  )

  it.effect("is missing, with the reason, where it may be left out; the claim's own number stays", () =>
    Effect.gen(function* () {
      const row = yield* Effect.provide(evaluateClaim(claim, evaluator(), { leavesOut: () => true }), idle())
      assert.deepStrictEqual(row.missing, [{ name: "control", because: "the stage failed" }])
      assert.deepStrictEqual(Object.keys(row.beside), ["other"])
      assert.strictEqual(row.number?.verdict, "reproduced")
    }),
  )

  it.effect("never stands for the claim's own number", () =>
    Effect.gen(function* () {
      const own = claimOf({ quantity: beside })
      const evaluated = Effect.provide(evaluateClaim(own, evaluator(), { leavesOut: () => true }), idle())
      assert.strictEqual((yield* Effect.flip(evaluated)).message, "the stage failed")
    }),
  )
})

describe("a row", () => {
  it.effect("holds what was published, measured and judged, for every seed", () =>
    Effect.gen(function* () {
      const row = yield* evaluate(
        claimOf({ beside: { "another way": quantityOf("share", 0.25, 0.75, null) } }),
      )
      assert.strictEqual(row.id, "a.claim")
      assert.strictEqual(row.definition, "what was measured")
      assert.deepStrictEqual(row.paper, { value: 10, source: "a test" })
      assert.deepStrictEqual(row.measured.perSeed, perSeed(5, 10, 20))
      assert.strictEqual(row.number?.verdict, "reproduced")
      assert.match(row.number?.because ?? "", /factor 1\.00 from 10/)
      assert.deepStrictEqual(row.reading, { verdict: "supported", because: "a control says so" })
      assert.deepInclude(row.beside["another way"], {
        definition: "what was measured",
        unit: "share",
        value: 0.5,
        n: 2,
      })
    }),
  )

  it.effect("is judged with the numbers beside it at hand", () =>
    Effect.gen(function* () {
      const row = yield* evaluate(
        claimOf({
          beside: { control: quantityOf(RATIO, 3) },
          judge: (measured, { control }, paper) => ({
            verdict: "partly",
            because: `${measured.perSeed.length} ${control?.value} ${"value" in paper ? paper.value : ""}`,
          }),
        }),
      )
      assert.deepStrictEqual(row.number, { verdict: "partly", because: "3 3 10" })
    }),
  )

  it.effect("is the same after a round trip through JSON", () =>
    Effect.gen(function* () {
      const row = yield* evaluate(claimOf({ quantity: quantityOf(SPEEDUP, 0, null, 2) }))
      const Json = Schema.fromJsonString(ClaimRow)
      assert.deepStrictEqual(
        Schema.decodeUnknownSync(Json)(yield* Schema.encodeUnknownEffect(Json)(row)),
        row,
      )
    }),
  )
})

describe("a control", () => {
  it.effect("has a value and a word beside the claim, and is at hand for the reading", () =>
    Effect.gen(function* () {
      const row = yield* evaluate(
        claimOf({
          controls: { null: quantityOf(RATIO, 9), "of another unit": quantityOf("share", 0.5) },
          read: (others) => ({ verdict: "refuted", because: `${others.null?.value}` }),
        }),
      )
      assert.deepInclude(row.controls.null, { value: 9, compared: "about as high" })
      assert.deepInclude(row.controls["of another unit"], { value: 0.5, compared: "" })
      assert.deepStrictEqual(row.reading, { verdict: "refuted", because: "9" })
    }),
  )
})

describe("a claim that is not judged", () => {
  it.effect("has its numbers and no judgement", () =>
    Effect.gen(function* () {
      const row = yield* Effect.provide(evaluateClaim(claimOf(), evaluator(), { judges: false }), idle())
      assert.deepInclude(row, { number: null, reading: null })
      assertClose([row.measured.value ?? Number.NaN], [10], 1e-12)
      assert.deepInclude(untestedRow(claimOf(), "why", false), { number: null, reading: null })
    }),
  )
})

describe("the row of a claim whose stages failed", () => {
  const row = untestedRow(
    claimOf({ quantity: quantityOf(STEPS, 1, 2, 3), beside: { other: quantityOf(RATIO, 1) } }),
    "the stage failed",
  )

  it("is not tested, and says why", () => {
    const untested = { verdict: "not-tested", because: "the stage failed" }
    assert.deepStrictEqual([row.number, row.reading], [untested, untested])
    assert.deepStrictEqual(row.artifacts, [])
  })

  it("holds no number, and no seed that could be taken for one that never got there", () => {
    assert.deepInclude(row.measured, { value: null, low: null, high: null, n: 0, unit: STEPS, perSeed: [] })
    assert.deepStrictEqual(row.beside, {})
  })

  it("is a row like any other", () => {
    assert.deepStrictEqual(Schema.decodeUnknownSync(ClaimRow)(row), row)
  })
})

describe("the artifacts of a row", () => {
  const training = stageWith("train", { curve: artifact("a") })
  const coupling = stageWith("measure", { peak: 3, series: artifact("c"), deep: [artifact("b")] }, [training])
  const other = stageWith("measure other", { peak: 4, series: artifact("b") }, [training])
  const claim = claimOf({
    quantity: {
      definition: "",
      unit: RATIO,
      recipe,
      perSeed: [{ seed: 1, value: map(coupling, ({ peak }): number | null => peak) }],
    },
    beside: {
      ratio: {
        definition: "",
        unit: RATIO,
        recipe,
        perSeed: [
          {
            seed: 1,
            value: ratio(
              zip(coupling, other, (a, b): number | null => a.peak + b.peak),
              map(other, ({ peak }): number | null => peak),
            ),
          },
        ],
      },
    },
  })

  it.effect("are those of the nearest stages, each once, in order", () =>
    Effect.gen(function* () {
      const row = yield* evaluate(claim)
      assert.deepStrictEqual(row.artifacts, ["b".repeat(64), "c".repeat(64)])
      assert.strictEqual(row.measured.value, 3)
      assert.strictEqual(row.beside.ratio?.value, 7 / 4)
    }),
  )

  it("come from nodes that a plan can list", () => {
    const listed = new Set(upstreamOf(claim))
    for (const node of [training, coupling, other]) assert.isTrue(listed.has(node))
  })
})
