import { fromBinary } from "@bufbuild/protobuf"
import { assert, describe, layer, it as spec } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { type Block, blocks } from "../../src/model/blocks.ts"
import type { CentroidOf } from "../../src/model/centroids.ts"
import type { Layout } from "../../src/model/layout.ts"
import { exactPerturbationEnergies, perturbationEnergies, probeCentroids } from "../../src/model/programs.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { scanModel } from "../../src/services/engine/onnx/compile.ts"
import { OnnxEngine } from "../../src/services/engine/onnx/OnnxEngine.ts"
import { ModelProtoSchema } from "../../src/services/engine/onnx/proto/onnx_pb.js"
import { assertClose } from "./close.ts"
import * as float64 from "./float64.ts"
import { eager, randomDirection, randomTheta, run, runScan, smallLayout } from "./samples.ts"
import { slotsOf } from "./slots.ts"

const n = 3
const correctLogit: CentroidOf = { kind: "correct-logit" }
const logitSum = (task: number): CentroidOf => ({ kind: "logit-sum", task })

/** Probes whose labels are indices of logits of the last head. */
const probesOf = ({ shape: { modulus, tasks } }: Layout) => {
  const column = (factor: number, offset: number) =>
    Int32Array.from({ length: n }, (_, i) => ((i + 1) * factor) % modulus).map((value) => value + offset)
  return { a: column(2, 0), b: column(3, 0), label: column(5, (tasks - 1) * modulus) }
}

const theta = (layout: Layout) => randomTheta(layout, 11)
const directionsOf = (layout: Layout, block: Block = "attention") =>
  [5, 6].map((seed) => randomDirection(slotsOf(layout, block).length, seed))
const joined = (vectors: ReadonlyArray<Float32Array>) =>
  Float32Array.from(vectors.flatMap((vector) => Array.from(vector)))

const exact = (layout: Layout, of: CentroidOf, block: Block = "attention") =>
  runScan(exactPerturbationEnergies(layout, n, of, block), {
    carry: {},
    xs: { direction: joined(directionsOf(layout, block)) },
    constants: { theta: theta(layout), ...probesOf(layout) },
  }).pipe(Effect.map(({ ys }) => ys.energy))

const central = (layout: Layout, epsilon: number) =>
  runScan(perturbationEnergies(layout, n), {
    carry: {},
    xs: { direction: joined(directionsOf(layout)) },
    constants: { theta: theta(layout), epsilon: Float32Array.of(epsilon), ...probesOf(layout) },
  }).pipe(Effect.map(({ ys }) => ys.energy))

/** Mixed differences in float64 of the scalar of each probe, in the direction and in each embedding coordinate. */
const reference = (
  layout: Layout,
  of: CentroidOf,
  direction: Float32Array,
  block: Block = "attention",
): number => {
  const h = 1e-3
  const slots = slotsOf(layout, block)
  const at = Float64Array.from(theta(layout))
  const displaced = (s: number) => {
    const moved = at.slice()
    for (const [i, slot] of slots.entries()) moved[slot] += s * direction[i]
    return float64.weightsOf(layout, moved)
  }
  const { a, b, label } = probesOf(layout)
  const { modulus } = layout.shape
  const scalar = (logits: Float64Array, i: number) =>
    of.kind === "correct-logit"
      ? logits[label[i]]
      : logits.subarray(of.task * modulus, (of.task + 1) * modulus).reduce((sum, logit) => sum + logit)
  const [plus, minus] = [displaced(h), displaced(-h)]
  let total = 0
  for (let i = 0; i < n; i++) {
    for (let coordinate = 0; coordinate < 2 * layout.shape.width; coordinate++) {
      // Embeddings move with the parameters, where the block holds them.
      const value = (weights: float64.Weights, sign: number) => {
        const x = float64.embed(layout, weights, a[i], b[i])
        return scalar(float64.logits(layout, weights, x.with(coordinate, x[coordinate] + sign * h)), i)
      }
      const change = value(plus, 1) - value(plus, -1) - value(minus, 1) + value(minus, -1)
      total += (change / (4 * h * h)) ** 2
    }
  }
  return total / n
}

