import { spawn } from "node:child_process"
import { readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Option, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { Leases, type WorkingProcess } from "../../src/services/Leases.ts"
import { sealed } from "../../src/services/store/sealed.ts"
import { filesBelow, temporaryStore } from "./store/temporary.ts"

/** Leases as another process on the store at hand would have them; they live until the scope closes. */
const another = (command = "test") =>
  Effect.map(Layer.build(Layer.fresh(Leases.layer(command))), (context) => Context.get(context, Leases))

/** Writes a process and its lease as they would stand there. */
const pretend = Effect.fnUntraced(function* (name: string, changes: Partial<WorkingProcess>) {
  const { root } = yield* ArtifactStore
  const [file] = readdirSync(join(root, "processes"))
  const { seal: _, ...self } = JSON.parse(readFileSync(join(root, "processes", file), "utf8"))
  const write = (beats: number) =>
    writeFileSync(join(root, "processes", "other.json"), sealed({ ...self, ...changes, beats }))
  write(0)
  writeFileSync(join(root, "leases", `${name}.other.json`), sealed({ label: "train add/42", since: "then" }))
  return { write }
})

/** A process that has started and ended. */
const deadProcess = Effect.callback<number>((resume) => {
  const child = spawn("true")
  child.on("close", () => resume(Effect.succeed(child.pid ?? 0)))
})

describe("a lease", () => {
  it.effect("is held by one of two processes, and says by which", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* another("the first"), yield* another("the second")]
      assert.deepStrictEqual(yield* first.take("a", "train add/42"), Option.none())
      const held = Option.getOrThrow(yield* second.take("a", "train add/42"))
      assert.strictEqual(held.name, "a")
      assert.strictEqual(held.label, "train add/42")
      assert.strictEqual(held.holder.pid, process.pid)
      assert.strictEqual(held.holder.host, hostname())
      assert.strictEqual(held.holder.command, "the first")
      assert.deepStrictEqual(yield* second.holder("a"), Option.some(held))
      assert.deepStrictEqual(yield* second.held, [held])
      assert.deepStrictEqual(yield* first.held, [], "its own are not others'")
      assert.deepStrictEqual(yield* second.take("b", "something else"), Option.none())
    }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
  )

  it.effect("is free again when its scope closes, and nothing stays behind when its process ends", () =>
    Effect.gen(function* () {
      const { root } = yield* ArtifactStore
      const second = yield* another()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* another()
          const scope = yield* Scope.make()
          yield* first.take("a", "").pipe(Scope.provide(scope))
          assert.isTrue(Option.isSome(yield* second.take("a", "")))
          yield* Scope.close(scope, Exit.void)
          yield* Effect.scoped(second.take("a", ""))
          assert.deepStrictEqual(yield* first.take("a", ""), Option.none())
        }),
      )
      assert.lengthOf(
        filesBelow(root).filter((file) => file.startsWith("processes")),
        1,
        "the second's",
      )
      assert.deepStrictEqual(
        filesBelow(root).filter((file) => file.startsWith("leases")),
        [],
      )
    }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
  )

  it.live("is never held by two of many that want it at once", () =>
    Effect.gen(function* () {
      const processes = yield* Effect.forEach(Array.from({ length: 6 }), () => another())
      let holders = 0
      let turns = 0
      const holdOnce = (leases: Leases["Service"]): Effect.Effect<void, Error> =>
        Effect.gen(function* () {
          const held = yield* Effect.scoped(
            Effect.gen(function* () {
              if (Option.isSome(yield* leases.take("a", ""))) return false
              assert.strictEqual(++holders, 1)
              yield* Effect.sleep(2)
              holders--
              turns++
              return true
            }),
          )
          if (!held) yield* Effect.andThen(Effect.sleep(5), holdOnce(leases))
        })
      yield* Effect.forEach(
        processes,
        (leases) => Effect.forEach(Array.from({ length: 5 }), () => holdOnce(leases)),
        { concurrency: "unbounded" },
      )
      assert.strictEqual(turns, 30)
    }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
  )

  // Elsewhere no process can be looked up: Linux alone says when one started.
  describe.skipIf(process.platform !== "linux")("of a process of this machine", () => {
    it.effect("that is dead is free", () =>
      Effect.gen(function* () {
        const leases = yield* another()
        yield* leases.take("own", "")
        yield* pretend("a", { pid: yield* deadProcess })
        assert.deepStrictEqual(yield* leases.held, [])
        assert.deepStrictEqual(yield* leases.take("a", ""), Option.none())
      }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
    )

    it.effect("whose number another process has now is free", () =>
      Effect.gen(function* () {
        const leases = yield* another()
        yield* leases.take("own", "")
        yield* pretend("a", { startTick: "1" })
        assert.deepStrictEqual(yield* leases.take("a", ""), Option.none())
      }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
    )

    it.effect("is held for as long as that lives, heartbeat or not", () =>
      Effect.gen(function* () {
        const leases = yield* another()
        yield* leases.take("own", "")
        yield* pretend("a", {})
        for (let minutes = 0; minutes < 10; minutes++) {
          assert.isTrue(Option.isSome(yield* leases.take("a", "")))
          yield* TestClock.adjust("1 minute")
        }
      }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
    )
  })

  it.effect("of another machine is held while its heartbeat changes, and free twelve seconds after", () =>
    Effect.gen(function* () {
      const leases = yield* another()
      yield* leases.take("own", "")
      const { write } = yield* pretend("a", { host: "elsewhere", boot: "another boot", pid: 1 })
      for (let beat = 1; beat < 10; beat++) {
        assert.isTrue(Option.isSome(yield* leases.take("a", "")))
        yield* TestClock.adjust("9 seconds")
        write(beat)
      }
      assert.isTrue(Option.isSome(yield* leases.take("a", "")))
      yield* TestClock.adjust("11 seconds")
      assert.isTrue(Option.isSome(yield* leases.take("a", "")))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* leases.take("a", ""), Option.none())
    }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
  )

  it.effect(
    "of another machine whose heartbeat has been still is free at once, though nobody had asked",
    () =>
      Effect.gen(function* () {
        const leases = yield* another()
        yield* leases.take("own", "")
        yield* pretend("a", { host: "elsewhere", boot: "another boot", pid: 1 })
        for (let seconds = 0; seconds < 18; seconds += 3) {
          yield* TestClock.adjust("3 seconds")
          // Heartbeats are files, which take real time.
          yield* TestClock.withLive(Effect.sleep("100 millis"))
        }
        assert.deepStrictEqual(yield* leases.take("a", ""), Option.none())
      }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
  )

  it.live("of another machine whose heartbeat stopped long ago is free at first sight", () =>
    Effect.gen(function* () {
      const { root } = yield* ArtifactStore
      const leases = yield* another()
      yield* leases.take("own", "")
      yield* pretend("a", { host: "elsewhere", boot: "another boot", pid: 1 })
      assert.lengthOf(yield* leases.processes, 2)
      const longAgo = Date.now() / 1000 - 3700
      utimesSync(join(root, "processes", "other.json"), longAgo, longAgo)
      const later = yield* another()
      assert.lengthOf(yield* later.processes, 1)
      for (const _ of [1, 2]) assert.isFalse((yield* later.living).has("other"))
    }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
  )

  it.live("of another machine may be suspended for a day until its store does not know it any more", () =>
    Effect.gen(function* () {
      const { root } = yield* ArtifactStore
      yield* Effect.flatMap(another(), ({ introduce }) => introduce)
      yield* pretend("a", { host: "elsewhere", boot: "another boot", pid: 1 })
      const seenAfter = Effect.fn("seenAfter")(function* (hours: number) {
        const then = Date.now() / 1000 - hours * 3600
        utimesSync(join(root, "processes", "other.json"), then, then)
        const later = yield* another()
        yield* later.introduce
        const seen = yield* later.sees("other")
        assert.strictEqual((yield* later.remembered).has("other"), seen !== "nothing")
        return seen
      })
      assert.strictEqual(yield* seenAfter(0), "living")
      assert.strictEqual(yield* seenAfter(23), "dead")
      assert.strictEqual(yield* seenAfter(25), "nothing")
    }).pipe(Effect.scoped, Effect.provide(temporaryStore())),
  )
})
