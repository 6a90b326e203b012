/** What our side of a race shares: its options, the engine, and the line that it prints. */
import { parseArgs } from "node:util"
import { Console, Effect, Layer, type Scope } from "effect"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../src/services/engine/onnx/OnnxEngine.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "1" },
    steps: { type: "string", default: "1" },
    tasks: { type: "string", default: "1" },
    width: { type: "string", default: "128" },
    modulus: { type: "string", default: "97" },
    window: { type: "string", default: "20" },
    directions: { type: "string", default: "0" },
  },
})

export const options = {
  threads: Number(values.threads),
  steps: Number(values.steps),
  tasks: Number(values.tasks),
  width: Number(values.width),
  modulus: Number(values.modulus),
  window: Number(values.window),
  directions: Number(values.directions),
}

interface Figures {
  readonly msPerStep: ReadonlyArray<number>
  readonly floorMs?: number
}

/** Runs a measurement on the default engine and prints its figures as one line of JSON. */
export const print = <E>(measure: Effect.Effect<Figures, E, TensorEngine | Scope.Scope>): Promise<void> =>
  Effect.gen(function* () {
    const { version } = yield* TensorEngine
    const figures = yield* measure
    const peakMegabytes = Math.round(process.resourceUsage().maxRSS / 1024)
    const { threads } = options
    yield* Console.log(
      JSON.stringify({ peer: "grokscope", version: yield* version, threads, ...figures, peakMegabytes }),
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(OnnxEngine.layer({ threads: options.threads }).pipe(Layer.provide(CodeFingerprint.layer))),
    Effect.runPromise,
  )
