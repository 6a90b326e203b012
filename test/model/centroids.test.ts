import { describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { displace } from "../../src/model/centroids.ts"
import { type Layout, unpack } from "../../src/model/layout.ts"
import { f32, i32, program } from "../../src/model/Program.ts"
import { perturbationEnergies, probeCentroids } from "../../src/model/programs.ts"
import { assertClose, assertSameBits } from "./close.ts"
import * as plain from "./plain.ts"
import {
  eager,
  noise,
  randomDirection,
  randomExamples,
  randomTheta,
  run,
  runScan,
  smallLayout,
} from "./samples.ts"

const n = 4

/** Logits of the plain model at the given summed embeddings of N examples. */
const logitsAt = (layout: Layout, theta: Float32Array, embeddings: Float32Array, count: number) =>
  run(
    program({
      name: "logits of embeddings",
      inputs: { theta: f32(layout.size), x: f32(count, 2, layout.shape.width) },
      outputs: { logits: f32(count, layout.shape.modulus) },
      body: ({ theta, x }) => ({ logits: plain.readOut(layout.shape, unpack(layout, theta), x) }),
    }),
    { theta, x: embeddings },
  ).pipe(Effect.map(({ logits }) => logits))

const embeddingsOf = (layout: Layout, theta: Float32Array, a: Int32Array, b: Int32Array) =>
  run(
    program({
      name: "embeddings",
      inputs: { theta: f32(layout.size), a: i32(n), b: i32(n) },
      outputs: { x: f32(n, 2, layout.shape.width) },
      body: ({ theta, a, b }) => ({ x: plain.embed(unpack(layout, theta), a, b) }),
    }),
    { theta, a, b },
  ).pipe(Effect.map(({ x }) => x))

/** Central differences of each example's correct-class logit in each of its 2d embedding coordinates: [n, 2d]. */
const finiteDifferences = Effect.fnUntraced(function* (
  layout: Layout,
  theta: Float32Array,
  { a, b, label }: ReturnType<typeof randomExamples>,
) {
  const h = 0.02
  const size = 2 * layout.shape.width
  const x = yield* embeddingsOf(layout, theta, a, b)
  const count = n * size * 2
  const displaced = new Float32Array(count * size)
  for (let row = 0; row < count; row++) {
    const [example, coordinate, sign] = [Math.floor(row / 2 / size), Math.floor(row / 2) % size, row % 2]
    displaced.set(x.subarray(example * size, (example + 1) * size), row * size)
    displaced[row * size + coordinate] += sign === 0 ? h : -h
  }
  const logits = yield* logitsAt(layout, theta, displaced, count)
  const { modulus } = layout.shape
  return Float64Array.from({ length: n * size }, (_, i) => {
    const correct = label[Math.floor(i / size)]
    return (logits[2 * i * modulus + correct] - logits[(2 * i + 1) * modulus + correct]) / (2 * h)
  })
})

const centroidsAt = (layout: Layout, theta: Float32Array, probes: ReturnType<typeof randomExamples>) =>
  run(probeCentroids(layout, n), { theta, ...probes }).pipe(Effect.map(({ centroids }) => centroids))

layer(eager)("centroids", (it) => {
  describe.each([1, 2, 3])("of a model of %i layers", (layers) => {
    const layout = smallLayout(layers)
    const theta = randomTheta(layout, 3)
    const probes = randomExamples(layout, n, 4)

    it.effect("are the derivative of the correct-class logit in the embedding", () =>
      Effect.gen(function* () {
        const expected = yield* finiteDifferences(layout, theta, probes)
        assertClose(yield* centroidsAt(layout, theta, probes), expected, 2e-3)
      }),
    )

    it.effect("move by the perturbation energy: the mean of ‖[μ(θ+εv) − μ(θ−εv)] / 2ε‖²", () =>
      Effect.gen(function* () {
        const epsilon = 0.05
        const directions = [1, 2].map((seed) => randomDirection(layout.attentionSize, seed))
        const displaced = (v: Float32Array, sign: number) =>
          theta.map((w, i) => (i < v.length ? w + sign * epsilon * v[i] : w))
        const expected = yield* Effect.forEach(
          directions,
          Effect.fnUntraced(function* (v) {
            const forward = yield* centroidsAt(layout, displaced(v, 1), probes)
            const backward = yield* centroidsAt(layout, displaced(v, -1), probes)
            const squares = forward.map((mu, i) => ((mu - backward[i]) / (2 * epsilon)) ** 2)
            return squares.reduce((sum, square) => sum + square) / n
          }),
        )
        const { ys } = yield* runScan(perturbationEnergies(layout, n), {
          carry: {},
          xs: { direction: Float32Array.from(directions.flatMap((v) => Array.from(v))) },
          constants: { theta, epsilon: Float32Array.of(epsilon), ...probes },
        })
        assertClose(ys.energy, expected, 1e-4)
      }),
    )
  })

  it.effect("displace moves the attention slots only", () =>
    Effect.gen(function* () {
      const layout = smallLayout(2)
      const theta = noise(1, layout.size)
      const direction = noise(2, layout.attentionSize)
      const { moved } = yield* run(
        program({
          name: "displace",
          inputs: { theta: f32(layout.size), direction: f32(layout.attentionSize), scale: f32() },
          outputs: { moved: f32(layout.size) },
          body: ({ theta, direction, scale }) => ({
            moved: displace(layout, "attention", theta, direction, scale),
          }),
        }),
        { theta, direction, scale: Float32Array.of(-0.5) },
      )
      assertSameBits(moved.subarray(layout.attentionSize), theta.subarray(layout.attentionSize))
      assertClose(
        moved.subarray(0, layout.attentionSize),
        direction.map((v, i) => theta[i] - 0.5 * v),
        1e-6,
      )
    }),
  )
})
