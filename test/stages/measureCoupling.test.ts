import { assert, describe, it } from "@effect/vitest"
import { type Point, summarise } from "../../src/stages/measureCoupling.ts"

const point = (step: number, ...ratios: ReadonlyArray<number>): Point => ({
  checkpoint: step / 25,
  step,
  rowCount: ratios.length,
  denominator: 1,
  denominatorIqr: 0,
  ratios,
})

describe("the summary of R̄ over a run", () => {
  it("takes peak, mean, final, and the means before and from the grokking step", () => {
    const points = [point(0, 1, 3), point(25, 10, 20), point(50, 4, 4), point(75, 6, 10)]
    assert.deepStrictEqual(summarise(points, 2, 50), {
      points: 4,
      peak: 15,
      peakStep: 25,
      mean: 7.25,
      final: 8,
      meanBefore: 8.5,
      meanAfter: 6,
      shareAboveOne: 1,
    })
  })

  it("says at which share of the points the ratio is above 1", () => {
    const points = [point(0, 0.5, 1), point(25, 0.9, 1.2), point(50, 1, 1), point(75, 1.01, 1)]
    assert.strictEqual(summarise(points, 2, 50).shareAboveOne, 0.5)
    assert.strictEqual(summarise(points, 1, 50).shareAboveOne, 0.25)
    assert.strictEqual(summarise(points.slice(0, 1), 1, 50).shareAboveOne, 0)
  })

  it("leaves out points that do not have all K directions", () => {
    const { points, peak, final, shareAboveOne } = summarise([point(0, 2, 4), point(25, 100)], 2, 50)
    assert.deepStrictEqual(
      { points, peak, final, shareAboveOne },
      { points: 1, peak: 3, final: 3, shareAboveOne: 1 },
    )
  })

  it("has no after in a run that did not grok, and nothing at all without directions", () => {
    assert.isNull(summarise([point(0, 1)], 1, Number.POSITIVE_INFINITY).meanAfter)
    const { points, ...figures } = summarise([point(0)], 1, 0)
    assert.strictEqual(points, 0)
    assert.isTrue(Object.values(figures).every((figure) => figure === null))
  })
})