const onnx = OnnxEngine.layer({ threads: 1 }).pipe(Layer.provide(CodeFingerprint.layer))

describe("the perturbation energy in the limit ε → 0", () => {
  spec.effect.each([
    { layers: 1, tasks: 1, of: correctLogit },
    { layers: 2, tasks: 1, of: correctLogit },
    { layers: 2, tasks: 1, of: logitSum(0) },
    { layers: 2, tasks: 3, of: correctLogit },
    { layers: 2, tasks: 3, of: logitSum(1) },
  ])(
    "is the derivative of the centroids in float64: $layers layers, $tasks tasks, $of",
    ({ layers, tasks, of }) =>
      Effect.gen(function* () {
        const layout = smallLayout(layers, tasks)
        const expected = directionsOf(layout).map((direction) => reference(layout, of, direction))
        assertClose(yield* Effect.provide(exact(layout, of), eager), expected, 2e-5, "energies, eager")
        assertClose(yield* Effect.provide(exact(layout, of), onnx), expected, 2e-5, "energies, onnx")
      }),
  )

  spec.effect.each(blocks)("is that in any block: %s", (block) =>
    Effect.gen(function* () {
      const layout = smallLayout(2)
      const expected = directionsOf(layout, block).map((direction) =>
        reference(layout, correctLogit, direction, block),
      )
      const energies = yield* Effect.provide(exact(layout, correctLogit, block), onnx)
      assertClose(energies, expected, 5e-5, "energies")
    }),
  )
})

layer(onnx)("central differences", (it) => {
  const layout = smallLayout(2)

  it.effect("come nearer to it the shorter they are, with the square of their length", () =>
    Effect.gen(function* () {
      const limit = yield* exact(layout, correctLogit)
      const errors = yield* Effect.forEach([0.4, 0.2, 0.1], (epsilon) =>
        Effect.map(central(layout, epsilon), (energies) =>
          Array.from(energies, (energy, k) => Math.abs(energy / limit[k] - 1)),
        ),
      )
      for (const k of [0, 1]) {
        assert.closeTo(errors[0][k] / errors[1][k], 4, 0.5)
        assert.closeTo(errors[1][k] / errors[2][k], 4, 0.5)
      }
    }),
  )

  it.effect("extrapolated to length 0 are it", () =>
    Effect.gen(function* () {
      const [coarse, fine] = [yield* central(layout, 0.1), yield* central(layout, 0.05)]
      const richardson = fine.map((energy, k) => (4 * energy - coarse[k]) / 3)
      assertClose(yield* exact(layout, correctLogit), richardson, 2e-4)
    }),
  )

  it.effect("of the sum of a head's logits are those of the sum of its correct-logit centroids", () =>
    Effect.gen(function* () {
      const twoHeads = smallLayout(2, 2)
      const { modulus } = twoHeads.shape
      const probes = probesOf(twoHeads)
      const at = theta(twoHeads)
      const { centroids } = yield* run(probeCentroids(twoHeads, n, logitSum(1)), { theta: at, ...probes })
      const sum = new Float64Array(centroids.length)
      for (let logit = modulus; logit < 2 * modulus; logit++) {
        const label = new Int32Array(n).fill(logit)
        const part = yield* run(probeCentroids(twoHeads, n), { theta: at, ...probes, label })
        for (const [i, value] of part.centroids.entries()) sum[i] += value
      }
      assertClose(centroids, sum, 1e-5)
    }),
  )
})

spec("a loop over directions computes nothing of the model itself", () => {
  const { graph } = fromBinary(ModelProtoSchema, scanModel(exactPerturbationEnergies(smallLayout(2), n)))
  const loop = graph?.node.find(({ opType }) => opType === "Loop")
  const inLoop = loop?.attribute[0].g?.node.map(({ opType }) => opType) ?? assert.fail("no loop")
  assert.include(inLoop, "Gemm")
  for (const op of ["LayerNormalization", "Gelu", "Erf", "Exp", "Sigmoid"]) assert.notInclude(inLoop, op)
})
