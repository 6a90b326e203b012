import { assert, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import { unpack } from "../../src/model/layout.ts"
import { meanLogit } from "../../src/model/loss.ts"
import { stepScalars } from "../../src/model/optimizer.ts"
import { f32, i32, program } from "../../src/model/Program.ts"
import { blockGradient, blockLogitGradient, evaluateExamples, trainSteps } from "../../src/model/programs.ts"
import { assertClose } from "./close.ts"
import * as float64 from "./float64.ts"
import * as plain from "./plain.ts"
import {
  eager,
  noise,
  paperOptimiser,
  randomDirection,
  randomExamples,
  randomTheta,
  run,
  runScan,
  smallLayout,
} from "./samples.ts"

const n = 16
const layout = smallLayout(2)
const { modulus } = layout.shape
const theta = randomTheta(layout, 5)
const batches = [1, 2, 3].map((seed) => randomExamples(layout, n, seed))

const examples = { a: i32(n), b: i32(n), label: i32(n) }

/** Loss, logits and gradient of the plain model. */
const plainModel = program({
  name: "plain model",
  inputs: { theta: f32(layout.size), ...examples },
  outputs: { loss: f32(), logits: f32(n, modulus), gradient: f32(layout.size) },
  body: ({ theta, a, b, label }) => {
    const logits = (flat: tf.Tensor) => plain.logits(layout.shape, unpack(layout, flat), a, b)
    const { value, grad } = tf.valueAndGrad((flat: tf.Tensor) => plain.loss(logits(flat), label))(theta)
    return { loss: value, logits: logits(theta), gradient: grad }
  },
})

const perTensor = (flat: Float32Array) =>
  layout.parameters.map(({ offset, size }) => Float64Array.from(flat.subarray(offset, offset + size)))

const stacked = {
  a: Int32Array.from(batches.flatMap(({ a }) => Array.from(a))),
  b: Int32Array.from(batches.flatMap(({ b }) => Array.from(b))),
  label: Int32Array.from(batches.flatMap(({ label }) => Array.from(label))),
}

/** Three tasks on one trunk. */
const tasks = 3
const multitask = smallLayout(2, tasks)

/** Value and gradient of an objective of each task of the plain model by itself, and its logits. */
const plainTasks = (objective: typeof plain.taskLoss) =>
  program({
    name: "plain tasks",
    inputs: { theta: f32(multitask.size), a: i32(n), b: i32(n), label: i32(n * tasks) },
    outputs: {
      losses: f32(tasks),
      gradients: f32(tasks, multitask.size),
      logits: f32(n, tasks * modulus),
    },
    body: ({ theta, a, b, label }) => {
      const logits = (flat: tf.Tensor) => plain.logits(multitask.shape, unpack(multitask, flat), a, b)
      const all = Array.from({ length: tasks }, (_, task) =>
        tf.valueAndGrad((flat: tf.Tensor) => objective(logits(flat), label, tasks, task))(theta),
      )
      return {
        losses: tf.stack(all.map(({ value }) => value)),
        gradients: tf.stack(all.map(({ grad }) => grad)),
        logits: logits(theta),
      }
    },
  })

layer(eager)("the programs of a model of several tasks", (it) => {
  const theta = randomTheta(multitask, 6)
  const examples = randomExamples(multitask, n, 4)
  const reference = run(plainTasks(plain.taskLoss), { theta, ...examples })
  const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0)

  it.effect("capture the gradient of the sum of the tasks' mean cross-entropies", () =>
    Effect.gen(function* () {
      const { losses, gradients } = yield* reference
      const { loss, gradient } = yield* run(blockGradient(multitask, n), { theta, ...examples })
      assertClose(loss, [sum(losses)], 1e-5)
      const expected = Array.from({ length: multitask.attentionSize }, (_, i) =>
        sum(losses.map((_, task) => gradients[task * multitask.size + i])),
      )
      assertClose(gradient, expected, 1e-5)
    }),
  )

  it.effect.each([0, 1, 2])("capture the gradient of task %i alone", (task) =>
    Effect.gen(function* () {
      const { losses, gradients } = yield* reference
      const { loss, gradient } = yield* run(blockGradient(multitask, n, task), { theta, ...examples })
      assertClose(loss, [losses[task]], 1e-5)
      const start = task * multitask.size
      assertClose(gradient, gradients.subarray(start, start + multitask.attentionSize), 1e-5)
    }),
  )

  it.effect("capture the gradient of the mean of the named logits, of one task or summed over them", () =>
    Effect.gen(function* () {
      const { losses, gradients } = yield* run(plainTasks(plain.taskLogit), { theta, ...examples })
      const ofTask = (task: number) => {
        const start = task * multitask.size
        return gradients.subarray(start, start + multitask.attentionSize)
      }
      for (const task of [0, 1, 2]) {
        const own = yield* run(blockLogitGradient(multitask, n, task), { theta, ...examples })
        assertClose(own.loss, [losses[task]], 1e-5, `logit of task ${task}`)
        assertClose(own.gradient, ofTask(task), 1e-5, `gradient of task ${task}`)
      }
      const summed = yield* run(blockLogitGradient(multitask, n), { theta, ...examples })
      assertClose(summed.loss, [sum(losses)], 1e-5)
      const expected = ofTask(0).map((value, i) => value + ofTask(1)[i] + ofTask(2)[i])
      assertClose(summed.gradient, expected, 1e-5)
    }),
  )

  it.effect("train on that sum", () =>
    Effect.gen(function* () {
      const { losses, gradients } = yield* reference
      const { stepSize, decay, denominatorScale } = stepScalars(paperOptimiser, 1)
      const zeros = new Float32Array(multitask.size)
      const { carry, ys } = yield* runScan(trainSteps(multitask, paperOptimiser, n), {
        carry: { theta, first: zeros, second: zeros },
        xs: {
          ...examples,
          stepSize: Float32Array.of(stepSize),
          decay: Float32Array.of(decay),
          denominatorScale: Float32Array.of(denominatorScale),
        },
        constants: {},
      })
      const gradient = Array.from({ length: multitask.size }, (_, i) =>
        sum(losses.map((_, task) => gradients[task * multitask.size + i])),
      )
      const norm = Math.hypot(...gradient)
      assert.isAbove(norm, paperOptimiser.clipNorm)
      assertClose(ys.loss, [sum(losses)], 1e-5)
      assertClose(ys.gradientNorm, [norm], 1e-5)
      assertClose(
        carry.first,
        gradient.map((g) => (0.1 * g) / norm),
        1e-5,
      )
    }),
  )

  it.effect("evaluate every example on every task, example by example", () =>
    Effect.gen(function* () {
      const { losses, logits } = yield* reference
      const { ys } = yield* runScan(evaluateExamples(multitask, n), {
        carry: {},
        xs: examples,
        constants: { theta },
      })
      const meanLoss = losses.map((_, task) => sum(ys.loss.filter((_, i) => i % tasks === task)) / n)
      assertClose(meanLoss, losses, 1e-5)
      const correct = Int32Array.from(examples.label, (label, i) => {
        const row = logits.subarray(i * modulus, (i + 1) * modulus)
        return row.indexOf(Math.max(...row)) === label ? 1 : 0
      })
      assert.deepStrictEqual(ys.correct, correct)
      assert.isAbove(sum(correct), 0)
    }),
  )
})

