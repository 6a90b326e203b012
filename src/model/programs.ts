/** The model's tensor programs: what engines compile. One function per program; sizes are parameters. */
import * as tf from "@tensorflow/tfjs"
import { type Block, rangesOf, sizeOfRanges, sliceBlock } from "./blocks.ts"
import { type CentroidOf, centroids, exactPerturbationEnergy, perturbationEnergy } from "./centroids.ts"
import { type Layout, pack, unpack } from "./layout.ts"
import { correct, crossEntropies, crossEntropy, meanLogit, taskCrossEntropy } from "./loss.ts"
import { clipByGlobalNorm, type OptimizerConfig, optimizerStep } from "./optimizer.ts"
import { f32, i32, program, scan } from "./Program.ts"
import { logits } from "./transformer.ts"

/** n examples, each with a label for every task. */
const examples = (n: number, tasks = 1) => ({ a: i32(n), b: i32(n), label: i32(n * tasks) })

/** Loss and gradient [size] at θ: of the cross-entropies summed over tasks, or of one task's own. */
const lossAndGradient = (
  layout: Layout,
  theta: tf.Tensor,
  { a, b, label }: { readonly a: tf.Tensor; readonly b: tf.Tensor; readonly label: tf.Tensor },
  task?: number,
) => {
  const names = layout.parameters.map(({ name }) => name)
  const parameters = unpack(layout, theta)
  const loss = (...tensors: Array<tf.Tensor>) => {
    const z = logits(layout, Object.fromEntries(names.map((name, i) => [name, tensors[i]])), a, b)
    return task === undefined ? crossEntropy(z, label) : taskCrossEntropy(z, label, task)
  }
  const { value, grads } = tf.valueAndGrads(loss)(names.map((name) => parameters[name]))
  return { loss: value, gradient: pack(grads) }
}

/** One training step per entry of `xs`: forward, backward, clip, optimiser. */
export const trainSteps = (layout: Layout, config: OptimizerConfig, batchSize: number) => {
  const vector = f32(layout.size)
  return scan({
    name: "train-steps",
    carry: { theta: vector, first: vector, second: vector },
    xs: {
      ...examples(batchSize, layout.shape.tasks),
      stepSize: f32(),
      decay: f32(),
      denominatorScale: f32(),
    },
    constants: {},
    ys: { loss: f32(), gradientNorm: f32() },
    step: ({ theta, first, second }, x) => {
      const { loss, gradient } = lossAndGradient(layout, theta, x)
      const { clipped, norm } = clipByGlobalNorm(gradient, config.clipNorm)
      const next = optimizerStep(config, x, theta, { first, second }, clipped)
      return { carry: { theta: next.theta, ...next.moments }, y: { loss, gradientNorm: norm } }
    },
  })
}

/** The first half of a training step: loss, gradient norm, and the clipped gradient [size] at θ. */
export const clippedGradient = (layout: Layout, config: OptimizerConfig, batchSize: number) =>
  program({
    name: "clipped-gradient",
    inputs: { theta: f32(layout.size), ...examples(batchSize, layout.shape.tasks) },
    outputs: { loss: f32(), gradientNorm: f32(), gradient: f32(layout.size) },
    body: ({ theta, ...batch }) => {
      const { loss, gradient } = lossAndGradient(layout, theta, batch)
      const { clipped, norm } = clipByGlobalNorm(gradient, config.clipNorm)
      return { loss, gradientNorm: norm, gradient: clipped }
    },
  })

/** The second half of a training step: the optimiser, with a gradient [size] that may have been modified. */
export const applyGradient = (layout: Layout, config: OptimizerConfig) => {
  const vector = f32(layout.size)
  return program({
    name: "apply-gradient",
    inputs: {
      theta: vector,
      first: vector,
      second: vector,
      gradient: vector,
      stepSize: f32(),
      decay: f32(),
      denominatorScale: f32(),
    },
    outputs: { theta: vector, first: vector, second: vector },
    body: ({ theta, first, second, gradient, ...scalars }) => {
      const next = optimizerStep(config, scalars, theta, { first, second }, gradient)
      return { theta: next.theta, ...next.moments }
    },
  })
}

/** Cross-entropy and correctness of every example and task, `chunk` examples per step. */
export const evaluateExamples = (layout: Layout, chunk: number) => {
  const labels = chunk * layout.shape.tasks
  return scan({
    name: "evaluate",
    carry: {},
    xs: examples(chunk, layout.shape.tasks),
    constants: { theta: f32(layout.size) },
    ys: { loss: f32(labels), correct: i32(labels) },
    step: (_, { a, b, label }, { theta }) => {
      const z = logits(layout, unpack(layout, theta), a, b)
      return { carry: {}, y: { loss: crossEntropies(z, label), correct: correct(z, label) } }
    },
  })
}

