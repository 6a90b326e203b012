import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { firstAtLeast, stopStep } from "../../src/numerics/grokking.ts"

/** A curve with an evaluation every 25 steps. */
const curve = (...accuracies: ReadonlyArray<number>) => accuracies.map((test, i) => ({ step: i * 25, test }))

const cumulative = { accuracy: 0.98, count: 3, consecutive: false }
const consecutive = { ...cumulative, consecutive: true }

describe("firstAtLeast", () => {
  it("is the first step at or above the threshold", () => {
    assert.strictEqual(firstAtLeast(curve(0.1, 0.5, 0.4, 0.9), 0.5), 25)
    assert.strictEqual(firstAtLeast(curve(0.1, 0.5, 0.4, 0.9), 0.51), 75)
  })

  it("is step 0 where the run starts there", () => {
    assert.strictEqual(firstAtLeast(curve(0.6, 0.1), 0.5), 0)
  })

  it("is null where it is never reached", () => {
    assert.isNull(firstAtLeast(curve(0.1, 0.2), 0.5))
    assert.isNull(firstAtLeast([], 0.5))
  })
})

describe("stopStep", () => {
  it("stops at the same step under both rules when the accuracy stays up", () => {
    const steady = curve(0, 0.98, 0.99, 1, 1)
    assert.strictEqual(stopStep(steady, cumulative), 75)
    assert.strictEqual(stopStep(steady, consecutive), 75)
  })

  it("starts again after a dip only under the consecutive rule", () => {
    const dipping = curve(0.98, 0.98, 0.5, 0.98, 0.98, 0.98)
    assert.strictEqual(stopStep(dipping, cumulative), 75)
    assert.strictEqual(stopStep(dipping, consecutive), 125)
  })

  it("never stops under the consecutive rule when every other evaluation dips", () => {
    const flickering = curve(1, 0, 1, 0, 1, 0)
    assert.strictEqual(stopStep(flickering, cumulative), 100)
    assert.isNull(stopStep(flickering, consecutive))
  })

  it("counts the threshold itself as seen", () => {
    assert.strictEqual(stopStep(curve(0.98), { ...cumulative, count: 1 }), 0)
    assert.isNull(stopStep(curve(0.9799999), { ...cumulative, count: 1 }))
  })

  it("is null for a run that ends too early, and for none", () => {
    assert.isNull(stopStep(curve(1, 1), cumulative))
    assert.isNull(stopStep([], consecutive))
  })

  const curves = fc.array(fc.constantFrom(0.2, 0.98, 1), { maxLength: 30 }).map((test) => curve(...test))
  const counts = fc.integer({ min: 1, max: 6 })

  it("does not change when the run goes on", () => {
    fc.assert(
      fc.property(curves, curves, counts, fc.boolean(), (start, rest, count, isConsecutive) => {
        const rule = { accuracy: 0.98, count, consecutive: isConsecutive }
        const stopped = stopStep(start, rule)
        fc.pre(stopped !== null)
        assert.strictEqual(stopStep([...start, ...rest], rule), stopped)
      }),
    )
  })

  it("never comes earlier under the consecutive rule, nor before the first evaluation at the threshold", () => {
    fc.assert(
      fc.property(curves, counts, (run, count) => {
        const early = stopStep(run, { accuracy: 0.98, count, consecutive: false })
        const late = stopStep(run, { accuracy: 0.98, count, consecutive: true })
        if (late !== null) assert.isAtMost(early ?? Number.POSITIVE_INFINITY, late)
        if (early !== null) assert.isAtLeast(early, firstAtLeast(run, 0.98) ?? Number.POSITIVE_INFINITY)
      }),
    )
  })
})
