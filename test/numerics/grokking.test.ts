import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { firstAtLeast, stopStep } from "../../src/numerics/grokking.ts"

/** A curve of one task with an evaluation every 25 steps. */
const curve = (...accuracies: ReadonlyArray<number>) =>
  accuracies.map((accuracy, i) => ({ step: i * 25, tasks: [accuracy] }))

/** A curve of several tasks with an evaluation every 100 steps. */
const curves = (...tasks: ReadonlyArray<ReadonlyArray<number>>) =>
  tasks[0].map((_, i) => ({ step: i * 100, tasks: tasks.map((accuracies) => accuracies[i]) }))

const cumulative = { accuracy: 0.98, count: 3, consecutive: false, every: 1, latched: false }
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

  it("waits for the worst task", () => {
    assert.strictEqual(firstAtLeast(curves([0.9, 0.9, 0.9], [0.1, 0.4, 0.6]), 0.5), 200)
    assert.isNull(firstAtLeast(curves([0.9, 0.1], [0.1, 0.9]), 0.5))
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

  const runs = fc.array(fc.constantFrom(0.2, 0.98, 1), { maxLength: 30 }).map((test) => curve(...test))
  const counts = fc.integer({ min: 1, max: 6 })
  const rules = fc.record({
    accuracy: fc.constant(0.98),
    count: counts,
    consecutive: fc.boolean(),
    every: fc.constantFrom(1, 25, 50),
    latched: fc.boolean(),
  })

  it("does not change when the run goes on", () => {
    fc.assert(
      fc.property(runs, runs, rules, (start, rest, rule) => {
        const stopped = stopStep(start, rule)
        fc.pre(stopped !== null)
        const later = rest.map(({ step, tasks }) => ({ step: step + 25 * start.length, tasks }))
        assert.strictEqual(stopStep([...start, ...later], rule), stopped)
      }),
    )
  })

  it("never comes earlier under the consecutive rule, nor before the first evaluation at the threshold", () => {
    fc.assert(
      fc.property(runs, counts, (run, count) => {
        const early = stopStep(run, { ...cumulative, count })
        const late = stopStep(run, { ...consecutive, count })
        if (late !== null) assert.isAtMost(early ?? Number.POSITIVE_INFINITY, late)
        if (early !== null) assert.isAtLeast(early, firstAtLeast(run, 0.98) ?? Number.POSITIVE_INFINITY)
      }),
    )
  })

  describe("with `every`", () => {
    // Evaluated every 25 steps; good from step 50 on, but for step 225.
    const good = curve(0, 0, ...Array.from({ length: 30 }, (_, i) => (i === 7 ? 0 : 1)))

    it("looks only at evaluations at multiples of so many steps", () => {
      assert.strictEqual(stopStep(good, cumulative), 100)
      // 100, 200, 300: three hundreds.
      assert.strictEqual(stopStep(good, { ...cumulative, every: 100 }), 300)
    })

    it("does not see a dip between them, and does not count what is good between them", () => {
      assert.strictEqual(stopStep(good, { ...consecutive, count: 8 }), 425)
      assert.strictEqual(stopStep(good, { ...consecutive, count: 4, every: 100 }), 400)
      const between = curve(...Array.from({ length: 30 }, (_, i) => (i % 4 === 0 ? 0 : 1)))
      assert.isNull(stopStep(between, { ...cumulative, every: 100 }))
    })

    it("stops the same whether the run is evaluated as often or more often", () => {
      fc.assert(
        fc.property(runs, rules, (run, rule) => {
          const sparse = run.filter(({ step }) => step % rule.every === 0)
          assert.strictEqual(stopStep(run, rule), stopStep(sparse, rule))
        }),
      )
    })
  })

  describe("that is latched", () => {
    const latched = { accuracy: 0.98, count: 3, consecutive: true, every: 100, latched: true }

    it("lets each task meet the rule by itself, and stops with the last of them", () => {
      const run = curves([1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1])
      assert.strictEqual(stopStep(run, latched), 600)
      assert.isNull(stopStep(run, { ...latched, latched: false }), "they were never good together")
    })

    it("forgets nothing that a task has met, but counts anew after a dip before that", () => {
      assert.strictEqual(stopStep(curves([1, 1, 1, 0, 0], [0, 0, 1, 1, 1]), latched), 400)
      assert.isNull(stopStep(curves([1, 1, 0, 1, 1], [0, 0, 1, 1, 1]), latched))
      assert.strictEqual(
        stopStep(curves([1, 1, 0, 1, 1], [0, 0, 1, 1, 1]), { ...latched, consecutive: false }),
        400,
      )
    })

    it("does not stop while one task has not met it", () => {
      assert.isNull(stopStep(curves([1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0.97, 1]), latched))
      assert.isNull(stopStep([], latched))
    })

    it("is the plain rule for one task, and never later than it for several", () => {
      const accuracies = fc.array(fc.tuple(fc.constantFrom(0.2, 1), fc.constantFrom(0.2, 1)), {
        maxLength: 20,
      })
      fc.assert(
        fc.property(runs, accuracies, rules, (run, pairs, rule) => {
          const plain = { ...rule, latched: false }
          const latching = { ...rule, latched: true }
          assert.strictEqual(stopStep(run, latching), stopStep(run, plain))
          const two = pairs.map((tasks, i) => ({ step: 25 * i, tasks }))
          const together = stopStep(two, plain)
          if (together !== null)
            assert.isAtMost(stopStep(two, latching) ?? Number.POSITIVE_INFINITY, together)
        }),
      )
    })

    it("stops at the last of the steps at which each task would stop by itself", () => {
      const accuracies = fc.array(fc.tuple(fc.constantFrom(0.2, 1), fc.constantFrom(0.2, 1)), {
        maxLength: 20,
      })
      fc.assert(
        fc.property(accuracies, rules, (pairs, rule) => {
          const of = (select: (tasks: ReadonlyArray<number>) => ReadonlyArray<number>) =>
            stopStep(
              pairs.map((tasks, i) => ({ step: 25 * i, tasks: select(tasks) })),
              { ...rule, latched: true },
            )
          const [one, other] = [of(([first]) => [first]), of(([, second]) => [second])]
          assert.strictEqual(
            of((tasks) => tasks),
            one === null || other === null ? null : Math.max(one, other),
          )
        }),
      )
    })
  })
})
