/** Runs whose stages are tasks of a real Slurm. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Option } from "effect"
import { Executor } from "../../../src/services/executor/Executor.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { SlurmExecutor } from "../../../src/services/remote/SlurmExecutor.ts"
import { cli, lines, start } from "../../commands/process.ts"
import { computedIn, eventsOf, recordsOf } from "../../crash/stores.ts"
import { labels, settings, tiny } from "../../pipelines/tiny.ts"
import { count } from "../executor/stages.ts"
import { filesBelow, temporaryDirectory, temporaryStore } from "../store/temporary.ts"
import { hasSlurm, startSlurm } from "./slurm.ts"

const TIMEOUT = 180_000

const config = { ...tiny, train: { ...tiny.train, maxSteps: 2000 } }

const run = (store: string, ...more: ReadonlyArray<string>) => [
  ...["run", "single", "--scale", "smoke", "--threads", "1", "--json", "--store", store, ...more],
  ...settings(config).flatMap((setting) => ["--set", setting]),
]

const suite = hasSlurm ? describe : describe.skip

// Left out where there is none, or where this is not root: apt-get install slurm-wlm.
suite("Slurm", () => {
  layer(NodeServices.layer, { excludeTestServices: true, timeout: TIMEOUT })((it) => {
    it.effect(
      "computes what one machine does; a cancelled task costs what depends on it, and the same command goes on",
      () =>
        Effect.gen(function* () {
          const { env, slurm } = yield* startSlurm
          const directory = yield* temporaryDirectory
          const [here, store] = [join(directory, "here"), join(directory, "store")]
          const reference = yield* cli(run(here))
          const asking = yield* start(run(store, "--executor", "slurm"), { env })
          const entries = join(store, "cursors", "train")
          while (!existsSync(entries) || filesBelow(entries).length < 20) yield* Effect.sleep(5)
          slurm("scancel", "--state=RUNNING", "--user=root")
          const cancelled = yield* asking.finished
          assert.strictEqual(cancelled.code, 1)
          assert.match(
            cancelled.stderr,
            /error: Slurm task \d+_0 ended without an answer, cancelled \(log: [^\n]+\.log\); run the same command again to go on\n$/,
          )
          assert.deepStrictEqual(computedIn(store), ["generate-data"])
          const { code, stdout, stderr } = yield* cli(run(store, "--executor", "slurm"), { env })
          assert.strictEqual(code, 0, stderr)
          assert.strictEqual(stdout, reference.stdout)
          assert.deepStrictEqual(recordsOf(store), recordsOf(here))
          assert.deepStrictEqual(computedIn(store), [...labels].sort())
          const logs = eventsOf(store).flatMap((event) => (event._tag === "Started" && event.log) || [])
          assert.isTrue(logs.length > 0 && logs.every((log) => existsSync(log)))
          const refused = yield* cli(
            run(join(directory, "other"), "--executor", "slurm", "--sbatch=--partition=none"),
            {
              env,
            },
          )
          assert.strictEqual(refused.code, 1)
          assert.match(refused.stderr, /error: [^\n]*sbatch did not take it: [^\n]*partition[^\n]*\n$/)
        }),
      TIMEOUT,
    )

    it.effect(
      "asks for a GPU for stages that compute on one, and for no others",
      () =>
        Effect.gen(function* () {
          const { env, slurm } = yield* startSlurm
          yield* Effect.acquireRelease(
            Effect.sync(() => Object.assign(process.env, env)),
            () => Effect.sync(() => delete process.env.SLURM_CONF),
          )
          const executor = SlurmExecutor.layer({
            command: "test",
            engine: "onnx-webgpu",
            threads: Option.none(),
            options: ["--hold"],
            gpuOptions: ["--gres=gpu:1"],
          }).pipe(Layer.provide(temporaryStore()), Layer.provideMerge(Progress.silent))
          const said = { key: "", cursorKey: "", label: "", begin: Effect.void, ask: Effect.void }
          const asking = Effect.gen(function* () {
            const { compute } = yield* Executor
            yield* Effect.forEach(
              [true, false, true, true, false],
              (usesEngine) => compute({ ...count, usesEngine }, { to: 1 }, said),
              { concurrency: "unbounded" },
            )
          }).pipe(Effect.provide(executor))
          yield* Effect.forkScoped(asking)
          /** Of each task its array and what it asks for. */
          const queued = () =>
            lines(slurm("squeue", "-h", "-r", "-o", "%F %b")).map((line) => line.split(" "))
          while (queued().length < 5) yield* Effect.sleep(100)
          const arrays = Map.groupBy(queued(), ([array]) => array)
          const found = [...arrays].map(([array, tasks]) => {
            const script = slurm("scontrol", "write", "batch_script", array, "-")
            return {
              resources: tasks.map(([, resources]) => resources),
              engine: /'--engine' '(.+?)'/.exec(script)?.[1],
            }
          })
          assert.sameDeepMembers(found, [
            { resources: ["gres:gpu:1", "gres:gpu:1", "gres:gpu:1"], engine: "onnx-webgpu" },
            { resources: ["N/A", "N/A"], engine: "onnx" },
          ])
        }),
      TIMEOUT,
    )

    it.effect(
      "waits for a Slurm that takes no jobs, and sees at once that a task was cancelled before it began",
      () =>
        Effect.gen(function* () {
          const { env, slurm, stop, start: startAgain } = yield* startSlurm
          yield* stop
          const store = join(yield* temporaryDirectory, "store")
          const asking = yield* start(run(store, "--executor", "slurm", "--sbatch=--hold"), { env })
          const printed = Effect.map(asking.printed, ({ stderr }) => stderr)
          while (!(yield* printed).includes("Slurm takes no jobs now")) yield* Effect.sleep(100)
          yield* Effect.sleep("22 seconds") // it tries again meanwhile, which takes nine
          yield* startAgain
          while (!(yield* printed).includes("Slurm job")) yield* Effect.sleep(100)
          slurm("scancel", slurm("squeue", "-h", "-r", "-o", "%F_%K").trim())
          const [took, { code, stderr }] = yield* Effect.timed(asking.finished)
          assert.strictEqual(code, 1)
          assert.lengthOf(stderr.match(/Slurm takes no jobs now/g) ?? [], 1)
          assert.match(stderr, /error: Slurm task \d+_0 ended without an answer, cancelled/)
          assert.isBelow(Duration.toSeconds(took), 30)
        }),
      TIMEOUT,
    )
  })
})
