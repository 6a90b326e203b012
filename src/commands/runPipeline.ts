/** Runs `single` through the store and prints its result; shared by `run` and `reproduce-all`. */
import { Console, Effect, Schedule, Schema } from "effect"
import { evaluator } from "../pipelines/Node.ts"
import { configOf, type Scale, single } from "../pipelines/registry.ts"
import { SingleConfig } from "../pipelines/single.ts"
import { requireWritable } from "./options.ts"
import { override } from "./overrides.ts"
import { evidenceOf, render, SingleResult } from "./results.ts"

export interface RunOptions {
  readonly pipeline: string
  readonly scale: Scale
  readonly set: ReadonlyArray<string>
  readonly json: boolean
}

const evaluateSingle = Effect.fn("evaluateSingle")(function* (config: SingleConfig) {
  const { run, couplings } = single(config)
  const resolve = evaluator()
  return {
    run: yield* resolve(run),
    coupling: yield* Effect.forEach(couplings, ({ kind, direction, coupling }) =>
      Effect.map(resolve(coupling), (output) => ({ rows: kind, window: direction, ...output })),
    ),
  }
})

const isDamaged = (error: Error): boolean => "_tag" in error && error._tag === "DamagedArtifact"

export const runPipeline = Effect.fn("runPipeline")(function* ({ pipeline, scale, set, json }: RunOptions) {
  const config = yield* override(SingleConfig, configOf(scale), set)
  yield* requireWritable
  const outputs = yield* evaluateSingle(config).pipe(
    // A damaged artifact is in quarantine by now: it counts as missing and is recomputed.
    Effect.tapError((error) => (isDamaged(error) ? Console.error(`warning: ${error.message}`) : Effect.void)),
    Effect.retry({ while: isDamaged, schedule: Schedule.recurs(8) }),
  )
  const result: SingleResult = {
    pipeline,
    scale,
    evidence: evidenceOf(scale, config),
    config,
    ...outputs,
  }
  if (!json) return yield* Console.log(render(result))
  return yield* Console.log(JSON.stringify(yield* Schema.encodeEffect(SingleResult)(result), null, 2))
})
