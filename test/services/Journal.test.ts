import { appendFileSync, readdirSync, readFileSync, truncateSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { Journal, pastRuns, type RunEvent } from "../../src/services/Journal.ts"
import { filesBelow, temporaryStore } from "./store/temporary.ts"

const named = { label: "train add/42", stage: "train", key: "ab".repeat(32) }

/** The journal of a run that ends as `exit`, and what it writes. */
const run = Effect.fnUntraced(function* (command: string, exit: Exit.Exit<unknown, unknown> = Exit.void) {
  const scope = yield* Scope.make()
  const context = yield* Layer.build(Layer.fresh(Journal.layer(command))).pipe(Scope.provide(scope))
  return { ...Context.get(context, Journal), end: Scope.close(scope, exit) }
})

const journals = Effect.map(ArtifactStore, ({ root }) =>
  readdirSync(join(root, "runs"))
    .sort()
    .map((name) => join(root, "runs", name)),
)

const tags = (events: ReadonlyArray<RunEvent>) => events.map(({ _tag }) => _tag)

describe("a journal", () => {
  it.effect("tells who ran what, when, what came of it, and how it ended", () =>
    Effect.gen(function* () {
      const { append, end } = yield* run("run single --set seed=137")
      yield* append({ _tag: "Found", ...named })
      yield* TestClock.adjust("1 minute")
      yield* append({ _tag: "Computed", ...named, seconds: 1.5, bytes: 42 })
      yield* append({ _tag: "Failed", ...named, because: "training diverged" })
      yield* end
      const [{ events }] = yield* pastRuns
      const [zero, one] = ["1970-01-01T00:00:00.000Z", "1970-01-01T00:01:00.000Z"]
      assert.deepStrictEqual(events, [
        {
          _tag: "Started",
          at: zero,
          command: "run single --set seed=137",
          pid: process.pid,
          host: hostname(),
        },
        { _tag: "Found", at: zero, ...named },
        { _tag: "Computed", at: one, ...named, seconds: 1.5, bytes: 42 },
        { _tag: "Failed", at: one, ...named, because: "training diverged" },
        { _tag: "Ended", at: one, outcome: "done" },
      ])
      const [file] = yield* journals
      assert.lengthOf(readFileSync(file, "utf8").trimEnd().split("\n"), events.length, "a line each")
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("writes what was found in batches, soon or with the next event of weight", () =>
    Effect.gen(function* () {
      const { append, end } = yield* run("")
      yield* append({ _tag: "Computed", ...named, seconds: 1, bytes: 1 })
      const written = Effect.map(pastRuns, ([{ events }]) => tags(events))
      yield* append({ _tag: "Found", ...named })
      assert.deepStrictEqual(yield* written, ["Started", "Computed"])
      yield* append({ _tag: "Failed", ...named, because: "" })
      assert.deepStrictEqual(yield* written, ["Started", "Computed", "Found", "Failed"])
      yield* append({ _tag: "Found", ...named })
      yield* TestClock.adjust("1 second")
      while ((yield* written).length < 5) yield* Effect.yieldNow
      yield* end
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("of a run that does nothing is not there", () =>
    Effect.gen(function* () {
      const { root } = yield* ArtifactStore
      const { end } = yield* run("show")
      yield* end
      assert.deepStrictEqual(filesBelow(root), [])
      assert.deepStrictEqual(yield* pastRuns, [])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect.each([
    ["failed", Exit.fail("no")],
    ["interrupted", Exit.interrupt()],
  ] as const)("says that its run %s", ([outcome, exit]) =>
    Effect.gen(function* () {
      const { append, end } = yield* run("", exit)
      yield* append({ _tag: "Found", ...named })
      yield* end
      const [{ events }] = yield* pastRuns
      assert.deepInclude(events.at(-1), { _tag: "Ended", outcome })
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("is one for each run, oldest first", () =>
    Effect.gen(function* () {
      for (const command of ["first", "second", "third"]) {
        const { append, end } = yield* run(command)
        yield* append({ _tag: "Found", ...named })
        yield* end
        yield* TestClock.adjust("1 second")
      }
      const commands = (yield* pastRuns).map(({ events: [started] }) =>
        started._tag === "Started" ? started.command : "",
      )
      assert.deepStrictEqual(commands, ["first", "second", "third"])
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("that breaks off, wherever, is read up to there", () =>
    Effect.gen(function* () {
      const { append } = yield* run("killed")
      yield* append({ _tag: "Found", ...named })
      yield* append({ _tag: "Computed", ...named, seconds: 1, bytes: 1 })
      const [file] = yield* journals
      const whole = readFileSync(file)
      const ends = Array.from(whole).flatMap((byte, i) => (byte === 10 ? [i] : []))
      for (let length = whole.length; length >= 0; length--) {
        truncateSync(file, length)
        const [{ events }] = yield* pastRuns
        // A line without its line break may be whole.
        const lines = ends.filter((end) => end <= length).length
        assert.deepStrictEqual(
          tags(events),
          ["Started", "Found", "Computed"].slice(0, lines),
          `${length} bytes`,
        )
      }
    }).pipe(Effect.provide(temporaryStore())),
  )

  it.effect("with a line that nobody wrote is read without it", () =>
    Effect.gen(function* () {
      const { append } = yield* run("damaged")
      yield* append({ _tag: "Failed", ...named, because: "" })
      const [file] = yield* journals
      appendFileSync(file, '{"_tag":"Found"}\n\u0000\u0000\n[]\n')
      yield* append({ _tag: "Failed", ...named, because: "" })
      const [{ events }] = yield* pastRuns
      assert.deepStrictEqual(tags(events), ["Started", "Failed", "Failed"])
    }).pipe(Effect.provide(temporaryStore())),
  )
})
