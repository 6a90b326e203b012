import { assert, describe, it } from "@effect/vitest"
import { cursorsOf, rootRuns } from "../../../src/services/gc/roots.ts"
import type { PastRun, RunEvent } from "../../../src/services/Journal.ts"
import type { WorkingProcess } from "../../../src/services/Leases.ts"

const at = (minute: number) => `2026-01-01T00:${String(minute).padStart(2, "0")}:00.000Z`
const named = (key: string) => ({ label: key, stage: "train", key })

type Ending = "done" | "failed" | "interrupted" | "killed"

/** A run that began at a minute and computed the results `keys`. */
const run = (command: string, minute: number, ending: Ending, ...keys: ReadonlyArray<string>): PastRun => ({
  file: `${minute}.ndjson`,
  events: [
    { _tag: "Started", at: at(minute), command, pid: 100 + minute, host: "here" },
    ...keys.map(
      (key): RunEvent => ({ _tag: "Computed", at: at(minute), ...named(key), seconds: 1, bytes: 1 }),
    ),
    ...(ending === "killed" ? [] : [{ _tag: "Ended" as const, at: at(minute), outcome: ending }]),
  ],
})

const keysOf = (runs: ReadonlyArray<PastRun>, processes: ReadonlyArray<WorkingProcess> = []) =>
  rootRuns(runs, processes).map(({ keys }) => [...keys].join(" "))

const worker = (changes: Partial<WorkingProcess> = {}): WorkingProcess => ({
  pid: 100,
  host: "here",
  command: "run",
  startedAt: at(0),
  boot: null,
  namespace: null,
  startTick: null,
  beats: 0,
  ...changes,
})

describe("runs that count", () => {
  it.each<[string, ReadonlyArray<PastRun>, ReadonlyArray<string>]>([
    ["are none where there were none", [], []],
    [
      "are the latest of a command that was done",
      [run("run", 0, "done", "old"), run("run", 1, "done", "new")],
      ["new"],
    ],
    [
      "are those that began after it too, however they ended",
      [
        run("run", 0, "killed", "before"),
        run("run", 1, "done", "done"),
        run("run", 2, "failed", "failed"),
        run("run", 3, "interrupted", "interrupted"),
        run("run", 4, "killed", "killed"),
      ],
      ["done", "failed", "interrupted", "killed"],
    ],
    ["are all where none was done", [run("run", 0, "failed", "a"), run("run", 1, "killed", "b")], ["a", "b"]],
    [
      "are those of each command",
      [run("run", 0, "done", "a"), run("run --set seed=1", 1, "done", "b")],
      ["a", "b"],
    ],
  ])("%s", (_, runs, keys) => {
    assert.deepStrictEqual(keysOf(runs), keys)
  })

  it("are those of living processes, though a later one was done", () => {
    const runs = [run("run", 0, "killed", "living"), run("run", 1, "done", "done")]
    assert.deepStrictEqual(keysOf(runs, [worker()]), ["living", "done"])
    assert.deepStrictEqual(
      rootRuns(runs, [worker()]).map(({ isWorking }) => isWorking),
      [true, false],
    )
  })

  it.each<Partial<WorkingProcess>>([
    { pid: 7 },
    { host: "elsewhere" },
    { command: "status" },
    { startedAt: at(5) },
  ])("are not those of another process: %j", (changes) => {
    const runs = [run("run", 0, "killed", "dead"), run("run", 1, "done", "done")]
    assert.deepStrictEqual(keysOf(runs, [worker(changes)]), ["done"])
  })

  it("are not those of workers, who compute what the runs of others ask for", () => {
    assert.deepStrictEqual(
      keysOf([run("worker", 0, "interrupted", "a")], [worker({ command: "worker" })]),
      [],
    )
  })

  it("hold what they found, computed, began and asked for, and not what failed before it began", () => {
    const events: ReadonlyArray<RunEvent> = [
      { _tag: "Asked", at: at(0), ...named("asked") },
      { _tag: "Found", at: at(0), ...named("found") },
      { _tag: "Began", at: at(0), ...named("begun"), cursor: "cursor" },
      { _tag: "Failed", at: at(0), ...named("failed"), because: "no" },
    ]
    const whole = run("run", 0, "killed")
    assert.deepStrictEqual(keysOf([{ ...whole, events: [...whole.events, ...events] }]), [
      "asked found begun",
    ])
    const [{ command, keys }] = rootRuns([{ ...whole, events }], [])
    assert.deepStrictEqual([command, keys.size], ["unknown", 3], "a journal without a beginning counts")
    assert.deepStrictEqual(
      cursorsOf([{ ...whole, events }]),
      new Map([["begun", { stage: "train", key: "cursor" }]]),
    )
  })
})
