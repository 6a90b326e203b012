import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { describe as describeRunning, Progress, type Step } from "../../src/services/Progress.ts"

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
