/**
 * The paper's model against stock PyTorch: 200 training steps of add/42 from the same initial weights and
 * batches, and centroids and perturbation energies after them. Golden numbers: bench/peers/write_golden.py.
 */
import { readFileSync } from "node:fs"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { initialParameters } from "../../src/model/initialise.ts"
import { makeLayout, namedParameters, thetaAttn } from "../../src/model/layout.ts"
import { perturbationEnergies, probeCentroids, trainSteps } from "../../src/model/programs.ts"
import { norm } from "../../src/numerics/gram.ts"
import { permutation, stream } from "../../src/numerics/random.ts"
import { paper } from "../../src/pipelines/single.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../src/services/engine/onnx/OnnxEngine.ts"
import { decode } from "../../src/services/formats/safetensors.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { randomDirection } from "../../src/stages/directions.ts"
import { draw, type Examples, type Pairs, take } from "../../src/stages/pairs.ts"
import { stepInputs } from "../../src/stages/training.ts"

const STEPS = 200
const LOSS_LIMIT = 5e-6
const WEIGHTS_LIMIT = 2e-5
const COUPLING_LIMIT = 1e-4

const golden = Result.getOrThrow(
  decode(readFileSync(new URL("./golden/add-42.safetensors", import.meta.url))),
).tensors
const values = (name: string) => Array.from(golden[name].data, Number)

const layout = makeLayout({ modulus: paper.data.modulus, tasks: 1, ...paper.model })
const seed = 42

/** All pairs of addition mod 97 and the training half of seed 42. */
const allPairs = (): Pairs => {
  const p = paper.data.modulus
  const count = p * p
  const all: Examples = {
    a: Int32Array.from({ length: count }, (_, i) => Math.floor(i / p)),
    b: Int32Array.from({ length: count }, (_, i) => i % p),
    label: Int32Array.from({ length: count }, (_, i) => (Math.floor(i / p) + (i % p)) % p),
  }
  const order = permutation(stream(seed, "split"), count)
  return { all, train: take(all, order.subarray(0, Math.floor(count / 2))), isTrain: [] }
}

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

const engine = OnnxEngine.layer({ threads: 2 }).pipe(Layer.provide(CodeFingerprint.layer))

layer(engine, { timeout: "2 minutes" })("the PyTorch twin of add, seed 42", (it) => {
  it.effect("agrees in 200 losses, in the weights after them, in centroids and in energies", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { compile, compileScan } = yield* TensorEngine
        const pairs = allPairs()
        const zeros = new Float32Array(layout.size)
        const steps = yield* compileScan(trainSteps(layout, paper.train, paper.train.batchSize))
        const { carry, ys } = yield* steps.run({
          carry: { theta: initialParameters(layout, seed), first: zeros, second: zeros },
          xs: stepInputs(pairs, { train: paper.train, seed }, 1, STEPS),
          constants: {},
        })
        assert.isBelow(largestRelative(ys.loss, values("losses")), LOSS_LIMIT)

        const parameters = namedParameters(layout, carry.theta)
        const ours = parameters.flatMap(({ name, values }) => withoutKeyBias(name, Array.from(values)))
        const theirs = parameters.flatMap(({ name }) => withoutKeyBias(name, values(`final.${name}`)))
        assert.isBelow(distance(ours, theirs), WEIGHTS_LIMIT)

        const probes = draw(pairs.all, stream(seed, "probe"), 256)
        const centroidProgram = yield* compile(probeCentroids(layout, 256))
        const { centroids } = yield* centroidProgram.run({ theta: carry.theta, ...probes })
        const goldenCentroids = values("centroids")
        const width = 2 * layout.shape.width
        for (let probe = 0; probe < goldenCentroids.length / width; probe++) {
          const row = (all: ArrayLike<number>) =>
            Array.from({ length: width }, (_, i) => all[probe * width + i])
          assert.isBelow(distance(row(centroids), row(goldenCentroids)), COUPLING_LIMIT)
        }

        const energy = values("energy")
        const direction = new Float32Array(energy.length * layout.attentionSize)
        for (const i of energy.keys()) {
          direction.set(randomDirection(seed, 0, i, layout.attentionSize), i * layout.attentionSize)
        }
        const energyProgram = yield* compileScan(perturbationEnergies(layout, 256))
        const epsilon = Float32Array.of(0.005 * norm(thetaAttn(layout, carry.theta)))
        const result = yield* energyProgram.run({
          carry: {},
          xs: { direction },
          constants: { theta: carry.theta, epsilon, ...probes },
        })
        assert.isBelow(largestRelative(result.ys.energy, energy), COUPLING_LIMIT)
      }),
    ),
  )
})
