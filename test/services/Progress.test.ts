import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { describe as describeRunning, Progress, type Step } from "../../src/services/Progress.ts"
import { roughDuration } from "../../src/services/progress/duration.ts"
import { ofKinds, secondsLeft, summarise, type Tally } from "../../src/services/progress/Tally.ts"

const at = (done: number): Step => ({ done, total: 8000, unit: "step", note: "loss 1.0e-2" })

describe("the line of a running stage", () => {
  const running = { label: "train", started: 0, first: at(2000), firstAt: 10_000, latest: at(2500) }

  it("shows how far it is, its rate since the first report, and the time left at that rate", () => {
    assert.strictEqual(
      describeRunning(running, 20_000),
      "train  step 2,500/8,000  loss 1.0e-2  50 steps/s  ≤ 1 min 50 s left",
    )
  })

  it("gives no rate after one report: what was resumed does not count as work of now", () => {
    assert.strictEqual(
      describeRunning({ ...running, latest: at(2000) }, 10_000),
      "train  step 2,000/8,000  loss 1.0e-2",
    )
  })

  it("shows the time taken where the stage reports nothing", () => {
    assert.strictEqual(
      describeRunning({ ...running, first: undefined, latest: undefined }, 75_000),
      "train  1 min 15 s",
    )
  })
})

/** Records what is written; `isTTY` makes it a terminal. */
const recorder = (isTTY: boolean) => {
  const written: Array<string> = []
  return { written, layer: Progress.layer({ write: (text) => written.push(text), isTTY, columns: 60 }) }
}

const twoReports = Effect.gen(function* () {
  const progress = yield* Progress
  yield* progress.cached("generate-data")
  yield* progress.running(
    "train",
    Effect.gen(function* () {
      yield* progress.step(at(25))
      yield* TestClock.adjust("1 second")
      yield* progress.step(at(50))
      yield* TestClock.adjust("5 seconds")
      yield* progress.step(at(325))
    }),
  )
})

