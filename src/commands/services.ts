/** What flags that commands share stand for: the store, the engine, and who computes on them. Knows no particular command. */
import { availableParallelism } from "node:os"
import { Effect, FileSystem, Layer, Option, type Path } from "effect"
import type { ChildProcessSpawner } from "effect/process"
import { type Scale, SMOKE_NOTE } from "../pipelines/scale.ts"
import { ArtifactStore, StoreFailure } from "../services/ArtifactStore.ts"
import { directoryOf, isAddress } from "../services/bucket/address.ts"
import { CodeFingerprint } from "../services/CodeFingerprint.ts"
import { type EngineName, engineLayer } from "../services/engine/engines.ts"
import { Executor } from "../services/executor/Executor.ts"
import { Leases } from "../services/Leases.ts"
import { Progress } from "../services/Progress.ts"
import { StageRunner } from "../services/StageRunner.ts"
import type { TensorEngine } from "../services/TensorEngine.ts"
import { BadInput } from "./BadInput.ts"
import { requireOpenFiles } from "./openFiles.ts"
import { ADDRESS } from "./options.ts"

/** The directory of a store that is given as one, or as the address of a bucket. */
const directoryAt = (store: string): Effect.Effect<string, BadInput> => {
  const directory = isAddress(store) ? directoryOf(store) : store
  if (directory !== undefined) return Effect.succeed(directory)
  const shown = store.replace(/\/\/.*@/, "//…@")
  return Effect.fail(
    new BadInput({
      message: `--store ${shown}: expected s3://BUCKET or s3://BUCKET/PREFIX, of letters, digits and . _ -; credentials belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials`,
    }),
  )
}

/** The address of the cluster that is meant. */
export const clusterAddress = (cluster: Option.Option<string>) =>
  Effect.gen(function* () {
    const { parseAddress } = yield* Effect.promise(() => import("../services/remote/database.ts"))
    const text = Option.getOrUndefined(cluster) ?? process.env[ADDRESS]
    if (text === undefined) {
      return yield* new BadInput({
        message: `--cluster is missing: give postgres://USER@HOST:PORT/DATABASE, or set ${ADDRESS}`,
      })
    }
    return yield* parseAddress(text).pipe(
      Effect.mapError(({ message }) => new BadInput({ message: `--cluster: ${message}` })),
    )
  })

export const storeLayer = (options: { readonly store: string }) =>
  Layer.unwrap(Effect.map(directoryAt(options.store), ArtifactStore.layer))

/** An engine whose programs run in ensembles. */
const inEnsembles = <E, R>(most: number, engine: Layer.Layer<TensorEngine, E, R>) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("../services/engine/Ensembles.ts")),
      ({ Ensembles }) => Layer.provide(Ensembles.layer({ most }), engine),
    ),
  )

/** Stages computed by the workers of a cluster. */
const inCluster = Effect.fn("inCluster")(function* ({
  command,
  engine,
  cluster = Option.none(),
}: {
  readonly command: string
  readonly engine: EngineName
  readonly cluster?: Option.Option<string>
}) {
  const address = yield* clusterAddress(cluster)
  const { ClusterExecutor } = yield* Effect.promise(() => import("../services/remote/ClusterExecutor.ts"))
  const files = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  return Layer.provide(ClusterExecutor.layer({ address, command, engine }), Layer.succeedContext(files))
})

/** Slurm itself writes the logs of its tasks into the store. */
export const requireFit = Effect.fnUntraced(function* (options: {
  readonly executor: "local" | "cluster" | "slurm"
  readonly store: string
}) {
  const { executor, store } = options
  if (executor !== "slurm" || !isAddress(store)) return
  const message = `--executor slurm --store ${store}: Slurm cannot write logs into a bucket; give a directory that all nodes share`
  return yield* new BadInput({ message })
})

