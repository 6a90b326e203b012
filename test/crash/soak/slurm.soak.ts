/**
 * A sweep of twelve runs as tasks of a real Slurm of one host, half of which are cancelled. `STORE=DIR pnpm test:crash slurm` takes the sweep that it is
 * compared with from there, or has it computed there.
 */
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Console, Duration, Effect } from "effect"
import { cli, start } from "../../commands/process.ts"
import { hasSlurm, startSlurm } from "../../services/remote/slurm.ts"
import { temporaryDirectory } from "../../services/store/temporary.ts"
import { recordsOf } from "../stores.ts"
import { runPart } from "./figures.ts"
import { fullStore } from "./settings.ts"
import { going, SCALE, sweepIn, twice } from "./sweep.ts"

const lines = (text: string) => text.split("\n").filter((line) => line !== "")

it.live("a sweep ends with the bits of one machine though Slurm cancels half of it", () =>
  runPart(
    "slurm",
    Effect.gen(function* () {
      if (!hasSlurm) {
        return {
          summary: "not run",
          figures: {},
          skipped: [{ what: "all of it", because: "it takes Slurm, and root to start one" }],
        }
      }
      const { env, slurm } = yield* startSlurm
      const directory = yield* temporaryDirectory
      const sweep = sweepIn(directory)
      const [here, store] = [fullStore ?? join(directory, "here"), join(directory, "store")]
      const reference = yield* cli(sweep(here))
      assert.strictEqual(reference.code, 0, reference.stderr)
      const expected = new Map(recordsOf(here).map((record) => [record.key, record]))

      const tasks = () => lines(slurm("squeue", "-h", "-r", "-o", "%F_%K"))
      const [firstTook, cancelled] = yield* Effect.timed(
        Effect.gen(function* () {
          const asking = yield* start([...sweep(store), "--executor", "slurm"], { env })
          while ([...going(store).values()].filter((count) => count >= 2).length < 2) yield* Effect.sleep(100)
          const half = tasks().filter((_, i) => i % 2 === 0)
          slurm("scancel", ...half)
          const { code, stderr } = yield* asking.finished
          assert.strictEqual(code, 1)
          assert.match(stderr, /Slurm task \d+_\d+ ended without an answer, cancelled/)
          return half.length
        }),
      )
      yield* Console.log(`slurm: ${cancelled} tasks cancelled, ended after ${Duration.format(firstTook)}`)
      const [secondTook, again] = yield* Effect.timed(cli([...sweep(store), "--executor", "slurm"], { env }))
      assert.strictEqual(again.code, 0, again.stderr)
      yield* Console.log(`slurm: the same command again, ${Duration.format(secondTook)}`)
      const records = recordsOf(store)
      for (const record of records) assert.deepStrictEqual(record, expected.get(record.key))
      assert.strictEqual(twice(store), 0)
      return {
        summary: `a sweep of 12 runs (${SCALE}) as tasks of Slurm, ${cancelled} of whose tasks were cancelled, ended with the bits of one machine when it was run again`,
        figures: {
          stages: records.length,
          cancelledTasks: cancelled,
          computedTwice: twice(store),
          secondsUntilCancelledRunEnded: Math.round(Duration.toSeconds(firstTook)),
          secondsOfSecondRun: Math.round(Duration.toSeconds(secondTook)),
        },
      }
    }).pipe(Effect.scoped),
  ).pipe(Effect.provide(NodeServices.layer)),
)
