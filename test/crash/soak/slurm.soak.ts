/**
 * A sweep of twelve runs as tasks of a real Slurm of one host, half of which are cancelled. With a share below one, runs are small.
 * `STORE=DIR` takes the sweep that it is compared with from there, or has it computed there.
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
import { onOneMachine, SCALE, sweepIn, twice, untilCheckpoints } from "./sweep.ts"

const because = "it takes Slurm, and root to start one"

it.live("a sweep ends with the bits of one machine though Slurm cancels half of it", () =>
  runPart(
    "slurm",
    Effect.gen(function* () {
      if (!hasSlurm) return { summary: "not run", figures: {}, skipped: [{ what: "all of it", because }] }
      const expected = yield* onOneMachine(SCALE)
      const { env, slurm } = yield* startSlurm
      const directory = yield* temporaryDirectory
      const store = join(directory, "store")
      const sweep = [...sweepIn(directory)(store), "--executor", "slurm"]

      const [firstTook, cancelled] = yield* Effect.timed(
        Effect.gen(function* () {
          const asking = yield* start(sweep, { env })
          yield* untilCheckpoints(store, 3)
          const tasks = slurm("squeue", "-h", "-r", "-o", "%F_%K").split("\n").filter(Boolean)
          const half = tasks.filter((_, i) => i % 2 === 0)
          slurm("scancel", ...half)
          const { code, stderr } = yield* asking.finished
          assert.strictEqual(code, 1)
          assert.match(stderr, /Slurm task \d+_\d+ ended without an answer, cancelled/)
          return { tasks: half.length, of: tasks.length, left: expected.length - recordsOf(store).length }
        }),
      )
      yield* Console.log(
        `slurm: ${cancelled.tasks} of ${cancelled.of} tasks cancelled, ended after ${Duration.format(firstTook)}`,
      )
      const [secondTook, again] = yield* Effect.timed(cli(sweep, { env }))
      assert.strictEqual(again.code, 0, again.stderr)
      yield* Console.log(`slurm: the same command again, ${Duration.format(secondTook)}`)
      assert.deepStrictEqual(recordsOf(store), expected)
      assert.strictEqual(twice(store), 0)
      return {
        summary: `a sweep of 12 runs (${SCALE}) as tasks of Slurm, ${cancelled.tasks} of ${cancelled.of} of which were cancelled in the middle, ended with the bits of one machine when it was run again, each of its ${expected.length} stages computed once`,
        figures: {
          stages: expected.length,
          cancelledTasks: cancelled.tasks,
          ofTasks: cancelled.of,
          stagesLeft: cancelled.left,
          seconds: {
            untilTheCancelledRunEnded: Math.round(Duration.toSeconds(firstTook)),
            ofTheSecondRun: Math.round(Duration.toSeconds(secondTook)),
          },
        },
      }
    }),
  ).pipe(Effect.provide(NodeServices.layer)),
)
