/** Flags that commands share, and the services they stand for. */
import { availableParallelism } from "node:os"
import { Effect, FileSystem, Layer, Option, type Path, Schema } from "effect"
import { Flag } from "effect/cli"
import type { ChildProcessSpawner } from "effect/process"
import { type Scale, SMOKE_NOTE, scales } from "../pipelines/scale.ts"
import { ArtifactStore, StoreFailure } from "../services/ArtifactStore.ts"
import { directoryOf, isAddress } from "../services/bucket/address.ts"
import { CodeFingerprint } from "../services/CodeFingerprint.ts"
import { type EngineName, engineLayer, engineNames, isOnGpu } from "../services/engine/engines.ts"
import { Executor } from "../services/executor/Executor.ts"
import { Leases } from "../services/Leases.ts"
import { Progress } from "../services/Progress.ts"
import { StageRunner } from "../services/StageRunner.ts"
import type { TensorEngine } from "../services/TensorEngine.ts"
import { BadInput } from "./BadInput.ts"
import { requireOpenFiles } from "./openFiles.ts"
import { isDamaged } from "./retryDamaged.ts"

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

export const store = Flag.String("store").pipe(
  Flag.withMetavar("DIR"),
  Flag.withDescription("Directory of the artifact store, or s3://BUCKET/PREFIX (see docs/cluster.md)"),
  Flag.withDefault("artifacts/store"),
)

export const scale = Flag.Literals("scale", scales).pipe(
  Flag.withDescription("paper: the full experiment; smoke: everything small, under a minute, not evidence"),
  Flag.withDefault("paper" as const),
)

export const set = Flag.String("set").pipe(
  Flag.withMetavar("FIELD=VALUE"),
  Flag.withDescription("Change one field of the configuration, such as train.learningRate=3e-4; repeatable"),
  Flag.atLeast(0),
)

export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print the result as JSON on standard output"),
  Flag.withDefault(false),
)

const keepGoing = Flag.Boolean("keep-going").pipe(
  Flag.withDescription("After a failure, compute everything that does not depend on what failed (default)"),
  Flag.withDefault(true),
)

const failFast = Flag.Boolean("fail-fast").pipe(
  Flag.withDescription("After a failure, stop everything"),
  Flag.withDefault(false),
)

/** What becomes of the rest when a stage fails. */
export const onFailure = { keepGoing, failFast }

export interface OnFailure {
  readonly keepGoing: boolean
  readonly failFast: boolean
}

export const stopsAll = ({ keepGoing, failFast }: OnFailure): boolean => failFast || !keepGoing

/** Whether an error only costs what depends on it. A damaged artifact is computed anew first. */
export const isTolerableUnless =
  (options: OnFailure) =>
  (error: Error): boolean =>
    !stopsAll(options) && !isDamaged(error)

const cores = availableParallelism()
/** Bytes that a worker may come to need at the paper's sizes. */
const WORKER_BYTES = 2 ** 30
/** As many workers as cores, and as fit into the memory that is free. */
const mostWorkers = Math.max(1, Math.min(cores, Math.floor(process.availableMemory() / WORKER_BYTES)))
const Threads = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1024 }))

/** As many as {@link workersFor} says. */
export const workers = Flag.Int("workers").pipe(
  Flag.withMetavar("N"),
  Flag.withSchema(Threads),
  Flag.withDescription(
    "Stages computed side by side, each on a worker thread (default: one per core that has 1 GiB of free memory; 1 for `single`, whose stages get all cores one after the other, and on a GPU)",
  ),
  Flag.optional,
)

const MOST_MEMBERS = 1024

export const ensemble = Flag.Int("ensemble").pipe(
  Flag.withMetavar("N"),
  Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: MOST_MEMBERS }))),
  Flag.withDescription(
    "Compute up to N stages side by side in one thread, what they ask of the engine at the same time as one program: fills a GPU (default: 1)",
  ),
  Flag.withDefault(1),
)