layer(eager)("the programs", (it) => {
  it.effect("train as the plain model with the plain optimiser does", () =>
    Effect.gen(function* () {
      let state = plain.initialState(perTensor(theta))
      const losses: Array<number> = []
      const norms: Array<number> = []
      for (const [i, batch] of batches.entries()) {
        const at = Float32Array.from(state.theta.flatMap((tensor) => Array.from(tensor)))
        const { loss, gradient } = yield* run(plainModel, { theta: at, ...batch })
        losses.push(loss[0])
        norms.push(Math.hypot(...gradient))
        state = plain.adamWStep(paperOptimiser, state, perTensor(gradient), i + 1)
      }

      const scalars = batches.map((_, i) => stepScalars(paperOptimiser, i + 1))
      const zeros = new Float32Array(layout.size)
      const { carry, ys } = yield* runScan(trainSteps(layout, paperOptimiser, n), {
        carry: { theta, first: zeros, second: zeros },
        xs: {
          ...stacked,
          stepSize: Float32Array.from(scalars, (s) => s.stepSize),
          decay: Float32Array.from(scalars, (s) => s.decay),
          denominatorScale: Float32Array.from(scalars, (s) => s.denominatorScale),
        },
        constants: {},
      })

      assert.isAbove(Math.min(...norms), paperOptimiser.clipNorm)
      assertClose(ys.loss, losses, 1e-5, "losses")
      assertClose(ys.gradientNorm, norms, 1e-5, "gradient norms")
      const flat = (tensors: ReadonlyArray<Float64Array>) => tensors.flatMap((tensor) => Array.from(tensor))
      assertClose(carry.first, flat(state.first), 1e-5, "first moment")
      assertClose(carry.second, flat(state.second), 1e-5, "second moment")
      // Key biases apart: AdamW makes a step of what is rounding in the plain form and zero in ours.
      for (const [i, { name, offset, size }] of layout.parameters.entries()) {
        if (name.endsWith("in_proj_bias")) continue
        assertClose(carry.theta.subarray(offset, offset + size), state.theta[i], 1e-5, name)
      }
    }),
  )

  it.effect("capture the attention part of the plain gradient, unclipped", () =>
    Effect.gen(function* () {
      const [batch] = batches
      const expected = yield* run(plainModel, { theta, ...batch })
      const { loss, gradient } = yield* run(blockGradient(layout, n), { theta, ...batch })
      assertClose(loss, expected.loss, 1e-5)
      assertClose(gradient, expected.gradient.subarray(0, layout.attentionSize), 1e-5)
    }),
  )

  it.effect("capture the derivative of the mean of the named logits, as differences in float64 have it", () =>
    Effect.gen(function* () {
      const [batch] = batches
      const mean = (at: Float64Array) => {
        const weights = float64.weightsOf(layout, at)
        const named = Array.from(batch.a, (a, i) => {
          const x = float64.embed(layout, weights, a, batch.b[i])
          return float64.logits(layout, weights, x)[batch.label[i]]
        })
        return named.reduce((sum, logit) => sum + logit) / n
      }
      const { loss, gradient } = yield* run(blockLogitGradient(layout, n, undefined, "full"), {
        theta,
        ...batch,
      })
      assertClose(loss, [mean(Float64Array.from(theta))], 1e-5)
      const h = 1e-4
      for (const seed of [1, 2, 3]) {
        const v = randomDirection(layout.size, seed)
        const moved = (sign: number) => Float64Array.from(theta, (w, i) => w + sign * h * v[i])
        const expected = (mean(moved(1)) - mean(moved(-1))) / (2 * h)
        const along = gradient.reduce((sum, g, i) => sum + g * v[i], 0)
        assert.closeTo(along, expected, 1e-5 * Math.hypot(...gradient))
      }
    }),
  )

  it.effect("find the named logits, whatever the other logits are", () =>
    Effect.gen(function* () {
      const logits = noise(1, 2 * 6)
      // Two examples, two tasks of three classes.
      const label = Int32Array.of(2, 0, 1, 2)
      const picks = [
        [logits[2], logits[3]],
        [logits[7], logits[11]],
      ]
      const { all, first, second, gradient } = yield* run(
        program({
          name: "mean logit",
          inputs: { logits: f32(2, 6), label: i32(4) },
          outputs: { all: f32(), first: f32(), second: f32(), gradient: f32(2, 6) },
          body: ({ logits, label }) => ({
            all: meanLogit(logits, label),
            first: meanLogit(logits, label, 0),
            second: meanLogit(logits, label, 1),
            gradient: tf.grad((z: tf.Tensor) => meanLogit(z, label, 1))(logits),
          }),
        }),
        { logits, label },
      )
      assertClose(first, [(picks[0][0] + picks[1][0]) / 2], 1e-6)
      assertClose(second, [(picks[0][1] + picks[1][1]) / 2], 1e-6)
      assertClose(all, [first[0] + second[0]], 1e-6)
      assertClose(gradient, [0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0.5], 0)
    }),
  )

  it.effect("evaluate the loss and correctness of every example", () =>
    Effect.gen(function* () {
      const { ys } = yield* runScan(evaluateExamples(layout, n), {
        carry: {},
        xs: stacked,
        constants: { theta },
      })
      for (const [i, batch] of batches.entries()) {
        const { loss, logits } = yield* run(plainModel, { theta, ...batch })
        const losses = ys.loss.subarray(i * n, (i + 1) * n)
        assertClose([losses.reduce((sum, l) => sum + l, 0) / n], loss, 1e-5)
        const correct = Int32Array.from(batch.label, (label, j) => {
          const row = logits.subarray(j * modulus, (j + 1) * modulus)
          return row.indexOf(Math.max(...row)) === label ? 1 : 0
        })
        assert.deepStrictEqual(ys.correct.subarray(i * n, (i + 1) * n), correct)
      }
    }),
  )
})
