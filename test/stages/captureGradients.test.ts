import { assert, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect, Schema } from "effect"
import { type Block, blocks, rangesOf, sizeOfRanges } from "../../src/model/blocks.ts"
import { unpack } from "../../src/model/layout.ts"
import { f32, i32, program } from "../../src/model/Program.ts"
import { blockGradient, clippedGradient } from "../../src/model/programs.ts"
import { integers, permutation, stream } from "../../src/numerics/random.ts"
import { float32, getTensors } from "../../src/services/artifacts.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { type CaptureConfig, captureGradients } from "../../src/stages/captureGradients.ts"
import { generateData } from "../../src/stages/generateData.ts"
import { draw, type Examples, gridPairs, loadPairs, take } from "../../src/stages/pairs.ts"
import { stepInputs } from "../../src/stages/training.ts"
import { openTrajectory } from "../../src/stages/trajectory.ts"
import { assertClose, assertSameBits } from "../model/close.ts"
import * as plain from "../model/plain.ts"
import { eager, run as runOnce } from "../model/samples.ts"
import { slotsOf } from "../model/slots.ts"
import { tiny } from "../pipelines/tiny.ts"
import { memoryCursor, seed, trainTiny, workbench } from "./tinyRun.ts"

const config: CaptureConfig = {
  batch: "mixed",
  batchSize: 8,
  task: null,
  stride: 1,
  objective: "loss",
  objectiveDraw: 0,
}
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

/** The step of the stream that a null objective of a task is drawn from. */
const objectiveStep = (task: number | null, objectiveDraw: number) =>
  (task === null ? 0 : task + 1) * 100 + objectiveDraw

/** Mean named logit of a task, and its gradient with respect to θ [size], of the plain model by plain autograd. */
const plainLogit = Effect.fn("plainLogit")(function* (
  { run }: Trained,
  checkpoint: number,
  { a, b, label }: Examples,
  task: number,
) {
  const { layout, theta } = yield* openTrajectory(run)
  const n = a.length
  const { tasks } = layout.shape
  const reference = program({
    name: "plain logit",
    inputs: { theta: f32(layout.size), a: i32(n), b: i32(n), label: i32(n * tasks) },
    outputs: { value: f32(), gradient: f32(layout.size) },
    body: ({ theta, a, b, label }) => {
      const mean = (flat: tf.Tensor) =>
        plain.taskLogit(plain.logits(layout.shape, unpack(layout, flat), a, b), label, tasks, task)
      const { value, grad } = tf.valueAndGrad(mean)(theta)
      return { value, gradient: grad }
    },
  })
  const inputs = { theta: yield* theta(checkpoint), a, b, label }
  return yield* Effect.provide(runOnce(reference, inputs), eager)
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

layer(workbench())("captured gradients of random logits", (it) => {
  const objective = "random-logits"

  it.effect("are those of the mean over the batch of one logit each, drawn once for all checkpoints", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const { layout } = yield* openTrajectory(trained.run)
      const batch = draw((yield* loadPairs(trained.data)).all, stream(seed, "capture", 0), 8)
      for (const objectiveDraw of [0, 3]) {
        const label = integers(stream(seed, "random-logits", objectiveStep(null, objectiveDraw)), 8, 7)
        const { gradients, losses } = yield* capture(trained, { objective, objectiveDraw })
        for (const checkpoint of [0, 4, 12]) {
          const named = { ...batch, label: Int32Array.from(label) }
          const { value, gradient } = yield* plainLogit(trained, checkpoint, named, 0)
          assertClose(gradients[checkpoint], gradient.subarray(0, layout.attentionSize), 1e-4)
          assertClose([losses[checkpoint]], value, 1e-4)
        }
      }
    }),
  )

  it.effect("know nothing of the labels, as those of the loss do", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const { operations, modulus } = trained.data
      const { trainFraction } = tiny.data
      const shuffled = yield* generateData.run(
        { operations, modulus, trainFraction, labels: "shuffled", seed },
        memoryCursor().cursor,
      )
      const other = { data: shuffled, run: trained.run }
      const [own, same] = [yield* capture(trained, { objective }), yield* capture(other, { objective })]
      for (const [i, gradient] of own.gradients.entries()) assertSameBits(same.gradients[i], gradient)
      const [loss, otherLoss] = [yield* capture(trained, {}), yield* capture(other, {})]
      assert.notDeepEqual(otherLoss.gradients[4], loss.gradients[4])
    }),
  )

  it.effect("are those of another draw where another is asked for, unlike those of the loss", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const draws = yield* Effect.forEach([0, 1, 2], (objectiveDraw) =>
        capture(trained, { objective, objectiveDraw }),
      )
      assert.strictEqual(new Set(draws.map(({ gradients }) => gradients[4].join())).size, 3)
      const again = yield* capture(trained, { objective, objectiveDraw: 1 })
      assertSameBits(again.gradients[4], draws[1].gradients[4])
      // The loss has no draw.
      const [one, other] = [yield* capture(trained, {}), yield* capture(trained, { objectiveDraw: 1 })]
      assertSameBits(one.gradients[4], other.gradients[4])
    }),
  )

  it.effect(
    "of a task are those of logits of its own head on its own batch; of no task, of one of each head",
    () =>
      Effect.gen(function* () {
        const trained = yield* trainTiny(["add", "sub", "mul"])
        const { layout } = yield* openTrajectory(trained.run)
        const { all } = yield* loadPairs(trained.data)
        for (const task of [0, 2, null]) {
          const { gradients } = yield* capture(trained, { objective, task })
          const batch = draw(all, stream(seed, "capture", task === null ? 0 : task + 1), 8)
          const label = integers(stream(seed, "random-logits", objectiveStep(task, 0)), 24, 7)
          const named = { ...batch, label: Int32Array.from(label) }
          const expected = new Float64Array(layout.attentionSize)
          for (const head of task === null ? [0, 1, 2] : [task]) {
            const { gradient } = yield* plainLogit(trained, 4, named, head)
            for (const slot of expected.keys()) expected[slot] += gradient[slot]
          }
          assertClose(gradients[4], expected, 1e-4, `gradient of task ${task}`)
        }
      }),
  )
})

