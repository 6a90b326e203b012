import { assert, describe, layer } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import { type Layout, type Parameters, unpack, view } from "../../src/model/layout.ts"
import { f32, i32, program } from "../../src/model/Program.ts"
import { attend, embed, logits, logitsOfEmbeddings, normLinear } from "../../src/model/transformer.ts"
import { assertClose, assertSameBits, relativeError } from "./close.ts"
import * as plain from "./plain.ts"
import { eager, noise, randomExamples, randomTheta, run, smallLayout } from "./samples.ts"

const n = 20

type Model = (p: Parameters, a: tf.Tensor, b: tf.Tensor) => tf.Tensor

const modelInputs = (layout: Layout) => ({ theta: f32(layout.size), a: i32(n), b: i32(n), label: i32(n) })
const modelValues = (layout: Layout) => ({
  theta: randomTheta(layout, 1),
  ...randomExamples(layout, n, 2),
})

/** Logits of a model at random parameters. */
const logitsOf = (layout: Layout, model: Model) =>
  run(
    program({
      name: "logits",
      inputs: modelInputs(layout),
      outputs: { logits: f32(n, layout.shape.modulus) },
      body: ({ theta, a, b }) => ({ logits: model(unpack(layout, theta), a, b) }),
    }),
    modelValues(layout),
  ).pipe(Effect.map((results) => results.logits))

/** Gradient of the loss of a model at random parameters, by name of the parameter. */
const gradientOf = (layout: Layout, model: Model) =>
  run(
    program({
      name: "gradient",
      inputs: modelInputs(layout),
      outputs: { gradient: f32(layout.size) },
      body: ({ theta, a, b, label }) => ({
        gradient: tf.grad((x) => plain.loss(model(unpack(layout, x), a, b), label))(theta),
      }),
    }),
    modelValues(layout),
  ).pipe(
    Effect.map(
      ({ gradient }) =>
        new Map(layout.parameters.map((parameter) => [parameter.name, view(gradient, parameter)])),
    ),
  )

const plainModel =
  ({ shape }: Layout): Model =>
  (p, a, b) =>
    plain.logits(shape, p, a, b)

const ourModel =
  (layout: Layout): Model =>
  (p, a, b) =>
    logits(layout, p, a, b)

const d = 24
const heads = 4

/** Position i of x [n, 2, d]: [n, d]. */
const position = (x: tf.Tensor, i: number) => tf.reshape(tf.slice(x, [0, i, 0], [-1, 1, -1]), [n, d])

layer(eager)("the transformer", (it) => {
  describe.each([1, 2, 3])("of %i layers", (layers) => {
    const layout = smallLayout(layers)

    it.effect("has the logits of its plain form", () =>
      Effect.gen(function* () {
        const expected = yield* logitsOf(layout, plainModel(layout))
        assertClose(yield* logitsOf(layout, ourModel(layout)), expected, 3e-6, "logits")
      }),
    )

    it.effect("has the gradient of its plain form in every parameter", () =>
      Effect.gen(function* () {
        const expected = yield* gradientOf(layout, plainModel(layout))
        const actual = yield* gradientOf(layout, ourModel(layout))
        for (const [name, gradient] of expected) {
          assert.isAbove(Math.max(...gradient), 0, `${name} has a gradient`)
          assertClose(actual.get(name) ?? [], gradient, 1e-5, name)
        }
      }),
    )

    it.effect("has no gradient in the key biases, where the plain form has rounding only", () =>
      Effect.gen(function* () {
        const expected = yield* gradientOf(layout, plainModel(layout))
        const actual = yield* gradientOf(layout, ourModel(layout))
        for (let i = 0; i < layers; i++) {
          const name = `encoder.layers.${i}.self_attn.in_proj_bias`
          const keys = (gradients: typeof expected) => Array.from(gradients.get(name) ?? []).slice(d, 2 * d)
          assert.deepStrictEqual(keys(actual), new Array(d).fill(0))
          assert.isBelow(Math.max(...keys(expected).map(Math.abs)), 1e-6)
        }
      }),
    )

    it.effect("has the same logits from pairs and from their embeddings", () =>
      Effect.gen(function* () {
        const fromEmbeddings = yield* logitsOf(layout, (p, a, b) =>
          logitsOfEmbeddings(layout, p, embed(p, a, b)),
        )
        assertClose(fromEmbeddings, yield* logitsOf(layout, ourModel(layout)), 3e-6, "logits")
      }),
    )

    it.effect.each([1, 2, 6])("is another model with %i heads", (otherHeads) =>
      Effect.gen(function* () {
        const other = { ...layout, shape: { ...layout.shape, heads: otherHeads } }
        const expected = yield* logitsOf(layout, plainModel(layout))
        assert.isAbove(relativeError(yield* logitsOf(layout, ourModel(other)), expected), 0.01)
      }),
    )
  })

  it.effect("attend is softmax attention of a position over both", () =>
    Effect.gen(function* () {
      const results = yield* run(
        program({
          name: "attention",
          inputs: { q: f32(n, 2, d), k: f32(n, 2, d), v: f32(n, 2, d) },
          outputs: { ours: f32(2, n, d), softmax: f32(2, n, d) },
          body: ({ q, k, v }) => {
            const attended = {
              keyDifference: tf.sub(position(k, 0), position(k, 1)),
              valueDifference: tf.sub(position(v, 0), position(v, 1)),
              value: position(v, 1),
            }
            const softmax = plain.softmaxAttention(q, k, v, heads)
            return {
              ours: tf.stack([0, 1].map((i) => attend(position(q, i), attended, heads))),
              softmax: tf.stack([0, 1].map((i) => position(softmax, i))),
            }
          },
        }),
        { q: noise(1, n * 2 * d), k: noise(2, n * 2 * d), v: noise(3, n * 2 * d) },
      )
      assertClose(results.ours, results.softmax, 1e-6)
    }),
  )

  it.effect("normLinear is LayerNorm followed by a projection", () =>
    Effect.gen(function* () {
      const out = 10
      const { ours, separate } = yield* run(
        program({
          name: "norm and projection",
          inputs: { x: f32(n, d), gamma: f32(d), beta: f32(d), weight: f32(out, d), bias: f32(out) },
          outputs: { ours: f32(n, out), separate: f32(n, out) },
          body: ({ x, gamma, beta, weight, bias }) => ({
            ours: normLinear([gamma, beta], [weight, bias])(x),
            separate: tf.add(tf.matMul(plain.layerNorm(x, gamma, beta), weight, false, true), bias),
          }),
        }),
        {
          x: noise(1, n * d, 3),
          gamma: noise(2, d),
          beta: noise(3, d),
          weight: noise(4, out * d),
          bias: noise(5, out),
        },
      )
      assertClose(ours, separate, 1e-5)
    }),
  )

  it.effect("embed gives the embeddings of each position", () =>
    Effect.gen(function* () {
      const layout = smallLayout(2)
      const embeddings = program({
        name: "embeddings",
        inputs: modelInputs(layout),
        outputs: { ours: f32(2, n, d), perExample: f32(2, n, d) },
        body: ({ theta, a, b }) => {
          const p = unpack(layout, theta)
          const perExample = plain.embed(p, a, b)
          return {
            ours: tf.stack([...embed(p, a, b)]),
            perExample: tf.stack([0, 1].map((i) => position(perExample, i))),
          }
        },
      })
      const { ours, perExample } = yield* run(embeddings, modelValues(layout))
      assertSameBits(ours, perExample)
    }),
  )
})
