import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  areAlike,
  compared,
  judgeAssertion,
  judgeDifference,
  judgeEach,
  judgeMagnitude,
  judgeSpeedup,
  LIMITS,
  type Measured,
  type Published,
  readAggregation,
  readCadence,
  readRankZero,
  readRemoval,
  readRho,
  speedClass,
  type Verdict,
} from "../../src/pipelines/verdicts.ts"

const source = "a test"

/** One value for each seed, and the mean that is judged. */
const seeds = (value: number | null, perSeed: ReadonlyArray<number | null> = [value]): Measured => ({
  value,
  low: null,
  high: null,
  perSeed: perSeed.map((one, i) => ({ seed: i, value: one })),
})

/** A mean with its interval. */
const spanning = (low: number, high: number): Measured => ({ ...seeds(Math.sqrt(low * high)), low, high })

/** One value for each run, and their mean. */
const runs = (...values: ReadonlyArray<number>): Measured =>
  seeds(values.reduce((sum, value) => sum + value, 0) / values.length, values)

const magnitude = (published: Published, measured: Measured): Verdict =>
  judgeMagnitude(published, measured).verdict

const best: Record<Verdict, number> = { reproduced: 3, partly: 2, "not-reproduced": 1, "not-tested": 0 }

/** Numbers over six orders of magnitude. */
const positive = fc.double({ min: -3, max: 3, noNaN: true }).map((exponent) => 10 ** exponent)

describe("the thresholds", () => {
  it("are those that were written down before the results were seen", () => {
    assert.deepStrictEqual(LIMITS, {
      magnitude: { reproduced: 1.5, partly: 3, slack: 1.25, bound: 2 },
      speedup: { faster: 1.1, slower: 0.9, reproduced: 0.25 },
      difference: { reproduced: 0.05, partly: 0.2 },
      rho: { supported: 2, refuted: 1.25 },
      equivalence: 0.1,
      aggregation: { refuted: 0.8, supported: 0.5 },
      removedEnergy: 0.5,
      definition: 0.5,
      robustness: 0.5,
      fivePercent: 0.05,
      window: { above: 100, from: 20 },
      directionalVariance: 0.05,
      normRatio: 0.01,
      rank3Energy: 0.95,
      suffices: 1,
    })
  })
})

describe("a published value of a magnitude", () => {
  const published = { value: 200, source }

  it("is reproduced by a mean within a factor 1.5, partly within a factor 3, else not-reproduced", () => {
    for (const [value, verdict] of [
      [200, "reproduced"],
      [299.9, "reproduced"],
      [300, "reproduced"],
      [300.1, "partly"],
      [133.4, "reproduced"],
      [133.3, "partly"],
      [600, "partly"],
      [600.1, "not-reproduced"],
      [66.7, "partly"],
      [66.6, "not-reproduced"],
      [1e-9, "not-reproduced"],
    ] as const) {
      assert.strictEqual(magnitude(published, seeds(value)), verdict, String(value))
    }
  })

  it("is judged by the mean alone, whatever the seeds", () => {
    assert.strictEqual(magnitude(published, seeds(200, [1, 200, 40_000])), "reproduced")
    assert.strictEqual(magnitude(published, seeds(1000, [200, 200, 125_000])), "not-reproduced")
  })

  it("is as far from x as from p² / x", () => {
    fc.assert(
      fc.property(positive, positive, (p, x) => {
        const off = Math.max(x / p, p / x)
        // At a threshold itself rounding decides.
        fc.pre([1.5, 3].every((threshold) => Math.abs(off / threshold - 1) > 1e-9))
        const of = (value: number) => magnitude({ value: p, source }, seeds(value))
        assert.strictEqual(of(x), of((p * p) / x))
      }),
    )
  })

  it("does not depend on the unit", () => {
    fc.assert(
      fc.property(positive, positive, positive, (p, x, unit) => {
        const off = Math.max(x / p, p / x)
        fc.pre([1.5, 3].every((threshold) => Math.abs(off / threshold - 1) > 1e-9))
        assert.strictEqual(
          magnitude({ value: p * unit, source }, seeds(x * unit)),
          magnitude({ value: p, source }, seeds(x)),
        )
      }),
    )
  })

  it("has no better verdict farther away", () => {
    fc.assert(
      fc.property(positive, positive, fc.double({ min: 0, max: 1, noNaN: true }), (p, x, share) => {
        // Between x and p on a log scale.
        const nearer = p * (x / p) ** share
        const of = (value: number) => best[magnitude({ value: p, source }, seeds(value))]
        assert.isAtLeast(of(nearer), of(x))
      }),
    )
  })

  it("is not-reproduced by a mean of 0, in words", () => {
    const { verdict, because } = judgeMagnitude(published, seeds(0))
    assert.strictEqual(verdict, "not-reproduced")
    assert.notMatch(because, /Infinity|NaN/)
  })

  it("says by which factor the mean is off", () => {
    assert.match(judgeMagnitude(published, seeds(100)).because, /mean 100 is a factor 2\.00 from 200/)
    assert.match(judgeMagnitude(published, seeds(400)).because, /mean 400 is a factor 2\.00 from 200/)
  })
})

