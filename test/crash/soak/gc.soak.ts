import { cpSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Console, Effect, Layer } from "effect"
import * as fc from "fast-check"
import { cli } from "../../commands/process.ts"
import { labels, tiny } from "../../pipelines/tiny.ts"
import { filesBelow, temporaryDirectory } from "../../services/store/temporary.ts"
import { age, asOneCommand, beside, collect, count, killedAmong, Quiet, run } from "../collections.ts"
import { runPart } from "./figures.ts"
import { seed, shareOf } from "./settings.ts"

/** Runs beside which garbage is collected all the time, and collections that are killed. */
const RUNS = 20
const KILLS = 60

const KINDS = ["records", "cursors", "objects"]

it.live("garbage is collected beside runs, and by processes that are killed", () =>
  runPart(
    "gc",
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const old = join(directory, "old")
      for (const seed of [7, 8]) {
        assert.strictEqual((yield* cli(run(old, { ...tiny, seed }))).code, 0)
      }
      asOneCommand(old)
      age(old)
      const copy = Effect.map(temporaryDirectory, (parent) => {
        const store = join(parent, "store")
        cpSync(old, store, { recursive: true, preserveTimestamps: true })
        return store
      })

      const runs = shareOf(RUNS)
      let collections = 0
      let deleted = 0
      for (let i = 0; i < runs; i++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const store = yield* copy
            const all = yield* beside(store)
            collections += all.length
            deleted += all.reduce((sum, { losses }) => sum + losses.length, 0)
            assert.strictEqual(count(store, "records"), 2 * labels.length)
          }),
        )
        yield* Console.log(`gc: ${i + 1} of ${runs} runs, ${collections} collections beside them`)
      }

      const kept = yield* copy
      yield* collect(kept)
      const kills = shareOf(KILLS, KINDS.length)
      /** After which share of the garbage of a kind. */
      const moments = fc.sample(fc.double({ min: 0, max: 0.5, noNaN: true }), { seed, numRuns: kills })
      const killed: Record<string, number> = {}
      for (const [i, moment] of moments.entries()) {
        const kind = KINDS[i % KINDS.length]
        yield* Effect.scoped(
          Effect.gen(function* () {
            const store = yield* copy
            const garbage = count(store, kind) - count(kept, kind)
            yield* killedAmong(store, kind, 1 + Math.floor(moment * garbage))
            yield* collect(store)
            for (const each of KINDS) {
              assert.deepStrictEqual(filesBelow(join(store, each)), filesBelow(join(kept, each)), `kill ${i}`)
            }
          }),
        )
        killed[kind] = (killed[kind] ?? 0) + 1
        yield* Console.log(`gc: ${i + 1} of ${kills} kills`)
      }
      return {
        summary: `${collections} collections beside ${runs} runs deleted ${deleted} superseded results and nothing else; ${kills} collections killed in the middle left no damage, and the next one did the rest`,
        figures: { runs, collections, deleted, kills, killedAmong: killed },
      }
    }),
  ).pipe(Effect.provide(Quiet.layer.pipe(Layer.provideMerge(NodeServices.layer)))),
)
