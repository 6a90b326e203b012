/** `run <pipeline>`: one pipeline or ablation at a scale, with single fields of its configuration changed. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { BadInput } from "./BadInput.ts"
import { declaredAblation } from "./declared.ts"
import { descriptions } from "./descriptions.ts"
import {
  cluster,
  commandOf,
  engine,
  ensemble,
  executor,
  json,
  onFailure,
  sbatch,
  sbatchGpu,
  scale,
  set,
  store,
  threads,
  workers,
  workersFor,
} from "./options.ts"
import { runAblation } from "./runAblation.ts"
import { runPipeline } from "./runPipeline.ts"
import { requireFit, runnerLayer } from "./services.ts"
import { otlp, watched } from "./telemetry.ts"

const out = Flag.String("out").pipe(
  Flag.withMetavar("DIR"),
  Flag.withDescription(
    "Directory for results of ablations (default: artifacts/ablations, or artifacts/smoke-ablations)",
  ),
  Flag.optional,
)

export const run = Command.make(
  "run",
  {
    pipeline: Argument.String("pipeline").pipe(
      Argument.withDescription(
        "Name of a pipeline or ablation, see `list`; or an ablation's YAML or JSON file",
      ),
    ),
    scale,
    set,
    store,
    out,
    workers,
    engine,
    threads,
    ensemble,
    executor,
    cluster,
    sbatch,
    sbatchGpu,
    otlp,
    ...onFailure,
    json,
  },
  Effect.fn(function* (options) {
    const { pipeline } = options
    if (pipeline === "reproduce-all") {
      return yield* new BadInput({
        message: "reproduce-all takes no --set and has a command of its own: pnpm pipeline reproduce-all",
      })
    }
    yield* requireFit(options)
    const command = commandOf(`run ${pipeline}`, options)
    const services = runnerLayer({ ...options, workers: yield* workersFor(pipeline, options), command })
    const trace = watched(command, options.otlp)
    if (pipeline === "single") return yield* Effect.provide(runPipeline(options), services).pipe(trace)
    const planned = yield* declaredAblation(options)
    const directory = options.scale === "smoke" ? "artifacts/smoke-ablations" : "artifacts/ablations"
    const results = Option.getOrElse(options.out, () => directory)
    return yield* Effect.provide(runAblation(planned, { ...options, out: results }), services).pipe(trace)
  }),
).pipe(
  Command.withDescription(descriptions.run),
  Command.withExamples([
    {
      command: "pnpm pipeline run single --set data.operation=sub --set seed=137",
      description: "Another run",
    },
    { command: "pnpm pipeline run heads --workers 2", description: "An ablation that ships" },
    { command: "pnpm pipeline run my-ablation.yaml", description: "One of your own" },
    { command: "pnpm pipeline run single --scale smoke", description: "Check that everything works" },
  ]),
)
