/**
 * `pnpm bench dispatch`: stages of no work on a cluster of worker processes: what asking, taking, storing and answering take by
 * themselves, and how much memory the process that asks needs. The database is that of GROKSCOPE_CLUSTER.
 */
import { join } from "node:path"
import { Console, Effect, FileSystem } from "effect"
import { Command, Flag } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { ClusterExecutor } from "../src/services/remote/ClusterExecutor.ts"
import { parseAddress } from "../src/services/remote/database.ts"
import { StageRunner } from "../src/services/StageRunner.ts"
import { append, count, here, recording, timed } from "./measured.ts"
import { servicesOn, tiny } from "./ours/tiny.ts"

const NAME = "dispatch"

export const dispatch = Command.make(
  NAME,
  {
    stages: count("stages", 10_000, "Stages"),
    workers: count("workers", 8, "Worker processes"),
    atATime: count("at-a-time", 1, "Stages of each worker at a time"),
    cluster: Flag.String("cluster").pipe(
      Flag.withDefault(process.env.GROKSCOPE_CLUSTER ?? "postgres://127.0.0.1/grokscope"),
    ),
    record: recording(NAME),
  },
  Effect.fn(function* ({ stages, workers, atATime, cluster, record }) {
    const fs = yield* FileSystem.FileSystem
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "grokscope-bench-" })
    const store = join(folder, "store")
    const address = yield* parseAddress(cluster)
    yield* Effect.forEach(Array.from({ length: workers }), () =>
      spawner.spawn(
        ChildProcess.make(process.execPath, [here("./ours/tinyWorker.ts"), store, cluster, `${atATime}`], {
          stdout: "ignore",
          stderr: "inherit",
        }),
      ),
    )
    const asking = Effect.gen(function* () {
      const { run } = yield* StageRunner
      const all = (from: number, length: number) =>
        Effect.forEach(
          Array.from({ length }, (_, i) => from + i),
          (n) => run(tiny, { n }, `tiny ${n}`),
          {
            concurrency: "unbounded",
            discard: true,
          },
        )
      // Until every worker has come.
      yield* all(-workers * 4, workers * 4)
      return yield* timed(all(0, stages))
    })
    const { milliseconds } = yield* Effect.provide(
      asking,
      servicesOn(store, "bench", ClusterExecutor.layer({ address, command: "bench", engine: "onnx" })),
    )
    const perSecond = stages / (milliseconds / 1000)
    const peakMegabytes = Math.round(process.resourceUsage().maxRSS / 1024)
    yield* Console.log(
      `${stages} stages on ${workers} workers: ${(milliseconds / 1000).toFixed(1)} s, ${perSecond.toFixed(0)} stages/s, ${((workers * atATime * milliseconds) / stages).toFixed(1)} ms of a worker's time each; ${peakMegabytes} MB in the process that asks`,
    )
    if (record) {
      yield* append(NAME, { stages, workers, atATime, seconds: milliseconds / 1000, peakMegabytes })
    }
  }, Effect.scoped),
).pipe(Command.withDescription("What dispatching stages to a cluster takes by itself"))