describe("progress", () => {
  it.effect("is a plain line every few seconds where there is no terminal", () => {
    const { written, layer } = recorder(false)
    return Effect.gen(function* () {
      yield* twoReports
      assert.deepStrictEqual(
        written
          .join("")
          .trimEnd()
          .split("\n")
          .map((line) => line.replaceAll(/ {2,}/g, "  ")),
        [
          "generate-data  cached",
          "Ctrl-C stops; the same command goes on where it was",
          "train  step 325/8,000  loss 1.0e-2  50 steps/s  ≤ 2 min 34 s left",
          "train  done in 6 s",
        ],
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("is one live line on a terminal, redrawn in place and never wider than it", () => {
    const { written, layer } = recorder(true)
    return Effect.gen(function* () {
      yield* twoReports
      const screen = written.join("")
      assert.include(screen, "\r\u001b[1A\u001b[J")
      const live = written.filter((text) => text.startsWith("train  step"))
      assert.isAbove(live.length, 1)
      for (const line of live) assert.isBelow(line.trimEnd().length, 60)
      assert.match(screen, /train +done in 6 s\n$/)
    }).pipe(Effect.provide(layer))
  })
})

const tally = (overrides: Partial<Tally> = {}): Tally => ({
  planned: 10,
  done: 0,
  cached: 0,
  waiting: new Map(),
  expected: new Map(),
  taken: new Map(),
  running: [],
  lanes: 1,
  elapsed: 600,
  ...overrides,
})

describe("the estimate of the time left", () => {
  const taken = new Map([
    ["train", { count: 2, seconds: 200 }],
    ["rolling-svd", { count: 8, seconds: 80 }],
  ])

  it("takes for each waiting stage the mean of its kind, side by side as they run", () => {
    const waiting = new Map([
      ["train", 3],
      ["rolling-svd", 6],
    ])
    assert.strictEqual(secondsLeft(tally({ taken, waiting })), 3 * 100 + 6 * 10)
    assert.strictEqual(secondsLeft(tally({ taken, waiting, lanes: 2 })), 180)
  })

  it("takes what history says of a kind that this run has not seen, from the start", () => {
    const waiting = new Map([["intervene", 4]])
    const expected = new Map([["intervene", 1000]])
    assert.strictEqual(secondsLeft(tally({ taken, waiting, expected })), 4000)
    assert.strictEqual(secondsLeft(tally({ waiting, expected, elapsed: 1 })), 4000)
  })

  it("lets this run's own figures outweigh history as they come", () => {
    const left = (count: number) =>
      secondsLeft(
        tally({
          taken: new Map([["train", { count, seconds: count * 200 }]]),
          waiting: new Map([["train", 1]]),
          expected: new Map([["train", 100]]),
        }),
      )
    assert.strictEqual(left(2), 150)
    assert.isAbove(left(18) ?? 0, 189)
  })

  it("counts what waits, and what history says of it, by kind", () => {
    const waiting = new Map([
      ["train add/42", 1],
      ["train multitask/42", 3],
      ["intervene add/42 frozen gradient", 0],
      ["rolling-svd", 2],
    ])
    const expected = new Map([
      ["train add/42", 100],
      ["train multitask/42", 500],
      ["intervene add/42 frozen gradient", 60],
    ])
    const gathered = ofKinds(waiting, expected, (label) => label.split(" ")[0])
    assert.deepStrictEqual(
      [...gathered.waiting],
      [
        ["train", 4],
        ["intervene", 0],
        ["rolling-svd", 2],
      ],
    )
    assert.deepStrictEqual(
      [...gathered.expected],
      [
        ["train", 400],
        ["intervene", 60],
      ],
    )
  })

  it("takes the mean of all stages for a kind that is not known yet", () => {
    assert.strictEqual(secondsLeft(tally({ taken, waiting: new Map([["new", 2]]) })), 2 * 28)
  })

  it("counts what runs by its own rate, or by what is left of its kind's mean", () => {
    const running = [
      { kind: "train", elapsed: 30, left: 50 },
      { kind: "rolling-svd", elapsed: 4, left: undefined },
      { kind: "rolling-svd", elapsed: 40, left: undefined },
    ]
    assert.strictEqual(secondsLeft(tally({ taken, running })), 50 + 6 + 0)
    assert.strictEqual(secondsLeft(tally({ taken, running, lanes: 3 })), 50, "not less than the longest")
  })

  it("learns a kind from one that runs and says how far it is", () => {
    const running = [{ kind: "train", elapsed: 40, left: 60 }]
    assert.strictEqual(secondsLeft(tally({ running, waiting: new Map([["train", 2]]) })), 60 + 200)
  })

  it("is not made from nothing, nor in the first half minute", () => {
    assert.isUndefined(secondsLeft(tally({ waiting: new Map([["train", 2]]) })))
    assert.isUndefined(secondsLeft(tally({ taken, waiting: new Map([["train", 2]]), elapsed: 29 })))
  })

  it("is said roughly", () => {
    assert.deepStrictEqual([12.4, 89, 2040, 3580, 7530].map(roughDuration), [
      "12 s",
      "1 min",
      "34 min",
      "1 h 00 min",
      "2 h 06 min",
    ])
  })
})

describe("the summary", () => {
  const waiting = new Map([["train", 57]])
  const running = [
    { kind: "train", elapsed: 1, left: undefined },
    { kind: "train", elapsed: 2, left: undefined },
  ]

  it("counts what is done, cached, running and waiting", () => {
    assert.strictEqual(
      summarise(tally({ planned: 101, done: 12, cached: 30, running, waiting, elapsed: 20 })),
      "done 12, cached 30, running 2, waiting 57 of 101  20 s",
    )
  })

  it("says how long it takes yet, where that is known and there is something left", () => {
    const taken = new Map([["train", { count: 12, seconds: 408 }]])
    const known = { planned: 71, done: 12, taken, lanes: 1 }
    assert.match(summarise(tally({ ...known, waiting })), / {2}10 min 00 s {2}≈ 32 min left$/)
    assert.notInclude(summarise(tally(known)), "left")
  })
})

describe("a plan", () => {
  const labels = (count: number) => Array.from({ length: count }, (_, i) => `train ${i}`)
  const screenOf = (written: ReadonlyArray<string>) => written.join("").trimEnd().split("\n")

  it.effect("is summarised in the last live line, which ticks", () => {
    const { written, layer } = recorder(true)
    return Effect.gen(function* () {
      const progress = yield* Progress
      yield* progress.plan(labels(3))
      yield* progress.cached("train 0")
      yield* progress.running("train 1", TestClock.adjust("3 seconds"))
      assert.include(screenOf(written).at(-1), "done 1, cached 1, running 0, waiting 1 of 3  3 s")
      const ticks = written.filter((text) => text.includes("running 1, waiting 1"))
      assert.deepStrictEqual(
        [...new Set(ticks.map((text) => text.trimEnd().split("  ").at(-1)))],
        ["0 s", "1 s", "2 s", "3 s"],
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("is summarised every half minute where there is no terminal", () => {
    const { written, layer } = recorder(false)
    return Effect.gen(function* () {
      const progress = yield* Progress
      yield* progress.plan(labels(2))
      yield* progress.running("train 1", TestClock.adjust("70 seconds"))
      assert.deepStrictEqual(
        screenOf(written).filter((line) => line.startsWith("done ")),
        ["30 s", "1 min 00 s"].map((time) => `done 0, cached 0, running 1, waiting 1 of 2  ${time}`),
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("of many stages counts those that are cached, and does not list them", () => {
    const { written, layer } = recorder(false)
    return Effect.gen(function* () {
      const progress = yield* Progress
      yield* progress.plan(labels(21))
      for (const label of labels(21)) yield* progress.cached(label)
      assert.deepStrictEqual(screenOf(written), ["done 0, cached 21, running 0, waiting 0 of 21  0 s"])
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "asks for what stages are expected to take when the first runs, once, and estimates from that",
    () => {
      const { written, layer } = recorder(false)
      let asked = 0
      const expected = Effect.sync(() => {
        asked += 1
        return new Map(labels(30).map((label) => [label, 60]))
      })
      return Effect.gen(function* () {
        const progress = yield* Progress
        yield* progress.plan(labels(30), expected)
        yield* progress.cached("train 0")
        yield* Effect.yieldNow
        assert.strictEqual(asked, 0)
        yield* progress.running("train 1", TestClock.adjust("30 seconds"))
        yield* progress.running("train 2", Effect.void)
        assert.strictEqual(asked, 1)
        assert.include(written.join(""), "running 1, waiting 28 of 30  30 s  ≈ 29 min left")
      }).pipe(Effect.provide(layer))
    },
  )

  it.effect("made anew counts from zero", () => {
    const { written, layer } = recorder(true)
    return Effect.gen(function* () {
      const progress = yield* Progress
      for (const _ of ["first", "second"]) {
        yield* progress.plan(labels(2))
        yield* progress.cached("train 0")
      }
      assert.include(written.at(-1), "cached 1, running 0, waiting 1 of 2")
    }).pipe(Effect.provide(layer))
  })
})