describe("a published range of a magnitude", () => {
  const published = { low: 100, high: 330, source }

  it("is reproduced where every seed lies in it, give or take a factor 1.25", () => {
    assert.strictEqual(magnitude(published, seeds(200, [80, 200, 412.5])), "reproduced")
    assert.strictEqual(magnitude(published, seeds(200, [79.9, 200, 300])), "partly")
    assert.strictEqual(magnitude(published, seeds(200, [100, 200, 412.6])), "partly")
  })

  it("is partly where the mean lies in it, give or take a factor 3", () => {
    assert.strictEqual(magnitude(published, seeds(33.4)), "partly")
    assert.strictEqual(magnitude(published, seeds(33.3)), "not-reproduced")
    assert.strictEqual(magnitude(published, seeds(990)), "partly")
    assert.strictEqual(magnitude(published, seeds(990.1)), "not-reproduced")
  })

  it("counts only seeds that have a value", () => {
    const { verdict, because } = judgeMagnitude(published, seeds(200, [null, 200, null]))
    assert.strictEqual(verdict, "reproduced")
    assert.match(because, /1 of 1 runs/)
  })

  it("has no better verdict when every seed moves away from it", () => {
    fc.assert(
      fc.property(
        fc.array(positive, { minLength: 1, maxLength: 4 }),
        fc.double({ min: 1, max: 100, noNaN: true }),
        fc.boolean(),
        (factors, away, up) => {
          const geometric = (xs: ReadonlyArray<number>) =>
            Math.exp(xs.reduce((sum, x) => sum + Math.log(x), 0) / xs.length)
          const of = (xs: ReadonlyArray<number>) => best[magnitude(published, seeds(geometric(xs), xs))]
          // All seeds on the side of the range towards which they move.
          const xs = factors.map((factor) => (up ? 200 * Math.max(1, factor) : 200 * Math.min(1, factor)))
          assert.isAtMost(of(xs.map((x) => (up ? x * away : x / away))), of(xs))
        },
      ),
    )
  })
})

describe("a published upper bound", () => {
  const published = { atMost: 1, source }

  it("is reproduced where every seed is below it, give or take a factor 1.25", () => {
    assert.strictEqual(magnitude(published, seeds(1, [0.8, 1.25])), "reproduced")
    assert.strictEqual(magnitude(published, seeds(0, [0])), "reproduced")
    assert.strictEqual(magnitude(published, seeds(1, [0.8, 1.26])), "partly")
  })

  it("is partly where the mean is below twice the bound", () => {
    assert.strictEqual(magnitude(published, seeds(2)), "partly")
    assert.strictEqual(magnitude(published, seeds(2.01)), "not-reproduced")
  })

  it("has no better verdict for larger values", () => {
    fc.assert(
      fc.property(positive, fc.double({ min: 1, max: 1000, noNaN: true }), (x, larger) => {
        const of = (value: number) => best[magnitude(published, seeds(value))]
        assert.isAtMost(of(x * larger), of(x))
      }),
    )
  })
})

describe("the class of a speed-up", () => {
  it("is faster from 1.1, slower to 0.9, else unchanged", () => {
    assert.deepStrictEqual([1.1, 1.0999, 1, 0.9001, 0.9, 0].map(speedClass), [
      "faster",
      "unchanged",
      "unchanged",
      "unchanged",
      "slower",
      "slower",
    ])
  })
})

describe("a published speed-up", () => {
  const verdict = (published: number, value: number | null) => judgeSpeedup(published, seeds(value)).verdict

  it("is reproduced in its class and within 25 %, partly in its class alone, not-reproduced in another", () => {
    for (const [value, expected] of [
      [2, "reproduced"],
      [2.5, "reproduced"],
      [2.51, "partly"],
      [1.5, "reproduced"],
      [1.49, "partly"],
      [1.1, "partly"],
      [1.09, "not-reproduced"],
      [0, "not-reproduced"],
      [100, "partly"],
    ] as const) {
      assert.strictEqual(verdict(2, value), expected, String(value))
    }
  })

  it("of 1 is reproduced by whatever is unchanged", () => {
    assert.strictEqual(verdict(1, 0.91), "reproduced")
    assert.strictEqual(verdict(1, 1.09), "reproduced")
    assert.strictEqual(verdict(1, 1.1), "not-reproduced")
    assert.strictEqual(verdict(1, 0.9), "not-reproduced")
  })

  it("near the edge of its class is not-reproduced by a nearby value in another", () => {
    assert.strictEqual(verdict(1.21, 1.05), "not-reproduced")
    assert.strictEqual(verdict(1.21, 1.12), "reproduced")
  })

  it("has no better verdict farther away on the same side", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 10, noNaN: true }),
        fc.double({ min: 0, max: 10, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (published, x, share) => {
          const nearer = published + share * (x - published)
          assert.isAtLeast(best[verdict(published, nearer)], best[verdict(published, x)])
        },
      ),
    )
  })

  it("is not tested where the natural run did not grok", () => {
    assert.strictEqual(verdict(2.2, null), "not-tested")
  })

  it("says never, and of how many seeds, where an arm did not grok", () => {
    const { because } = judgeSpeedup(2.2, seeds(0, [2.2, 0, 2.3]))
    assert.match(because, /^never grokked in 1 of 3 runs/)
    assert.notMatch(because, /0\.00×/)
  })
})

