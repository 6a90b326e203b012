/**
 * The twin of add/42 at the paper's size: what an engine computes of it, and what stock PyTorch does (golden numbers of
 * bench/peers/write_golden.py).
 */
import { readFileSync } from "node:fs"
import { Effect, Result } from "effect"
import { initialParameters } from "../../src/model/initialise.ts"
import { makeLayout, thetaAttn } from "../../src/model/layout.ts"
import { blockGradient, perturbationEnergies, probeCentroids, trainSteps } from "../../src/model/programs.ts"
import { norm } from "../../src/numerics/gram.ts"
import { permutation, stream } from "../../src/numerics/random.ts"
import { paper } from "../../src/pipelines/sizes.ts"
import { decode } from "../../src/services/formats/safetensors.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { randomDirection } from "../../src/stages/directions.ts"
import { draw, type Examples, type Pairs, take } from "../../src/stages/pairs.ts"
import { stepInputs } from "../../src/stages/training.ts"

const golden = Result.getOrThrow(
  decode(readFileSync(new URL("./golden/add-42.safetensors", import.meta.url))),
).tensors

/** Numbers of PyTorch, by their name in the golden file. */
export const values = (name: string): ReadonlyArray<number> => Array.from(golden[name].data, Number)

export const layout = makeLayout({ modulus: paper.data.modulus, tasks: 1, ...paper.model })
const seed = 42
const PROBES = 256

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

const pairs = allPairs()
const inputsOf = (first: number, count: number) =>
  stepInputs(pairs, { train: paper.train, seed }, first, count)

/** θ and the loss before each of the first steps, and θ after them. */
export const trained = Effect.fn("trained")(function* (steps: number) {
  const { compileScan } = yield* TensorEngine
  const { run } = yield* compileScan(trainSteps(layout, paper.train, paper.train.batchSize))
  const zeros = new Float32Array(layout.size)
  const { carry, ys } = yield* run({
    carry: { theta: initialParameters(layout, seed), first: zeros, second: zeros },
    xs: inputsOf(1, steps),
    constants: {},
  })
  return { theta: carry.theta, losses: ys.loss }
}, Effect.scoped)

/** Every 64th entry of the first step's gradient of θ_attn, before clipping. */
export const firstGradient = Effect.gen(function* () {
  const { compile } = yield* TensorEngine
  const { batchSize } = paper.train
  const { run } = yield* compile(blockGradient(layout, batchSize))
  const { stepSize: _, decay: __, denominatorScale: ___, ...batch } = inputsOf(1, 1)
  const { gradient } = yield* run({ theta: initialParameters(layout, seed), ...batch })
  return gradient.filter((_, i) => i % 64 === 0)
}).pipe(Effect.scoped)

const probes = draw(pairs.all, stream(seed, "probe"), PROBES)

/** Centroids [256, 2d] of the probes. */
export const centroidsAt = Effect.fn("centroidsAt")(function* (theta: Float32Array) {
  const { compile } = yield* TensorEngine
  const { run } = yield* compile(probeCentroids(layout, PROBES))
  return (yield* run({ theta, ...probes })).centroids
}, Effect.scoped)

/** Energies of the golden file's random directions. */
export const energiesAt = Effect.fn("energiesAt")(function* (theta: Float32Array) {
  const { compileScan } = yield* TensorEngine
  const { run } = yield* compileScan(perturbationEnergies(layout, PROBES))
  const count = values("energy").length
  const direction = new Float32Array(count * layout.attentionSize)
  for (let i = 0; i < count; i++) {
    direction.set(randomDirection(seed, 0, i, layout.attentionSize), i * layout.attentionSize)
  }
  const epsilon = Float32Array.of(0.005 * norm(thetaAttn(layout, theta)))
  const { ys } = yield* run({ carry: {}, xs: { direction }, constants: { theta, epsilon, ...probes } })
  return ys.energy
}, Effect.scoped)
