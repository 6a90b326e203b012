import { assert, describe, it } from "@effect/vitest"
import { estimate, RATIO, SPEEDUP, STEPS } from "../../src/pipelines/Claim.ts"
import {
  digits,
  estimateText,
  intervalsText,
  publishedText,
  seedText,
} from "../../src/report/estimateText.ts"

const of = (unit: string, ...values: ReadonlyArray<number | null>) =>
  estimateText(
    estimate(
      unit,
      values.map((value, seed) => ({ seed, value })),
    ),
  )

describe("a number", () => {
  it("has three significant digits, and is whole from 100 on", () => {
    assert.deepStrictEqual([0.004_783, 0.5, 2.2, 2.345, 99.94, 100.4, 3358, 13_579.6, 0].map(digits), [
      "0.00478",
      "0.5",
      "2.2",
      "2.35",
      "99.9",
      "100",
      "3,358",
      "13,580",
      "0",
    ])
  })
})

describe("an estimate", () => {
  it("is the mean over seeds, its interval and how many they are", () => {
    assert.strictEqual(of(RATIO, 99, 113, 131), "114 [99, 131] n=3")
    assert.strictEqual(of(SPEEDUP, 2, 2.2, 2.4), "2.19× [2, 2.4] n=3")
    assert.strictEqual(of(STEPS, 3300, 3400), "3,350 steps [3,300, 3,400] n=2")
    assert.strictEqual(of("share", 0.3), "0.3 n=1")
  })

  it("of a ratio leaves out seeds without a value, and counts the others", () => {
    assert.strictEqual(of(RATIO, 7, null), "7 n=1")
    assert.strictEqual(of(RATIO, null, null), "–")
    assert.strictEqual(of(RATIO), "–")
  })

  it("of a speed-up says never where an arm did not grok, and means those that did", () => {
    assert.strictEqual(of(SPEEDUP, 0, 2, 8), "4× in 2 of 3, else never")
    assert.strictEqual(of(SPEEDUP, 0, 0, 0), "never in 3 of 3")
    assert.strictEqual(of(SPEEDUP, 0), "never n=1")
  })

  it("of a speed-up does not count a seed whose natural run did not grok", () => {
    assert.strictEqual(of(SPEEDUP, null, 0, 3), "3× in 1 of 2, else never")
    assert.strictEqual(of(SPEEDUP, null, 2, 2), "2× [2, 2] n=2")
  })

  it("of steps says never where a run did not grok", () => {
    assert.strictEqual(of(STEPS, 3300, null, 3500), "3,400 steps in 2 of 3, else never")
    assert.strictEqual(of(STEPS, null), "never n=1")
  })

  it("of a share or a ratio of 0 is 0", () => {
    assert.strictEqual(of("share", 0, 0), "0 [0, 0] n=2")
  })
})

describe("what an interval is", () => {
  const runs = (count: number, operations: ReadonlyArray<string | undefined> = [undefined]) =>
    estimate(
      RATIO,
      operations.flatMap((operation, i) =>
        Array.from({ length: count }, (_, seed) => ({
          seed,
          ...(operation === undefined ? {} : { operation }),
          value: 2 + seed + 0.1 * i * seed,
        })),
      ),
    )

  it("is the range of few seeds, Student's t of more, and pooled where there are operations", () => {
    assert.strictEqual(intervalsText([runs(3)]), "the smallest and largest seed")
    assert.strictEqual(intervalsText([runs(6)]), "95 % by Student's t")
    assert.strictEqual(
      intervalsText([runs(3, ["add", "mul"])]),
      "95 % by Student's t, pooled over operations and seeds",
    )
  })

  it("is a bootstrap's where the estimate is of former times, and none of one seed", () => {
    const { interval: _, ...former } = runs(3)
    assert.match(intervalsText([former]), /^95 % of a bootstrap over seeds/)
    assert.strictEqual(intervalsText([runs(1)]), "none, of one seed")
    assert.strictEqual(intervalsText([]), "none, of one seed")
  })

  it("is named once for each kind", () => {
    assert.strictEqual(
      intervalsText([runs(3), runs(6), runs(3), runs(1)]),
      "the smallest and largest seed; or 95 % by Student's t",
    )
  })
})

describe("a seed's value", () => {
  it("is never where its run did not grok, and a dash where it has none", () => {
    assert.strictEqual(seedText(SPEEDUP, 0), "never")
    assert.strictEqual(seedText(STEPS, null), "never")
    assert.strictEqual(seedText(SPEEDUP, null), "–")
    assert.strictEqual(seedText(RATIO, null), "–")
    assert.strictEqual(seedText(RATIO, 0.5), "0.5")
    assert.strictEqual(seedText(SPEEDUP, 2.2), "2.2×")
  })
})

describe("what was published", () => {
  const source = "a test"

  it("is a value, a range, a bound or a statement", () => {
    assert.strictEqual(publishedText({ value: 3358, source }), "3,358")
    assert.strictEqual(publishedText({ value: 2.2, source }, SPEEDUP), "2.2×")
    assert.strictEqual(publishedText({ low: 100, high: 330, source }), "100 – 330")
    assert.strictEqual(publishedText({ atMost: 1, source }), "≤ 1")
    assert.strictEqual(publishedText({ statement: "so it is", source }), "so it is")
  })
})