describe("an assertion", () => {
  const judge = (...holds: ReadonlyArray<boolean | null>) =>
    judgeAssertion(holds.map((one, i) => ({ name: `case ${i}`, holds: one })))

  it("is reproduced where every case meets it, partly where some do, not-reproduced where none does", () => {
    assert.strictEqual(judge(true, true).verdict, "reproduced")
    assert.strictEqual(judge(true, false).verdict, "partly")
    assert.strictEqual(judge(false, false).verdict, "not-reproduced")
    assert.strictEqual(judge(true).verdict, "reproduced")
    assert.strictEqual(judge(false).verdict, "not-reproduced")
  })

  it("does not count cases that no run yields, but names them", () => {
    const { verdict, because } = judge(true, null, true)
    assert.strictEqual(verdict, "reproduced")
    assert.strictEqual(because, "holds in all 2 cases (not tested: case 1)")
    assert.strictEqual(judge(false, null).verdict, "not-reproduced")
  })

  it("is not tested without cases", () => {
    assert.strictEqual(judge().verdict, "not-tested")
    assert.strictEqual(judge(null, null).verdict, "not-tested")
  })

  it("names the cases that fail, and no others", () => {
    assert.strictEqual(judge(false, true, false).because, "fails in 2 of 3 cases: case 0; case 2")
  })

  it("has no worse verdict when a failing case is met", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }), fc.nat(), (cases, at) => {
        const met = cases.with(at % cases.length, true)
        assert.isAtLeast(best[judge(...met).verdict], best[judge(...cases).verdict])
      }),
    )
  })
})

describe("without a value", () => {
  it("nothing is tested", () => {
    for (const published of [
      { value: 1, source },
      { low: 1, high: 2, source },
      { atMost: 1, source },
      { statement: "something", source },
    ]) {
      assert.strictEqual(magnitude(published, seeds(null)), "not-tested")
    }
  })
})

describe("cases judged by their means", () => {
  it("are named with their value where they fail, and not tested where no run yields one", () => {
    const cases = [
      ["a", { value: 1 }],
      ["b", { value: 3 }],
      ["c", { value: null }],
      ["d", undefined],
    ] as const
    assert.deepStrictEqual(
      judgeEach(cases, (x) => x > 2),
      { verdict: "partly", because: "fails in 1 of 2 cases: a 1 (not tested: c; d)" },
    )
  })
})

describe("a difference", () => {
  it("is reproduced to 0.05, partly to 0.2, from a value or from the nearer end of a range", () => {
    const value = { value: 0.85, source }
    assert.strictEqual(judgeDifference(value, seeds(0.81)).verdict, "reproduced")
    assert.strictEqual(judgeDifference(value, seeds(0.7)).verdict, "partly")
    assert.strictEqual(judgeDifference(value, seeds(0.6)).verdict, "not-reproduced")
    const range = { low: 0.05, high: 0.35, source }
    assert.strictEqual(judgeDifference(range, seeds(0.2)).verdict, "reproduced")
    assert.strictEqual(judgeDifference(range, seeds(0.39)).verdict, "reproduced")
    assert.strictEqual(judgeDifference(range, seeds(0.5)).verdict, "partly")
    assert.strictEqual(judgeDifference(range, seeds(null)).verdict, "not-tested")
  })
})