/** The workers that are asked for, or as many as suit the pipeline. A GPU never runs two programs at a time. */
export const workersFor = (
  pipeline: string,
  {
    workers,
    engine,
    ensemble = 1,
  }: {
    readonly workers: Option.Option<number>
    readonly engine: EngineName
    readonly ensemble?: number
  },
): Effect.Effect<number, BadInput> => {
  if (ensemble > 1) {
    return Option.isSome(workers)
      ? Effect.fail(
          new BadInput({
            message: `--workers ${workers.value} --ensemble ${ensemble}: an ensemble is computed by one worker; leave one of them out`,
          }),
        )
      : Effect.succeed(1)
  }
  const count = Option.getOrElse(workers, () => (pipeline === "single" || isOnGpu(engine) ? 1 : mostWorkers))
  return count > 1 && isOnGpu(engine)
    ? Effect.fail(
        new BadInput({
          message: `--workers ${count}: ${engine} has one device, which runs one stage at a time; leave --workers out, or fill it with --ensemble ${count}`,
        }),
      )
    : Effect.succeed(count)
}

export const engine = Flag.Literals("engine", [...engineNames, "auto"]).pipe(
  Flag.withDescription(
    "What computes tensors, see `doctor`: onnx on the CPU, onnx-webgpu on a GPU, tfjs-node or tfjs-node-gpu on TensorFlow, auto the fastest that works; part of every key (default: onnx)",
  ),
  Flag.withDefault("onnx"),
  Flag.mapEffect((name) =>
    name === "auto"
      ? Effect.flatMap(
          Effect.promise(() => import("./checked.ts")),
          ({ fastest }) => fastest,
        )
      : Effect.succeed(name),
  ),
)

export const threads = Flag.Int("threads").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription("Threads of the tensor engine of each worker (default: cores / workers)"),
  Flag.withSchema(Threads),
  Flag.optional,
)

const ADDRESS = "GROKSCOPE_CLUSTER"

export const cluster = Flag.String("cluster").pipe(
  Flag.withMetavar("ADDRESS"),
  Flag.withDescription(
    `Database by which a cluster's processes find each other: postgres://USER@HOST:PORT/DATABASE, the password in PGPASSWORD or ~/.pgpass (default: ${ADDRESS})`,
  ),
  Flag.optional,
)

export const executor = Flag.Literals("executor", ["local", "cluster", "slurm"]).pipe(
  Flag.withDescription(
    "Who computes: this process, the workers of a cluster, see `worker`, or Slurm's nodes",
  ),
  Flag.withDefault("local" as const),
)

export const sbatch = Flag.String("sbatch").pipe(
  Flag.withMetavar("OPTIONS"),
  Flag.withDescription(
    'Options of `sbatch` for --executor slurm, such as "--partition=long --cpus-per-task=4"',
  ),
  Flag.withDefault(""),
)

export const sbatchGpu = Flag.String("sbatch-gpu").pipe(
  Flag.withMetavar("OPTIONS"),
  Flag.withDescription(
    "More options of `sbatch`, for stages that compute on a GPU because of --engine (default: --gres=gpu:1)",
  ),
  Flag.withDefault("--gres=gpu:1"),
)

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

/** A command as its user gave it, without what changes no result. */
export const commandOf = (
  name: string,
  {
    scale,
    set = [],
    engine = "onnx",
  }: { readonly scale: Scale; readonly set?: ReadonlyArray<string>; readonly engine?: EngineName },
): string =>
  [
    name,
    ...(scale === "paper" ? [] : [`--scale ${scale}`]),
    ...(engine === "onnx" ? [] : [`--engine ${engine}`]),
    ...set.map((setting) => `--set ${setting}`),
  ].join(" ")

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
  const engineThreads = Option.getOrElse(options.threads, () => Math.max(1, Math.floor(cores / count)))
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