/** Stages computed by tasks of Slurm. */
const onSlurm = Effect.fn("onSlurm")(function* ({
  command,
  engine,
  threads,
  sbatch = "",
  sbatchGpu = "",
}: {
  readonly command: string
  readonly engine: EngineName
  readonly threads: Option.Option<number>
  readonly sbatch?: string
  readonly sbatchGpu?: string
}) {
  const { SlurmExecutor } = yield* Effect.promise(() => import("../services/remote/SlurmExecutor.ts"))
  const [options, gpuOptions] = [sbatch, sbatchGpu].map((text) =>
    text.split(/\s+/).filter((option) => option !== ""),
  )
  const system = yield* Effect.context<
    FileSystem.FileSystem | Path.Path | ChildProcessSpawner.ChildProcessSpawner
  >()
  return SlurmExecutor.layer({ command, options, gpuOptions, engine, threads }).pipe(
    Layer.provide(Layer.succeedContext(system)),
  )
})

/**
 * Everything that running stages takes. Without `workers`, stages run in this thread, one after the other. `command` is
 * what the run is known as to others, and in its journal.
 */
export const runnerLayer = (options: {
  readonly command: string
  readonly store: string
  readonly workers?: number
  readonly engine: EngineName
  readonly threads: Option.Option<number>
  readonly ensemble?: number
  readonly executor?: "local" | "cluster" | "slurm"
  readonly cluster?: Option.Option<string>
  readonly sbatch?: string
  readonly sbatchGpu?: string
  readonly scale: Scale
  readonly leases?: ReturnType<typeof Leases.layer>
}) => {
  const { command, workers: count = 1, engine, ensemble = 1 } = options
  const engineThreads = Option.getOrElse(options.threads, () =>
    Math.max(1, Math.floor(availableParallelism() / count)),
  )
  const notes = [
    ...(options.scale === "smoke" ? [SMOKE_NOTE] : []),
    ...(ensemble > 1 ? [`in ensembles of up to ${ensemble}`] : []),
  ]
  const note = notes.length === 0 ? undefined : notes.join("; ")
  const here =
    options.workers === undefined || ensemble > 1
      ? Executor.inProcess(ensemble)
      : Executor.workers({ count, engine, engineThreads })
  const executor = Layer.unwrap(
    Effect.gen(function* () {
      switch (options.executor) {
        case "cluster":
          return yield* inCluster({ ...options, command })
        case "slurm":
          return yield* onSlurm({ ...options, command })
        default:
          return here
      }
    }),
  )
  const engineHere = engineLayer(engine, { threads: engineThreads })
  return Layer.effectDiscard(requireOpenFiles(Math.max(count, ensemble))).pipe(
    Layer.provideMerge(StageRunner.layer({ command, note, leases: options.leases ?? Leases.layer(command) })),
    Layer.provide(executor),
    Layer.provideMerge(ensemble > 1 ? inEnsembles(ensemble, engineHere) : engineHere),
    Layer.provideMerge(
      Layer.mergeAll(storeLayer(options), Progress.layer(process.stderr), CodeFingerprint.layer),
    ),
  )
}

/** Everything that looking takes: nothing is computed, no lock taken, nothing written. */
export const lookingLayer = (options: { readonly store: string; readonly engine: EngineName }) =>
  StageRunner.peeking.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        storeLayer(options),
        Progress.layer(process.stderr),
        engineLayer(options.engine, { threads: 1 }).pipe(Layer.provideMerge(CodeFingerprint.layer)),
      ),
    ),
  )

/** Fails where there is no store to look at. */
export const requireStore = Effect.fn("requireStore")(function* (store: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* directoryAt(store)
  const failure = (cause: unknown) => new StoreFailure({ operation: "look for", path, cause })
  if (!(yield* fs.exists(path).pipe(Effect.mapError(failure)))) {
    return yield* new BadInput({ message: `--store ${store}: there is no store` })
  }
})

/** Fails early, and leaves nothing behind, where the store cannot be written. */
export const requireWritable = Effect.flatMap(ArtifactStore, (store) => store.requireWritable).pipe(
  Effect.mapError(({ message }) => new BadInput({ message })),
)
