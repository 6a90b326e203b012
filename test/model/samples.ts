/** Small models, parameters and examples that the tests of model and engines share. */
import { Effect } from "effect"
import { initialParameters } from "../../src/model/initialise.ts"
import { type Layout, makeLayout } from "../../src/model/layout.ts"
import type { OptimizerConfig } from "../../src/model/optimizer.ts"
import type { Program, Scan, Signature, Values } from "../../src/model/Program.ts"
import { integers, normals, stream } from "../../src/numerics/random.ts"
import { EagerEngine } from "../../src/services/engine/eager/EagerEngine.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"

const paperShape = { modulus: 97, width: 128, heads: 4, feedForward: 256, layers: 2 }

export const paperLayout = makeLayout({ ...paperShape, tasks: 1 })
export const multitaskPaperLayout = makeLayout({ ...paperShape, tasks: 4 })

export const paperOptimiser: OptimizerConfig = {
  optimizer: "adamw",
  schedule: { kind: "constant" },
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.98,
  epsilon: 1e-8,
  weightDecay: 1,
  clipNorm: 1,
}

/**
 * A model of the paper's form that runs in milliseconds. No two of its sizes are equal, the width of a head
 * included, so that no mix-up of axes goes unseen.
 */
export const smallLayout = (layers: number, tasks = 1): Layout =>
  makeLayout({ modulus: 7 + 2 * (layers - 1), tasks, width: 24, heads: 4, feedForward: 32, layers })

export const noise = (seed: number, size: number, scale = 1): Float32Array =>
  Float32Array.from(normals(stream(seed, "noise"), size), (z) => z * scale)

/** Parameters away from initialisation: no norm is 1/0, no bias is 0, no two layers are equal. */
export const randomTheta = (layout: Layout, seed: number): Float32Array => {
  const displacement = noise(seed, layout.size, 0.2)
  return initialParameters(layout, seed).map((value, i) => value + displacement[i])
}

/** n examples with labels, one for each task, that have nothing to do with the pair. */
export const randomExamples = ({ shape }: Layout, n: number, seed: number) => {
  const tokens = (step: number, count = n) => integers(stream(seed, "probe", step), count, shape.modulus)
  return { a: tokens(0), b: tokens(1), label: tokens(2, n * shape.tasks) }
}

/** A random unit vector. */
export const randomDirection = (size: number, seed: number): Float32Array => {
  const z = noise(seed, size)
  const norm = Math.sqrt(z.reduce((sum, value) => sum + value * value, 0))
  return z.map((value) => value / norm)
}

/** Compiles a program, runs it once and closes it. */
export const run = <I extends Signature, O extends Signature>(program: Program<I, O>, inputs: Values<I>) =>
  Effect.gen(function* () {
    const engine = yield* TensorEngine
    const executable = yield* engine.compile(program)
    return yield* executable.run(inputs)
  }).pipe(Effect.scoped)

/** Compiles a scan, runs it once and closes it. */
export const runScan = <C extends Signature, X extends Signature, K extends Signature, Y extends Signature>(
  scan: Scan<C, X, K, Y>,
  inputs: { readonly carry: Values<C>; readonly xs: Values<X>; readonly constants: Values<K> },
) =>
  Effect.gen(function* () {
    const engine = yield* TensorEngine
    const executable = yield* engine.compileScan(scan)
    return yield* executable.run(inputs)
  }).pipe(Effect.scoped)

/** The reference engine. */
export const eager = EagerEngine.layer({ backend: "cpu" })