layer(workbench())("captured gradients of permuted labels", (it) => {
  const objective = "permuted-labels"

  it.effect(
    "are those of the cross-entropy with the batch's labels in another order, one for all checkpoints",
    () =>
      Effect.gen(function* () {
        const trained = yield* trainTiny(["add", "sub"])
        const { all } = yield* loadPairs(trained.data)
        for (const [task, objectiveDraw] of [
          [null, 0],
          [null, 2],
          [1, 0],
        ] as const) {
          const { gradients, losses } = yield* capture(trained, { objective, objectiveDraw, task })
          const batch = draw(all, stream(seed, "capture", task === null ? 0 : task + 1), 8)
          const order = permutation(stream(seed, "permuted-labels", objectiveStep(task, objectiveDraw)), 8)
          const permuted = { ...batch, label: take(batch, order).label }
          // The labels of an example stay together, and none is lost.
          const labelsOf = (label: Int32Array) => batch.a.map((_, i) => 7 * label[2 * i] + label[2 * i + 1])
          assert.deepStrictEqual(labelsOf(permuted.label).toSorted(), labelsOf(batch.label).toSorted())
          assert.notDeepEqual(permuted.label, batch.label)
          const gradientOf = yield* openGradient(trained.run, 8, task ?? undefined)
          for (const checkpoint of [0, 4, 12]) {
            const { gradient, loss } = yield* gradientOf(checkpoint, permuted)
            assertSameBits(gradients[checkpoint], gradient)
            assert.strictEqual(losses[checkpoint], loss[0])
          }
        }
      }),
  )
})

layer(workbench())("a null objective", (it) => {
  it.effect.each(["random-logits", "permuted-labels"] as const)(
    "of one task moves its own head and no other: %s",
    (objective) =>
      Effect.gen(function* () {
        const trained = yield* trainTiny(["add", "sub", "mul"])
        const { layout } = yield* openTrajectory(trained.run)
        const heads = layout.parameters.filter(({ name }) => name.startsWith("head."))
        assert.lengthOf(heads, 2)
        for (const task of [0, 1, 2]) {
          const { gradients } = yield* capture(trained, { objective, task }, "full")
          for (const { name, offset, size } of heads) {
            for (const head of [0, 1, 2]) {
              const own = gradients[4].subarray(offset + (head * size) / 3, offset + ((head + 1) * size) / 3)
              assert.strictEqual(
                own.some((value) => value !== 0),
                head === task,
                `${name} of task ${head}`,
              )
            }
          }
        }
      }),
  )
})

layer(workbench())("captured gradients of a batch of the grid", (it) => {
  it.effect("are those of pairs with a 0 as well, which the table of several operations leaves out", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add", "mul"])
      const { all } = yield* loadPairs(trained.data)
      const hasZero = ({ a, b }: Examples) => a.includes(0) || b.includes(0)
      for (const task of [0, 1]) {
        const source = stream(seed, "capture", task + 1)
        const batch = draw(gridPairs(trained.data), source, 50)
        assert.isTrue(hasZero(batch))
        assert.isFalse(hasZero(draw(all, source, 50)))
        for (const i of batch.a.keys()) {
          const [a, b] = [batch.a[i], batch.b[i]]
          assert.deepStrictEqual(Array.from(batch.label.subarray(2 * i, 2 * i + 2)), [
            (a + b) % 7,
            (a * b) % 7,
          ])
        }
        const { gradients } = yield* capture(trained, { batch: "grid", batchSize: 50, task })
        const gradientOf = yield* openGradient(trained.run, 50, task)
        const { gradient } = yield* gradientOf(4, batch)
        assertSameBits(gradients[4], gradient)
        const mixed = yield* capture(trained, { batchSize: 50, task })
        assert.notDeepEqual(mixed.gradients[4], gradient)
      }
    }),
  )

  it.effect("are those of the whole table for one operation that has no 0 to leave out", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const [grid, mixed] = [yield* capture(trained, { batch: "grid" }), yield* capture(trained, {})]
      assertSameBits(grid.gradients[4], mixed.gradients[4])
    }),
  )

  it.effect("do not exist where labels are shuffled: a pair outside of the table has none", () =>
    Effect.gen(function* () {
      const { data, run } = yield* trainTiny(["add"])
      const check = (labels: "true" | "shuffled") =>
        Schema.encodeEffect(captureGradients.input)({
          data: { ...data, labels },
          run,
          capture: { ...config, batch: "grid" },
          block: "attention",
          seed,
        })
      yield* check("true")
      const error = yield* Effect.flip(check("shuffled"))
      assert.include(String(error), "Expected mixed, because labels are shuffled, got grid")
    }),
  )
})
