/** Flags that commands share. What they stand for is in `services.ts`. */
import { availableParallelism } from "node:os"
import { Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import { type Scale, scales } from "../pipelines/scale.ts"
import { type EngineName, engineNames, isOnGpu } from "../services/engine/engines.ts"
import { BadInput } from "./BadInput.ts"
import { isDamaged } from "./retryDamaged.ts"

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

/** The variable that says what `--cluster` leaves out. */
export const ADDRESS = "GROKSCOPE_CLUSTER"

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
