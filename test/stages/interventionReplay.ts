/**
 * An intervened run of one operation as experiment.md §6 tells it: the plain model, textbook AdamW and textbook
 * projections, in float64 but for the gradient. Shares with the stage the initialisation, the batches and the random draws.
 */
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import { unpack } from "../../src/model/layout.ts"
import { f32, i32, program } from "../../src/model/Program.ts"
import { batchOfStep, loadPairs } from "../../src/stages/pairs.ts"
import { initialState, layoutOf } from "../../src/stages/training.ts"
import * as plain from "../model/plain.ts"
import { eager, run } from "../model/samples.ts"
import { inner, minus, referenceArm, size, type Vector } from "./armReference.ts"
import type { Input } from "./tinyIntervention.ts"

/** A function (t, θ) -> loss and gradient of the batch of step t, by TensorFlow.js's own backend. */
export const plainGradients = Effect.fn("plainGradients")(function* (input: Input) {
  const { data, model, seed, train } = input
  const layout = layoutOf(data, model)
  const n = train.batchSize
  const pairs = yield* loadPairs(data)
  const gradients = program({
    name: "plain gradient",
    inputs: { theta: f32(layout.size), a: i32(n), b: i32(n), label: i32(n) },
    outputs: { loss: f32(), gradient: f32(layout.size) },
    body: ({ theta, a, b, label }) => {
      const loss = (flat: tf.Tensor) =>
        plain.loss(plain.logits(layout.shape, unpack(layout, flat), a, b), label)
      const { value, grad } = tf.valueAndGrad(loss)(theta)
      return { loss: value, gradient: grad }
    },
  })
  return Effect.fnUntraced(function* (t: number, theta: Iterable<number>) {
    const batch = batchOfStep(pairs, seed, t, n)
    const { loss, gradient } = yield* Effect.provide(
      run(gradients, { theta: Float32Array.from(theta), ...batch }),
      eager,
    )
    return { loss: loss[0], gradient: Array.from(gradient) }
  })
})

interface Figures {
  readonly loss: number
  readonly gradientNorm: number
  readonly normRatio: number | null
  readonly cosine: number | null
  readonly energyShare: number | null
}

export const replay = Effect.fn("replay")(function* (input: Input) {
  const { data, model, seed, train, intervention } = input
  const layout = layoutOf(data, model)
  const gradientAt = yield* plainGradients(input)
  const modify = referenceArm(intervention, seed)
  const attention = (all: Vector) => all.slice(0, layout.attentionSize)
  const withAttention = (all: Vector, part: Vector) => [...part, ...all.slice(layout.attentionSize)]

  let theta: Vector = Array.from(initialState(layout, seed).theta)
  let first: Vector = theta.map(() => 0)
  let second: Vector = first
  let window: ReadonlyArray<Vector> = []
  const figures: Array<Figures> = []

  /** One step of AdamW without clipping. */
  const optimise = (t: number, gradient: Vector) => {
    const [w, m, v, g] = [theta, first, second, gradient].map((all) => [Float64Array.from(all)])
    const unclipped = { ...train, clipNorm: Number.POSITIVE_INFINITY }
    const next = plain.adamWStep(unclipped, { theta: w, first: m, second: v }, g, t)
    return {
      theta: Array.from(next.theta[0]),
      first: Array.from(next.first[0]),
      second: Array.from(next.second[0]),
    }
  }

  for (let t = 1; t <= train.maxSteps; t++) {
    const before = attention(theta)
    const { loss, gradient } = yield* gradientAt(t, theta)
    const gradientNorm = size(gradient)
    const clipped = gradient.map((value) => value * Math.min(1, train.clipNorm / (gradientNorm + 1e-6)))

    const ofGradient = intervention.version === "gradient"
    const stepped = optimise(t, clipped)
    const natural = ofGradient ? attention(clipped) : minus(attention(stepped.theta), before)
    const { vector, modified, energyShare, window: held } = modify(t, natural)
    const next = ofGradient ? optimise(t, withAttention(clipped, vector)) : stepped

    first = next.first
    second = next.second
    window = held
    const isFrozen = modified && intervention.arm.startsWith("frozen")
    const moved = ofGradient ? attention(next.theta) : before.map((value, i) => value + vector[i])
    theta = withAttention(next.theta, isFrozen ? before : moved)

    const ofStep = { loss, gradientNorm, energyShare }
    const cosine = size(vector) === 0 ? null : inner(natural, vector) / (size(natural) * size(vector))
    figures.push(
      modified
        ? { ...ofStep, normRatio: size(vector) / size(natural), cosine }
        : { ...ofStep, normRatio: null, cosine: null },
    )
  }
  return { theta, first, second, window, figures }
})
