import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  judgeAssertion,
  judgeMagnitude,
  judgeSpeedup,
  type Measured,
  type Published,
  speedClass,
  type Verdict,
} from "../../src/pipelines/verdicts.ts"

const source = "a test"

/** One value for each seed, and the mean that is judged. */
const seeds = (value: number | null, perSeed: ReadonlyArray<number | null> = [value]): Measured => ({
  value,
  perSeed: perSeed.map((one, i) => ({ seed: i, value: one })),
})

const magnitude = (published: Published, measured: Measured): Verdict =>
  judgeMagnitude(published, measured).verdict

const best: Record<Verdict, number> = { reproduced: 3, partly: 2, contradicted: 1, "not-tested": 0 }

/** Numbers over six orders of magnitude. */
const positive = fc.double({ min: -3, max: 3, noNaN: true }).map((exponent) => 10 ** exponent)

describe("a published value of a magnitude", () => {
  const published = { value: 200, source }

  it("is reproduced by a mean within a factor 1.5, partly within a factor 3, else contradicted", () => {
    for (const [value, verdict] of [
      [200, "reproduced"],
      [299.9, "reproduced"],
      [300, "reproduced"],
      [300.1, "partly"],
      [133.4, "reproduced"],
      [133.3, "partly"],
      [600, "partly"],
      [600.1, "contradicted"],
      [66.7, "partly"],
      [66.6, "contradicted"],
      [1e-9, "contradicted"],
    ] as const) {
      assert.strictEqual(magnitude(published, seeds(value)), verdict, String(value))
    }
  })

  it("is judged by the mean alone, whatever the seeds", () => {
    assert.strictEqual(magnitude(published, seeds(200, [1, 200, 40_000])), "reproduced")
    assert.strictEqual(magnitude(published, seeds(1000, [200, 200, 125_000])), "contradicted")
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

  it("is contradicted by a mean of 0, in words", () => {
    const { verdict, because } = judgeMagnitude(published, seeds(0))
    assert.strictEqual(verdict, "contradicted")
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
    assert.strictEqual(magnitude(published, seeds(33.3)), "contradicted")
    assert.strictEqual(magnitude(published, seeds(990)), "partly")
    assert.strictEqual(magnitude(published, seeds(990.1)), "contradicted")
  })

  it("counts only seeds that have a value", () => {
    const { verdict, because } = judgeMagnitude(published, seeds(200, [null, 200, null]))
    assert.strictEqual(verdict, "reproduced")
    assert.match(because, /1 of 1 seeds/)
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
    assert.strictEqual(magnitude(published, seeds(2.01)), "contradicted")
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

  it("is reproduced in its class and within 25 %, partly in its class alone, contradicted in another", () => {
    for (const [value, expected] of [
      [2, "reproduced"],
      [2.5, "reproduced"],
      [2.51, "partly"],
      [1.5, "reproduced"],
      [1.49, "partly"],
      [1.1, "partly"],
      [1.09, "contradicted"],
      [0, "contradicted"],
      [100, "partly"],
    ] as const) {
      assert.strictEqual(verdict(2, value), expected, String(value))
    }
  })

  it("of 1 is reproduced by whatever is unchanged", () => {
    assert.strictEqual(verdict(1, 0.91), "reproduced")
    assert.strictEqual(verdict(1, 1.09), "reproduced")
    assert.strictEqual(verdict(1, 1.1), "contradicted")
    assert.strictEqual(verdict(1, 0.9), "contradicted")
  })

  it("near the edge of its class is contradicted by a nearby value in another", () => {
    assert.strictEqual(verdict(1.21, 1.05), "contradicted")
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
    assert.match(because, /^never grokked in 1 of 3 seeds/)
    assert.notMatch(because, /0\.00×/)
  })
})

describe("an assertion", () => {
  const judge = (...holds: ReadonlyArray<boolean | null>) =>
    judgeAssertion(holds.map((one, i) => ({ name: `case ${i}`, holds: one })))

  it("is reproduced where every case meets it, partly where some do, contradicted where none does", () => {
    assert.strictEqual(judge(true, true).verdict, "reproduced")
    assert.strictEqual(judge(true, false).verdict, "partly")
    assert.strictEqual(judge(false, false).verdict, "contradicted")
    assert.strictEqual(judge(true).verdict, "reproduced")
    assert.strictEqual(judge(false).verdict, "contradicted")
  })

  it("does not count cases that no run yields, but names them", () => {
    const { verdict, because } = judge(true, null, true)
    assert.strictEqual(verdict, "reproduced")
    assert.strictEqual(because, "holds in all 2 cases (not tested: case 1)")
    assert.strictEqual(judge(false, null).verdict, "contradicted")
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
