/** The smallest experiment that has every part: seconds, not minutes. Says nothing about grokking. */
import { Effect, Layer } from "effect"
import { closure, evaluator } from "../../src/pipelines/Node.ts"
import { type SingleConfig, single, targets } from "../../src/pipelines/single.ts"
import { smoke } from "../../src/pipelines/sizes.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../src/services/engine/onnx/OnnxEngine.ts"
import { Executor } from "../../src/services/executor/Executor.ts"
import { Progress } from "../../src/services/Progress.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { temporaryStore } from "../services/store/temporary.ts"

/** Checkpoints 0, 5, …, 50: numbers 0 to 10. Measurement points: checkpoints 0, 5 and 10. */
export const tiny: SingleConfig = {
  ...smoke,
  data: { operation: "add", modulus: 7, trainFraction: 0.5, labels: "true" },
  model: { width: 8, heads: 2, feedForward: 8, layers: 2 },
  train: { ...smoke.train, batchSize: 8, maxSteps: 50, evaluateEvery: 5 },
  capture: { ...smoke.capture, batchSize: 8 },
  svd: { ...smoke.svd, window: 4, rank: 2, points: 3 },
  probe: { ...smoke.probe, probes: 8, draws: 3 },
}

/** Every field of a configuration as `path=value`, as `--set` takes it. */
export const settings = (config: object, prefix = ""): ReadonlyArray<string> =>
  Object.entries(config).flatMap(([key, value]) =>
    typeof value === "object" && value !== null
      ? settings(value, `${prefix}${key}.`)
      : [`${prefix}${key}=${value}`],
  )

/** The engine, one thread, counting the calls of each compiled scan by the program's name. */
export const countingEngine = (calls: Map<string, number>) =>
  Layer.effect(
    TensorEngine,
    Effect.map(TensorEngine, (engine) =>
      TensorEngine.of({
        ...engine,
        compileScan: (scan) =>
          Effect.map(engine.compileScan(scan), ({ run }) => ({
            run: (inputs) =>
              Effect.suspend(() => {
                calls.set(scan.name, (calls.get(scan.name) ?? 0) + 1)
                return run(inputs)
              }),
          })),
      }),
    ),
  ).pipe(Layer.provideMerge(OnnxEngine.layer({ threads: 1 })), Layer.provideMerge(CodeFingerprint.layer))

/** An empty store, and the engine. */
export const laboratory = (calls = new Map<string, number>()) =>
  Layer.merge(countingEngine(calls), temporaryStore())

/** Runs `single` on the store at hand, and says what was computed and what was cached, by label. */
export const runSingle = Effect.fn("runSingle")(function* (config: SingleConfig) {
  const computed: Array<string> = []
  const cached: Array<string> = []
  const progress = Layer.succeed(Progress, {
    running: (label, effect) => Effect.tap(effect, () => Effect.sync(() => computed.push(label))),
    step: () => Effect.void,
    cached: (label) => Effect.sync(() => cached.push(label)),
    plan: () => Effect.void,
    say: () => Effect.void,
  })
  const nodes = single(config)
  const resolve = evaluator()
  return yield* Effect.gen(function* () {
    const data = yield* resolve(nodes.data)
    const run = yield* resolve(nodes.run)
    const couplings = yield* Effect.forEach(nodes.couplings, ({ kind, placement, coupling }) =>
      Effect.map(resolve(coupling), (output) => ({ kind, placement, ...output })),
    )
    const gradients = yield* Effect.all({
      gradient: resolve(nodes.gradients.gradient),
      "random-logits": resolve(nodes.gradients["random-logits"]),
      "permuted-labels": resolve(nodes.gradients["permuted-labels"]),
    })
    return { data, run, gradients, couplings, computed, cached }
  }).pipe(
    Effect.provide(
      Layer.fresh(StageRunner.layer().pipe(Layer.provide(Executor.inProcess()))).pipe(
        Layer.provideMerge(progress),
      ),
    ),
  )
})

/** The labels of all nodes of `single`. */
export const labels: ReadonlyArray<string> = closure(targets(single(tiny))).map(({ label }) => label)
