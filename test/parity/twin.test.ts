/**
 * The paper's model against stock PyTorch, on every engine that is fast enough for it: 200 training steps of add/42 from the same
 * initial weights and batches, and centroids and perturbation energies after them.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { namedParameters } from "../../src/model/layout.ts"
import { engines } from "../services/engine/engines.ts"
import { centroidsAt, energiesAt, firstGradient, layout, trained, values } from "./twin.ts"

const STEPS = 200
const LOSS_LIMIT = 5e-6
const WEIGHTS_LIMIT = 2e-5
const GRADIENT_LIMIT = 1e-5
const COUPLING_LIMIT = 1e-4

const largestRelative = (ours: ArrayLike<number>, theirs: ReadonlyArray<number>) =>
  Math.max(...theirs.map((value, i) => Math.abs(ours[i] - value) / Math.abs(value)))

const length = (xs: ReadonlyArray<number>) => Math.sqrt(xs.reduce((sum, x) => sum + x * x, 0))

/** Relative L2 difference of two vectors. */
const distance = (ours: ReadonlyArray<number>, theirs: ReadonlyArray<number>) =>
  length(theirs.map((value, i) => ours[i] - value)) / length(theirs)

/** Key biases are left out: their true gradient is zero, so PyTorch's are amplified rounding. */
const withoutKeyBias = (name: string, weights: ReadonlyArray<number>) =>
  name.endsWith("in_proj_bias")
    ? weights.filter((_, i) => i < weights.length / 3 || i >= (2 * weights.length) / 3)
    : weights

// The reference engine takes seconds a step at this size; one thread of onnxruntime differs from two by rounding.
const fast = engines.filter(({ name }) => name === "onnx on two threads" || name === "tfjs-node")

describe.each(fast)("the PyTorch twin of add, seed 42, on $name", ({ engine }) => {
  layer(engine, { timeout: "4 minutes" })((it) => {
    it.effect("agrees in 200 losses, in the weights after them, in centroids and in energies", () =>
      Effect.gen(function* () {
        const { theta, losses } = yield* trained(STEPS)
        assert.isBelow(largestRelative(losses, values("losses")), LOSS_LIMIT)

        const parameters = namedParameters(layout, theta)
        const ours = parameters.flatMap(({ name, values }) => withoutKeyBias(name, Array.from(values)))
        const theirs = parameters.flatMap(({ name }) => withoutKeyBias(name, values(`final.${name}`)))
        assert.isBelow(distance(ours, theirs), WEIGHTS_LIMIT)

        const centroids = yield* centroidsAt(theta)
        const goldenCentroids = values("centroids")
        const width = 2 * layout.shape.width
        for (let probe = 0; probe < goldenCentroids.length / width; probe++) {
          const row = (all: ArrayLike<number>) =>
            Array.from({ length: width }, (_, i) => all[probe * width + i])
          assert.isBelow(distance(row(centroids), row(goldenCentroids)), COUPLING_LIMIT)
        }
        assert.isBelow(largestRelative(yield* energiesAt(theta), values("energy")), COUPLING_LIMIT)
      }),
    )

    it.effect("agrees with float64 in the first gradient", () =>
      Effect.gen(function* () {
        assert.isBelow(distance(Array.from(yield* firstGradient), values("gradient64")), GRADIENT_LIMIT)
      }),
    )
  })
})
