import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { beginning, makespan } from "../../src/services/schedule.ts"

const job = (seconds: number, ...after: ReadonlyArray<number>) => ({ seconds, after })

/** Up to twenty jobs, each after some of those before it. */
const someJobs = fc
  .array(fc.tuple(fc.nat(100), fc.array(fc.nat(20), { maxLength: 3 })), { minLength: 1, maxLength: 20 })
  .map((drawn) => drawn.map(([seconds, after], place) => job(seconds, ...after.filter((i) => i < place))))

describe("jobs, a few at a time", () => {
  it("take their sum with one worker, and what the longest chain takes with many", () => {
    const jobs = [job(1), job(10, 0), job(2, 0), job(3, 2), job(4, 1, 3)]
    assert.strictEqual(makespan(jobs, { workers: 1 }), 20)
    assert.strictEqual(makespan(jobs, { workers: 8 }), 15)
  })

  it("wait for the first of the list, not for the shortest", () => {
    assert.strictEqual(makespan([job(5), job(5), job(9)], { workers: 2 }), 14)
  })

  it("let each worker start once, when it is first needed", () => {
    const jobs = [job(1), job(1), job(1), job(1)]
    assert.strictEqual(makespan(jobs, { workers: 1, starting: 2 }), 6)
    assert.strictEqual(makespan(jobs, { workers: 2, starting: 2 }), 4)
    assert.strictEqual(makespan([], { workers: 2, starting: 2 }), 0)
  })

  it("take no less than their sum over the workers, no less than any of them, and no more than their sum", () => {
    fc.assert(
      fc.property(someJobs, fc.integer({ min: 1, max: 5 }), (jobs, workers) => {
        const sum = jobs.reduce((total, { seconds }) => total + seconds, 0)
        const took = makespan(jobs, { workers })
        assert.isAtMost(took, sum)
        assert.isAtLeast(took, sum / workers)
        for (const { seconds } of jobs) assert.isAtLeast(took, seconds)
      }),
    )
  })
})

describe("the order in which jobs begin", () => {
  const inOrder = (jobs: ReadonlyArray<ReturnType<typeof job>>, workers: number) => {
    const order = beginning(jobs, workers)
    const ranks = new Map(order.map((place, rank) => [place, rank]))
    return order.map((place) => ({
      seconds: jobs[place].seconds,
      after: jobs[place].after.map((i) => ranks.get(i) ?? Number.NaN),
    }))
  }

  it("is that of the list where nothing is long", () => {
    const jobs = [job(1), job(1), job(1, 0), job(1, 1), job(1), job(1)]
    assert.deepStrictEqual(beginning(jobs, 2), [0, 1, 2, 3, 4, 5])
    assert.deepStrictEqual(beginning([job(1), job(1), job(9)], 1), [0, 1, 2])
    assert.deepStrictEqual(beginning([], 4), [])
  })

  it("puts first what everybody would wait for at the end, and what that waits for", () => {
    const jobs = [job(5), job(5), job(1), job(9, 2)]
    assert.strictEqual(makespan(jobs, { workers: 2 }), 15)
    assert.deepStrictEqual(beginning(jobs, 2), [2, 0, 3, 1])
    assert.strictEqual(makespan(inOrder(jobs, 2), { workers: 2 }), 10)
  })

  it("holds every job once, after those that it waits for, and seldom takes longer than the list", () => {
    let longer = 0
    fc.assert(
      fc.property(someJobs, fc.integer({ min: 1, max: 5 }), (jobs, workers) => {
        const ordered = inOrder(jobs, workers)
        assert.lengthOf(ordered, jobs.length)
        for (const [rank, { after }] of ordered.entries()) for (const i of after) assert.isBelow(i, rank)
        if (makespan(ordered, { workers }) > makespan(jobs, { workers })) longer += 1
      }),
      { numRuns: 500, seed: 1 },
    )
    assert.isBelow(longer, 50)
  })
})
