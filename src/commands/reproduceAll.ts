/** `reproduce-all`: everything of the paper that is built so far. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { json, runnerLayer, scale, store, threads } from "./options.ts"
import { runPipeline } from "./runPipeline.ts"

export const reproduceAll = Command.make("reproduce-all", { scale, store, threads, json }, (options) =>
  runPipeline({ ...options, pipeline: "reproduce-all", set: [] }).pipe(Effect.provide(runnerLayer(options))),
).pipe(
  Command.withDescription("Reproduce everything of the paper that is built so far"),
  Command.withExamples([
    {
      command: "pnpm pipeline reproduce-all",
      description: "Full size; stop it and start it again at any time",
    },
  ]),
)