/**
 * Gradient with respect to a block [block], unclipped, of the loss of n examples: the cross-entropies summed over tasks,
 * or one task's own. The labels are those of all tasks in either case.
 */
export const blockGradient = (layout: Layout, n: number, task?: number, block: Block = "attention") => {
  const ranges = rangesOf(layout, block)
  return program({
    name: "block-gradient",
    inputs: { theta: f32(layout.size), ...examples(n, layout.shape.tasks) },
    outputs: { loss: f32(), gradient: f32(sizeOfRanges(ranges)) },
    body: ({ theta, ...batch }) => {
      const { loss, gradient } = lossAndGradient(layout, theta, batch, task)
      return { loss, gradient: sliceBlock(ranges, gradient) }
    },
  })
}

/** The same of `meanLogit`, the mean over examples of the logits that the labels name, in place of the loss. */
export const blockLogitGradient = (layout: Layout, n: number, task?: number, block: Block = "attention") => {
  const ranges = rangesOf(layout, block)
  const names = layout.parameters.map(({ name }) => name)
  return program({
    name: "block-logit-gradient",
    inputs: { theta: f32(layout.size), ...examples(n, layout.shape.tasks) },
    outputs: { loss: f32(), gradient: f32(sizeOfRanges(ranges)) },
    body: ({ theta, a, b, label }) => {
      const parameters = unpack(layout, theta)
      const mean = (...tensors: Array<tf.Tensor>) => {
        const p = Object.fromEntries(names.map((name, i) => [name, tensors[i]]))
        return meanLogit(logits(layout, p, a, b), label, task)
      }
      const { value, grads } = tf.valueAndGrads(mean)(names.map((name) => parameters[name]))
      return { loss: value, gradient: sliceBlock(ranges, pack(grads)) }
    },
  })
}

/** The same for each example of `xs` by itself, one task's own. */
export const exampleGradients = (layout: Layout, task: number, block: Block = "attention") => {
  const ranges = rangesOf(layout, block)
  return scan({
    name: "example-gradients",
    carry: {},
    xs: examples(1, layout.shape.tasks),
    constants: { theta: f32(layout.size) },
    ys: { gradient: f32(sizeOfRanges(ranges)) },
    step: (_, example, { theta }) => {
      const { gradient } = lossAndGradient(layout, theta, example, task)
      return { carry: {}, y: { gradient: sliceBlock(ranges, gradient) } }
    },
  })
}

/** n probes; `label` is the index of a logit. */
const probePairs = (n: number) => ({ a: i32(n), b: i32(n), label: i32(n) })

const correctLogit: CentroidOf = { kind: "correct-logit" }

/** Centroids [n, 2d] of n probes. */
export const probeCentroids = (layout: Layout, n: number, of: CentroidOf = correctLogit) =>
  program({
    name: "centroids",
    inputs: { theta: f32(layout.size), ...probePairs(n) },
    outputs: { centroids: f32(n, 2 * layout.shape.width) },
    body: ({ theta, ...probes }) => ({ centroids: centroids(layout, unpack(layout, theta), probes, of) }),
  })

/** A(v) for each direction v of `xs` [block], on n probes, by central differences. */
export const perturbationEnergies = (
  layout: Layout,
  n: number,
  of: CentroidOf = correctLogit,
  block: Block = "attention",
) =>
  scan({
    name: "perturbation-energies",
    carry: {},
    xs: { direction: f32(sizeOfRanges(rangesOf(layout, block))) },
    constants: { theta: f32(layout.size), epsilon: f32(), ...probePairs(n) },
    ys: { energy: f32() },
    step: (_, { direction }, { theta, epsilon, ...probes }) => ({
      carry: {},
      y: { energy: perturbationEnergy(layout, block, theta, direction, epsilon, probes, of) },
    }),
  })

/** A(v) for each direction v of `xs` [block], on n probes, in the limit ε → 0. */
export const exactPerturbationEnergies = (
  layout: Layout,
  n: number,
  of: CentroidOf = correctLogit,
  block: Block = "attention",
) =>
  scan({
    name: "exact-perturbation-energies",
    carry: {},
    xs: { direction: f32(sizeOfRanges(rangesOf(layout, block))) },
    constants: { theta: f32(layout.size), ...probePairs(n) },
    ys: { energy: f32() },
    step: (_, { direction }, { theta, ...probes }) => ({
      carry: {},
      y: { energy: exactPerturbationEnergy(layout, block, theta, direction, probes, of) },
    }),
  })
