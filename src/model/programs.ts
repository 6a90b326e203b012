/** The model's tensor programs: what engines compile. One function per program; sizes are parameters. */
import * as tf from "@tensorflow/tfjs"
import { type AdamWConfig, adamW, clipByGlobalNorm } from "./adamw.ts"
import { centroids, perturbationEnergy } from "./centroids.ts"
import { type Layout, pack, unpack } from "./layout.ts"
import { correct, crossEntropies, crossEntropy } from "./loss.ts"
import { f32, i32, program, scan } from "./Program.ts"
import { logits } from "./transformer.ts"

const examples = (n: number) => ({ a: i32(n), b: i32(n), label: i32(n) })

/** Loss and gradient [size] of the mean cross-entropy at θ. */
const lossAndGradient = (
  layout: Layout,
  theta: tf.Tensor,
  { a, b, label }: { readonly a: tf.Tensor; readonly b: tf.Tensor; readonly label: tf.Tensor },
) => {
  const names = layout.parameters.map(({ name }) => name)
  const parameters = unpack(layout, theta)
  const loss = (...tensors: Array<tf.Tensor>) =>
    crossEntropy(logits(layout, Object.fromEntries(names.map((name, i) => [name, tensors[i]])), a, b), label)
  const { value, grads } = tf.valueAndGrads(loss)(names.map((name) => parameters[name]))
  return { loss: value, gradient: pack(grads) }
}

/** One training step per entry of `xs`: forward, backward, clip, AdamW. */
export const trainSteps = (layout: Layout, config: AdamWConfig, batchSize: number) => {
  const vector = f32(layout.size)
  return scan({
    name: "train-steps",
    carry: { theta: vector, first: vector, second: vector },
    xs: { ...examples(batchSize), stepSize: f32(), decay: f32(), denominatorScale: f32() },
    constants: {},
    ys: { loss: f32(), gradientNorm: f32() },
    step: ({ theta, first, second }, x) => {
      const { loss, gradient } = lossAndGradient(layout, theta, x)
      const { clipped, norm } = clipByGlobalNorm(gradient, config.clipNorm)
      const next = adamW(config, x, theta, { first, second }, clipped)
      return { carry: { theta: next.theta, ...next.moments }, y: { loss, gradientNorm: norm } }
    },
  })
}

/** Cross-entropy and correctness of every example, `chunk` examples per step. */
export const evaluateExamples = (layout: Layout, chunk: number) =>
  scan({
    name: "evaluate",
    carry: {},
    xs: examples(chunk),
    constants: { theta: f32(layout.size) },
    ys: { loss: f32(chunk), correct: i32(chunk) },
    step: (_, { a, b, label }, { theta }) => {
      const z = logits(layout, unpack(layout, theta), a, b)
      return { carry: {}, y: { loss: crossEntropies(z, label), correct: correct(z, label) } }
    },
  })

/** Gradient of the mean cross-entropy of n examples with respect to θ_attn [attentionSize], unclipped. */
export const attentionGradient = (layout: Layout, n: number) =>
  program({
    name: "attention-gradient",
    inputs: { theta: f32(layout.size), ...examples(n) },
    outputs: { loss: f32(), gradient: f32(layout.attentionSize) },
    body: ({ theta, ...batch }) => {
      const { loss, gradient } = lossAndGradient(layout, theta, batch)
      return { loss, gradient: tf.slice(gradient, [0], [layout.attentionSize]) }
    },
  })

/** Centroids [n, 2d] of n probes. */
export const probeCentroids = (layout: Layout, n: number) =>
  program({
    name: "centroids",
    inputs: { theta: f32(layout.size), ...examples(n) },
    outputs: { centroids: f32(n, 2 * layout.shape.width) },
    body: ({ theta, ...probes }) => ({ centroids: centroids(layout, unpack(layout, theta), probes) }),
  })

/** A(v) for each direction v of `xs`, on n probes. */
export const perturbationEnergies = (layout: Layout, n: number) =>
  scan({
    name: "perturbation-energies",
    carry: {},
    xs: { direction: f32(layout.attentionSize) },
    constants: { theta: f32(layout.size), epsilon: f32(), ...examples(n) },
    ys: { energy: f32() },
    step: (_, { direction }, { theta, epsilon, ...probes }) => ({
      carry: {},
      y: { energy: perturbationEnergy(layout, theta, direction, epsilon, probes) },
    }),
  })
