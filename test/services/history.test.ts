import { assert, describe, it } from "@effect/vitest"
import { overheadOf, wholeOf } from "../../src/services/history.ts"
import type { PastRun, RunEvent } from "../../src/services/Journal.ts"
import { past } from "./pastComputations.ts"

const at = (seconds: number) => new Date(1000 * seconds).toISOString()
const began = (key: string, seconds: number, cursor = key): RunEvent => ({
  ...{ _tag: "Began", label: "train", stage: "train", key, cursor },
  at: at(seconds),
})
const computed = (key: string, seconds: number, took: number): RunEvent => ({
  ...{ _tag: "Computed", label: "train", stage: "train", key, seconds: took, bytes: 1 },
  at: at(seconds),
})
const run = (...events: ReadonlyArray<RunEvent>): PastRun => ({ file: "run.ndjson", events })
const keys = (records: ReadonlyArray<{ readonly key: string }>) => records.map(({ key }) => key)

describe("history", () => {
  it("leaves out computations that went on from an earlier one, whose times are not of the whole", () => {
    const records = [
      past({ key: "longer", cursor: "one", at: at(9) }),
      past({ key: "shorter", cursor: "one", at: at(5) }),
      past({ key: "killed", cursor: "two" }),
      past({ key: "whole", cursor: "three" }),
    ]
    const runs = [
      run(began("killed", 1, "two"), began("whole", 1, "three"), computed("whole", 2, 1)),
      run(began("killed", 3, "two"), computed("killed", 4, 1)),
      run(began("whole", 5, "three"), computed("whole", 6, 1)),
    ]
    assert.deepStrictEqual(keys(wholeOf(records, runs)), ["shorter", "whole"])
    assert.deepStrictEqual(keys(wholeOf(records, [])), ["shorter", "killed", "whole"])
  })

  it("tells what a worker's start and each computation take beside the computation itself", () => {
    const runs = [
      run(began("a", 0), computed("a", 3, 1), began("b", 3), computed("b", 8, 4.5), began("c", 8)),
      run(began("d", 0), computed("d", 5, 3), began("e", 5), computed("e", 6, 0.5)),
    ]
    assert.deepStrictEqual(overheadOf(runs), { each: 0.5, starting: 1.5 })
    assert.deepStrictEqual(overheadOf([]), { each: 0, starting: 0 })
  })
})
