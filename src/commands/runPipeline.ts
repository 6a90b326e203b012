/** Runs `single` through the store and prints its result; shared by `run` and `reproduce-all`. */
import { Console, Effect, Schema } from "effect"
import { evaluateAll } from "../pipelines/Node.ts"
import { expectations } from "../pipelines/outlook.ts"
import { configOf } from "../pipelines/registry.ts"
import type { Scale } from "../pipelines/scale.ts"
import { SingleConfig, single, targets } from "../pipelines/single.ts"
import { type OnFailure, stopsAll } from "./options.ts"
import { override } from "./overrides.ts"
import { evidenceOf, render, SingleResult } from "./results.ts"
import { retryDamaged } from "./retryDamaged.ts"
import { requireWritable } from "./services.ts"

export interface RunOptions extends OnFailure {
  readonly pipeline: string
  readonly scale: Scale
  readonly set: ReadonlyArray<string>
  readonly json: boolean
}

const evaluateSingle = Effect.fn("evaluateSingle")(function* (config: SingleConfig, failFast: boolean) {
  const nodes = single(config)
  const { run, couplings } = nodes
  const resolve = yield* evaluateAll(targets(nodes), { failFast, expect: yield* expectations })
  return {
    run: yield* resolve(run),
    coupling: yield* Effect.forEach(couplings, ({ kind, placement, coupling }) =>
      Effect.map(resolve(coupling), (output) => ({ rows: kind, window: placement, ...output })),
    ),
  }
})

export const runPipeline = Effect.fn("runPipeline")(function* (options: RunOptions) {
  const { pipeline, scale, set, json } = options
  const config = yield* override(SingleConfig, configOf(scale), set)
  yield* requireWritable
  const outputs = yield* retryDamaged(evaluateSingle(config, stopsAll(options)))
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
