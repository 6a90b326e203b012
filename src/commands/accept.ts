/** `accept <stage> --because "…"`: what other code computed counts as computed by the present code. */
import { Console, Effect, Layer, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { stages } from "../pipelines/registry.ts"
import { accept as acceptStage } from "../services/accept.ts"
import { CodeFingerprint } from "../services/CodeFingerprint.ts"
import { engineLayer } from "../services/engine/engines.ts"
import { BadInput, suggest } from "./BadInput.ts"
import { descriptions } from "./descriptions.ts"
import { engine, json, store } from "./options.ts"
import { printJson } from "./printJson.ts"
import { requireWritable, storeLayer } from "./services.ts"

/** What `--json` prints: how many outputs count as computed by the present code from now on. */
export const Accepted = Schema.Struct({
  store: Schema.String,
  stage: Schema.String,
  because: Schema.String,
  accepted: Schema.Int,
})

export const accept = Command.make(
  "accept",
  {
    stage: Argument.String("stage").pipe(Argument.withDescription("Name of a stage; see `list`")),
    because: Flag.String("because").pipe(
      Flag.withMetavar("REASON"),
      Flag.withDescription("Why the change of code changes no result; shown wherever the outputs are used"),
    ),
    store,
    engine,
    json,
  },
  (options) =>
    Effect.gen(function* () {
      const stage = stages.find(({ name }) => name === options.stage)
      if (stage === undefined) {
        const names = stages.map(({ name }) => name)
        return yield* new BadInput({
          message: `unknown stage ${options.stage}${suggest(options.stage, names)}`,
        })
      }
      if (options.because.trim() === "") return yield* new BadInput({ message: "--because: give a reason" })
      yield* requireWritable
      const accepted = yield* acceptStage(stage, options.because.trim())
      if (options.json) {
        const because = options.because.trim()
        return yield* printJson(Accepted, {
          store: options.store,
          stage: stage.name,
          because,
          accepted: accepted.length,
        })
      }
      yield* Console.log(
        accepted.length === 0
          ? `nothing to accept: ${options.store} has no output of ${options.stage} by other code that its present code lacks`
          : `${accepted.length} outputs of ${options.stage} count as computed by its present code, because ${options.because.trim()}`,
      )
    }).pipe(
      Effect.provide(
        Layer.merge(
          storeLayer(options),
          engineLayer(options.engine, { threads: 1 }).pipe(Layer.provideMerge(CodeFingerprint.layer)),
        ),
      ),
    ),
).pipe(
  Command.withDescription(descriptions.accept),
  Command.withExamples([
    {
      command: 'pnpm pipeline accept train --because "only renamed a helper"',
      description: "Spare training again",
    },
  ]),
)
