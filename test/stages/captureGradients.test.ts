import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Block, blocks, rangesOf, sizeOfRanges } from "../../src/model/blocks.ts"
import { blockGradient, clippedGradient } from "../../src/model/programs.ts"
import { stream } from "../../src/numerics/random.ts"
import { float32, getTensors } from "../../src/services/artifacts.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { type CaptureConfig, captureGradients } from "../../src/stages/captureGradients.ts"
import { draw, type Examples, loadPairs } from "../../src/stages/pairs.ts"
import { stepInputs } from "../../src/stages/training.ts"
import { openTrajectory } from "../../src/stages/trajectory.ts"
import { assertClose, assertSameBits } from "../model/close.ts"
import { slotsOf } from "../model/slots.ts"
import { tiny } from "../pipelines/tiny.ts"
import { memoryCursor, seed, trainTiny, workbench } from "./tinyRun.ts"

const config: CaptureConfig = { batch: "mixed", batchSize: 8, task: null, stride: 1 }
type Trained = Effect.Success<ReturnType<typeof trainTiny>>

const capture = Effect.fn("capture")(function* (
  { data, run }: Trained,
  change: Partial<CaptureConfig>,
  block: Block = "attention",
) {
  const input = { data, run, capture: { ...config, ...change }, block, seed }
  const output = yield* captureGradients.run(input, memoryCursor().cursor)
  const tensors = yield* getTensors(output.gradients)
  const all = yield* float32(tensors, "gradients")
  const { layout, steps } = yield* openTrajectory(run)
  const size = sizeOfRanges(rangesOf(layout, block))
  return {
    steps,
    stride: output.stride,
    losses: yield* float32(tensors, "loss"),
    gradients: Array.from({ length: all.length / size }, (_, i) => all.slice(i * size, (i + 1) * size)),
  }
})

/** A function (checkpoint, batch of n) -> loss and gradient; `task` undefined is the summed loss. */
const openGradient = Effect.fn("openGradient")(function* (run: Trained["run"], n: number, task?: number) {
  const { layout, theta } = yield* openTrajectory(run)
  const engine = yield* TensorEngine
  const program = yield* engine.compile(blockGradient(layout, n, task))
  return (checkpoint: number, batch: Examples) =>
    Effect.flatMap(theta(checkpoint), (at) => program.run({ theta: at, ...batch }))
})

layer(workbench())("captured gradients", (it) => {
  it.effect.each([
    ["all training pairs", "train-full", "train"],
    ["all pairs of the table", "mixed-full", "all"],
  ] as const)("of %s are the mean over the pairs", ([, batch, source]) =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const { gradients, losses } = yield* capture(trained, { batch })
      const train = (yield* loadPairs(trained.data))[source]
      const gradientOf = yield* openGradient(trained.run, 1)
      assert.lengthOf(gradients, 13)
      for (const checkpoint of [0, 7]) {
        const sum = new Float64Array(gradients[0].length)
        let loss = 0
        for (const i of train.a.keys()) {
          const single = {
            a: train.a.slice(i, i + 1),
            b: train.b.slice(i, i + 1),
            label: train.label.slice(i, i + 1),
          }
          const own = yield* gradientOf(checkpoint, single)
          for (const [slot, value] of own.gradient.entries()) sum[slot] += value / train.a.length
          loss += own.loss[0] / train.a.length
        }
        assertClose(gradients[checkpoint], sum, 1e-5)
        assertClose([losses[checkpoint]], [loss], 1e-5)
      }
    }),
  )

  it.effect("of a step are those of the minibatch that moves the checkpoint", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const { gradients } = yield* capture(trained, { batch: "step", batchSize: tiny.train.batchSize })
      const pairs = yield* loadPairs(trained.data)
      const gradientOf = yield* openGradient(trained.run, tiny.train.batchSize)
      for (const checkpoint of [0, 3, 12]) {
        // What training itself takes at the first step after the checkpoint.
        const { a, b, label } = stepInputs(pairs, { train: tiny.train, seed }, 5 * checkpoint + 1, 1)
        const { gradient } = yield* gradientOf(checkpoint, { a, b, label })
        assertSameBits(gradients[checkpoint], gradient)
      }
    }),
  )

  it.effect("at every stride-th checkpoint are those of every checkpoint, thinned", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const every = yield* capture(trained, {})
      const fifth = yield* capture(trained, { stride: 5 })
      assert.strictEqual(fifth.stride, 5)
      assert.lengthOf(fifth.gradients, 3)
      for (const [i, gradient] of fifth.gradients.entries()) assertSameBits(gradient, every.gradients[5 * i])
    }),
  )

  it.effect("of a task are those of its own loss on a batch of its own; of no task, of the summed loss", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add", "sub", "mul"])
      const { all } = yield* loadPairs(trained.data)
      for (const task of [null, 0, 2]) {
        const { gradients } = yield* capture(trained, { task })
        const batch = draw(all, stream(seed, "capture", task === null ? 0 : task + 1), 8)
        const gradientOf = yield* openGradient(trained.run, 8, task ?? undefined)
        const { gradient } = yield* gradientOf(4, batch)
        assertSameBits(gradients[4], gradient, `gradient of task ${task}`)
      }
    }),
  )

  it.effect("of a block are its slots of the gradient with respect to all parameters", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const { layout, theta } = yield* openTrajectory(trained.run)
      const batch = draw((yield* loadPairs(trained.data)).all, stream(seed, "capture", 0), 8)
      const engine = yield* TensorEngine
      const unclipped = { ...tiny.train, clipNorm: 1e6 }
      const whole = yield* engine.compile(clippedGradient(layout, unclipped, 8))
      const { gradient } = yield* whole.run({ theta: yield* theta(4), ...batch })
      for (const block of blocks) {
        const { gradients } = yield* capture(trained, {}, block)
        assert.lengthOf(gradients, 13)
        const expected = slotsOf(layout, block).map((slot) => gradient[slot])
        assertClose(gradients[4], expected, 1e-6, block)
      }
    }),
  )

  it.effect("are not those of a layer that the model does not have", () =>
    Effect.gen(function* () {
      const { data, run } = yield* trainTiny(["add"])
      const shallow = { ...run, model: { ...run.model, layers: 1 } }
      const input = { data, run: shallow, capture: config, block: "layer-1" as const, seed }
      const error = yield* Effect.flip(Schema.encodeEffect(captureGradients.input)(input))
      assert.include(String(error), "Expected a block of a model of one layer, got layer-1")
    }),
  )

  it.effect("of attention are asked for, and stored, without naming it", () =>
    Effect.gen(function* () {
      const { data, run } = yield* trainTiny(["add"])
      const encoded = (block: Block) =>
        Schema.encodeEffect(captureGradients.input)({ data, run, capture: config, block, seed })
      const attention = yield* encoded("attention")
      assert.deepStrictEqual(attention, { data, run, capture: config, seed })
      assert.deepStrictEqual(yield* encoded("mlp"), { data, run, capture: config, block: "mlp", seed })
      const { block } = yield* Schema.decodeUnknownEffect(captureGradients.input)(attention)
      assert.strictEqual(block, "attention")
    }),
  )

  it.effect("are not those of a task that the data set does not have", () =>
    Effect.gen(function* () {
      const { data, run } = yield* trainTiny(["add"])
      const check = (task: number | null) =>
        Schema.encodeEffect(captureGradients.input)({
          data,
          run,
          capture: { ...config, task },
          block: "attention",
          seed,
        })
      yield* check(0)
      const error = yield* Effect.flip(check(1))
      assert.include(String(error), "Expected a task below 1 or null, got 1")
    }),
  )
})