describe("the reading of a claim about gradients", () => {
  const reading = (low: number, high: number) => readRho(spanning(low, high)).verdict

  it("is supported where the whole interval of ρ lies above 2, refuted where it lies below 1.25", () => {
    assert.strictEqual(reading(2.01, 9), "supported")
    assert.strictEqual(reading(1.99, 9), "not-supported")
    assert.strictEqual(reading(1.1, 1.24), "refuted")
    assert.strictEqual(reading(1.1, 1.26), "not-supported")
    assert.strictEqual(reading(0.5, 4), "not-supported")
  })

  it("goes by the value of a single run, which has no interval", () => {
    assert.strictEqual(readRho(seeds(2.5)).verdict, "supported")
    assert.strictEqual(readRho(seeds(1.2)).verdict, "refuted")
  })

  it("is decided by neither threshold itself", () => {
    assert.strictEqual(reading(2, 9), "not-supported")
    assert.strictEqual(reading(1.1, 1.25), "not-supported")
  })

  it("says what ρ is and how far it reaches", () => {
    assert.match(readRho(spanning(1, 4)).because, /ρ = 2 \[1\.000, 4\.000\]/)
  })

  it("is not tested without ρ", () => {
    assert.strictEqual(readRho(undefined).verdict, "not-tested")
    assert.strictEqual(readRho(seeds(null)).verdict, "not-tested")
  })
})

describe("the reading that three directions matter", () => {
  it("is refuted where rank 0 does the same within ±10 %, over three runs by their range", () => {
    assert.strictEqual(readRankZero(runs(0.95, 1, 1.09)).verdict, "refuted")
    assert.strictEqual(readRankZero(runs(0.95, 1, 1.11)).verdict, "not-supported")
    assert.strictEqual(readRankZero(runs(1.11, 1.5, 2)).verdict, "supported")
  })

  it("is refuted over six pairs where two one-sided t tests say that they are equivalent", () => {
    assert.strictEqual(readRankZero(runs(0.97, 1, 1.02, 1.04, 0.99, 1.01)).verdict, "refuted")
    // The mean is within 10 %, but its 90 % interval is not.
    assert.strictEqual(readRankZero(runs(0.8, 1.3, 0.9, 1.2, 1, 1.1)).verdict, "not-supported")
    assert.strictEqual(readRankZero(runs(1.5, 1.6, 1.4, 1.5, 1.7, 1.5)).verdict, "supported")
  })

  it("is not supported where the arm did not always grok, and not tested without its control", () => {
    assert.strictEqual(readRankZero(seeds(0, [1, 0, 1])).verdict, "not-supported")
    assert.strictEqual(readRankZero(undefined).verdict, "not-tested")
  })

  it("leaves out no pair whose rank 0 did not grok, and says so", () => {
    const some = readRankZero(seeds(1, [1, null, 1]))
    assert.strictEqual(some.verdict, "not-supported")
    assert.match(some.because, /did not grok in 1 of 3 runs/)
    const none = readRankZero(seeds(null, [null, null]))
    assert.strictEqual(none.verdict, "not-tested")
    assert.match(none.because, /did not grok/)
    assert.isNull(areAlike(seeds(1, [1, null])))
  })

  it("calls arms alike by the same rule, and neither where one never groks", () => {
    assert.isTrue(areAlike(runs(0.95, 1, 1.05)))
    assert.isFalse(areAlike(runs(0.5, 1, 1.05)))
    assert.isNull(areAlike(seeds(0, [0, 1])))
  })
})

describe("the other readings", () => {
  it("of aggregation is refuted from 0.8 in every run, supported to 0.5", () => {
    assert.strictEqual(readAggregation(runs(0.8, 0.95)).verdict, "refuted")
    assert.strictEqual(readAggregation(runs(0.79, 0.95)).verdict, "not-supported")
    assert.strictEqual(readAggregation(runs(0.1, 0.5)).verdict, "supported")
  })

  it("of updates of several tasks is supported where the other cadence stays at 1, too", () => {
    assert.strictEqual(readCadence(runs(0.9, 1)).verdict, "supported")
    assert.strictEqual(readCadence(runs(0.9, 1.01)).verdict, "not-supported")
  })

  it("of a removal is supported where half of the energy was removed in every run", () => {
    assert.strictEqual(readRemoval(runs(0.5, 0.9)).verdict, "supported")
    assert.strictEqual(readRemoval(runs(0.49, 0.9)).verdict, "not-supported")
  })

  it("are not tested without a value", () => {
    for (const read of [readAggregation, readCadence, readRemoval]) {
      assert.strictEqual(read(undefined).verdict, "not-tested")
      assert.strictEqual(read(seeds(null)).verdict, "not-tested")
    }
  })
})

describe("a control", () => {
  it("has a word, never a judgement", () => {
    assert.strictEqual(compared(100, 126), "higher")
    for (const alike of [125, 100, 81, 80]) assert.strictEqual(compared(100, alike), "about as high")
    assert.strictEqual(compared(100, 79), "lower")
    assert.strictEqual(compared(100, 0), "lower")
    for (const [measured, control] of [
      [null, 79],
      [100, null],
      [0, 79],
    ] as const) {
      assert.strictEqual(compared(measured, control), "not compared")
    }
  })
})
