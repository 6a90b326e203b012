import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  type Claim,
  ClaimRow,
  correct,
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
import { artifact, constant, idle, stageWith } from "./idle.ts"

const perSeed = (...values: ReadonlyArray<number | null>) =>
  values.map((value, i) => ({ seed: [42, 137, 2024][i] ?? i, value }))

const quantityOf = (unit: string, ...values: ReadonlyArray<number | null>): Quantity => ({
  definition: "what was measured",
  unit,
  perSeed: perSeed(...values).map(({ seed, value }) => ({ seed, value: constant(value) })),
})

const claimOf = (changes: Partial<Claim> = {}): Claim => ({
  id: "a.claim",
  statement: "something holds",
  paper: { value: 10, source: "a test" },
  quantity: quantityOf(RATIO, 5, 10, 20),
  beside: {},
  judge: (measured, _, paper) => judgeMagnitude(paper, measured),
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

  it("has no interval for one seed, and for three one from the smallest to the largest", () => {
    assert.deepInclude(estimate(RATIO, perSeed(7, null)), { value: 7, low: null, high: null, n: 1 })
    const { low, high } = estimate(RATIO, perSeed(20, 5, 10))
    assertClose([low ?? Number.NaN, high ?? Number.NaN], [5, 20], 1e-12)
  })

  it("of a speed-up is 0 where one seed never got there, with an interval down to 0", () => {
    const never = estimate(SPEEDUP, perSeed(2, 0, 8))
    assert.deepInclude(never, { value: 0, low: 0, n: 3 })
    assertClose([never.high ?? Number.NaN], [8], 1e-12)
  })
})

describe("what stands beside a claim and fails", () => {
  const failing = read(constant(1), () => Effect.fail(new Error("the stage failed")))
  const beside: Quantity = {
    definition: "a control",
    unit: RATIO,
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
      const row = yield* Effect.provide(
        evaluateClaim(claim, evaluator(), () => true),
        idle(),
      )
      assert.deepStrictEqual(row.missing, [{ name: "control", because: "the stage failed" }])
      assert.deepStrictEqual(Object.keys(row.beside), ["other"])
      assert.strictEqual(row.verdict, "reproduced")
    }),
  )

  it.effect("never stands for the claim's own number", () =>
    Effect.gen(function* () {
      const own = claimOf({ quantity: beside })
      const evaluated = Effect.provide(
        evaluateClaim(own, evaluator(), () => true),
        idle(),
      )
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
      assert.strictEqual(row.verdict, "reproduced")
      assert.match(row.because, /factor 1\.00 from 10/)
      assert.deepInclude(row.beside["another way"], {
        definition: "what was measured",
        unit: "share",
        value: 0.5,
        n: 2,
      })
      assert.strictEqual(row.test, null)
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
      assert.deepInclude(row, { verdict: "partly", because: "3 3 10" })
    }),
  )

  it.effect("is the same after a round trip through JSON", () =>
    Effect.gen(function* () {
      const row = yield* evaluate(claimOf({ family: "one", quantity: quantityOf(SPEEDUP, 0, null, 2) }))
      const Json = Schema.fromJsonString(ClaimRow)
      assert.deepStrictEqual(
        Schema.decodeUnknownSync(Json)(yield* Schema.encodeUnknownEffect(Json)(row)),
        row,
      )
    }),
  )
})

describe("the sign test", () => {
  const testOf = (...values: ReadonlyArray<number | null>) =>
    Effect.map(
      evaluate(claimOf({ family: "one", quantity: quantityOf(SPEEDUP, ...values) })),
      ({ test }) => test,
    )

  it.effect("of three seeds on one side of 1 gives 0.25, the least that three can give", () =>
    Effect.gen(function* () {
      const least = { family: "one", p: 0.25, attainable: 0.25, adjusted: 0.25 }
      assert.deepStrictEqual(yield* testOf(2, 1.1, 9), least)
      assert.deepStrictEqual(yield* testOf(0.5, 0.9, 0.1), least)
    }),
  )

  it.effect("of two against one gives 1", () =>
    Effect.gen(function* () {
      assert.deepInclude(yield* testOf(2, 0.5, 3), { p: 1, attainable: 0.25 })
    }),
  )

  it.effect("counts an arm that never got there as slower", () =>
    Effect.gen(function* () {
      assert.deepInclude(yield* testOf(0, 0.5, 0.9), { p: 0.25 })
      assert.deepInclude(yield* testOf(0, 2, 3), { p: 1 })
    }),
  )

  it.effect("drops seeds at exactly 1 and seeds without a value", () =>
    Effect.gen(function* () {
      assert.deepInclude(yield* testOf(1, 2, 3), { p: 0.5, attainable: 0.5 })
      assert.deepInclude(yield* testOf(null, 2, 3), { p: 0.5, attainable: 0.5 })
      assert.deepInclude(yield* testOf(1, 1, 1), { p: 1, attainable: 1 })
    }),
  )

  it.effect("is not made without a family, or without values", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* evaluate(claimOf())).test, null)
      assert.strictEqual(yield* testOf(null, null, null), null)
    }),
  )
})

describe("Holm's correction", () => {
  const rowWith = (id: string, family: string | null, p: number): ClaimRow => ({
    ...untestedRow(claimOf({ id }), ""),
    test: family === null ? null : { family, p, attainable: 0.25, adjusted: p },
  })
  const adjusted = (rows: ReadonlyArray<ClaimRow>) =>
    correct(rows).map(({ test }) => (test === null ? null : test.adjusted))

  it("multiplies the smallest p of a family by its size, the next by one less, and never falls", () => {
    const ps = [0.04, 0.01, 0.03]
    // 3 · 0.01, then 2 · 0.03, then 1 · 0.04, which must not be below 0.06.
    assertClose(
      adjusted(ps.map((p, i) => rowWith(`c${i}`, "one", p))).map((p) => p ?? Number.NaN),
      [0.06, 0.03, 0.06],
      1e-12,
    )
  })

  it("is made within each family", () => {
    const rows = [
      rowWith("a", "one", 0.25),
      rowWith("b", "two", 0.25),
      rowWith("c", "one", 0.25),
      rowWith("d", null, 0.25),
    ]
    assert.deepStrictEqual(adjusted(rows), [0.5, 0.25, 0.5, null])
  })

  it("goes to 1 and no further, and leaves everything else as it was", () => {
    const rows = Array.from({ length: 5 }, (_, i) => rowWith(`c${i}`, "one", 0.25))
    assert.deepStrictEqual(adjusted(rows), [1, 1, 1, 1, 1])
    assert.deepStrictEqual(
      correct(rows).map(({ test, ...row }) => ({ ...row, p: test?.p })),
      rows.map(({ test, ...row }) => ({ ...row, p: test?.p })),
    )
  })
})

describe("the row of a claim whose stages failed", () => {
  const row = untestedRow(
    claimOf({ family: "one", quantity: quantityOf(STEPS, 1, 2, 3), beside: { other: quantityOf(RATIO, 1) } }),
    "the stage failed",
  )

  it("is not tested, and says why", () => {
    assert.deepInclude(row, { verdict: "not-tested", because: "the stage failed", test: null, artifacts: [] })
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
      perSeed: [{ seed: 1, value: map(coupling, ({ peak }): number | null => peak) }],
    },
    beside: {
      ratio: {
        definition: "",
        unit: RATIO,
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
