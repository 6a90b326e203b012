/** `run <pipeline>`: one pipeline at a scale, with single fields of its configuration changed. */
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { pipelines } from "../pipelines/registry.ts"
import { BadInput, suggest } from "./BadInput.ts"
import { commandOf, fewWorkers, json, onFailure, runnerLayer, scale, set, store, threads } from "./options.ts"
import { runPipeline } from "./runPipeline.ts"

export const run = Command.make(
  "run",
  {
    pipeline: Argument.String("pipeline").pipe(Argument.withDescription("Name of a pipeline; see `list`")),
    scale,
    set,
    store,
    workers: fewWorkers,
    threads,
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
    if (pipeline !== "single") {
      const names = pipelines.map(({ name }) => name)
      return yield* new BadInput({ message: `unknown pipeline ${pipeline}${suggest(pipeline, names)}` })
    }
    return yield* runPipeline(options).pipe(
      Effect.provide(runnerLayer({ ...options, command: commandOf(`run ${pipeline}`, options) })),
    )
  }),
).pipe(
  Command.withDescription("Run a pipeline; what is stored is not computed again, what was stopped goes on"),
  Command.withExamples([
    {
      command: "pnpm pipeline run single --set data.operation=sub --set seed=137",
      description: "Another run",
    },
    { command: "pnpm pipeline run single --scale smoke", description: "Check that everything works" },
  ]),
)
