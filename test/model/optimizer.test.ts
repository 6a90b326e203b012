import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import {
  clipByGlobalNorm,
  learningRateAt,
  type OptimizerConfig,
  optimizerStep,
  type Schedule,
  stepScalars,
} from "../../src/model/optimizer.ts"
import { f32, program, scan } from "../../src/model/Program.ts"
import { assertClose, assertSameBits } from "./close.ts"
import { adamWStep, initialState, type OptimiserState, sgdStep } from "./plain.ts"
import { eager, noise, paperOptimiser, run, runScan } from "./samples.ts"

/** Sizes of the parameter tensors that the flat vector is made of. */
const sizes = [12, 5, 1, 32]
const size = 50
const steps = 20

const theta = noise(1, size)

/** Gradients of all steps, [steps, size], each of its own length: about √50 · scale · (0.5 … 2.4). */
const gradients = (scale: number): Float32Array =>
  noise(2, steps * size, scale).map((g, i) => g * (0.5 + Math.floor(i / size) / 10))

const tensorsOf = (flat: Float32Array): ReadonlyArray<Float64Array> =>
  sizes.map((length, i) => {
    const offset = sizes.slice(0, i).reduce((sum, before) => sum + before, 0)
    return Float64Array.from(flat.subarray(offset, offset + length))
  })

const flatten = (tensors: ReadonlyArray<Float64Array>): Array<number> => tensors.flatMap((t) => Array.from(t))

/** SGD with momentum, and a rate at which the decay of 20 steps is far above rounding. */
const momentum: OptimizerConfig = {
  ...paperOptimiser,
  optimizer: "sgd",
  learningRate: 0.1,
  weightDecay: 0.05,
}

/** Our steps, on flat vectors in float32. */
const ours = (allGradients: Float32Array, config = paperOptimiser) => {
  const scalars = Array.from({ length: steps }, (_, i) => stepScalars(config, i + 1))
  return runScan(
    scan({
      name: "optimiser",
      carry: { theta: f32(size), first: f32(size), second: f32(size) },
      xs: { gradient: f32(size), stepSize: f32(), decay: f32(), denominatorScale: f32() },
      constants: {},
      ys: { norm: f32() },
      step: (state, { gradient, ...scalars }) => {
        const { clipped, norm } = clipByGlobalNorm(gradient, config.clipNorm)
        const next = optimizerStep(config, scalars, state.theta, state, clipped)
        return { carry: { theta: next.theta, ...next.moments }, y: { norm } }
      },
    }),
    {
      carry: { theta, first: new Float32Array(size), second: new Float32Array(size) },
      xs: {
        gradient: allGradients,
        stepSize: Float32Array.from(scalars, (s) => s.stepSize),
        decay: Float32Array.from(scalars, (s) => s.decay),
        denominatorScale: Float32Array.from(scalars, (s) => s.denominatorScale),
      },
      constants: {},
    },
  )
}

type Step = (
  config: OptimizerConfig,
  state: OptimiserState,
  gradients: ReadonlyArray<Float64Array>,
  t: number,
) => OptimiserState

/** The same steps, tensor by tensor in float64; the learning rate of each is given. */
const perTensor = (
  allGradients: Float32Array,
  step: Step = adamWStep,
  config = paperOptimiser,
  rateOf = (_: number) => config.learningRate,
): OptimiserState => {
  let state = initialState(tensorsOf(theta))
  for (let i = 0; i < steps; i++) {
    const gradient = allGradients.subarray(i * size, (i + 1) * size)
    state = step({ ...config, learningRate: rateOf(i + 1) }, state, tensorsOf(gradient), i + 1)
  }
  return state
}

layer(eager)("AdamW on one flat vector", (it) => {
  describe.each([
    { clipping: "every gradient clipped", scale: 1, longer: steps },
    { clipping: "some gradients clipped", scale: 0.1, longer: 11 },
    { clipping: "no gradient clipped", scale: 0.01, longer: 0 },
  ])("with $clipping", ({ scale, longer }) => {
    const all = gradients(scale)

    it.effect("is AdamW on each tensor", () =>
      Effect.gen(function* () {
        const { carry } = yield* ours(all)
        const expected = perTensor(all)
        assertClose(carry.theta, flatten(expected.theta), 1e-6, "theta")
        assertClose(carry.first, flatten(expected.first), 1e-6, "first moment")
        assertClose(carry.second, flatten(expected.second), 1e-6, "second moment")
      }),
    )

    it.effect("reports the norms before clipping", () =>
      Effect.gen(function* () {
        const { ys } = yield* ours(all)
        const norms = Array.from({ length: steps }, (_, i) =>
          Math.hypot(...all.subarray(i * size, (i + 1) * size)),
        )
        assertClose(ys.norm, norms, 1e-6)
        assert.lengthOf(
          norms.filter((norm) => norm > paperOptimiser.clipNorm),
          longer,
        )
      }),
    )
  })

  it.effect("leaves a gradient of zero as it is", () =>
    Effect.gen(function* () {
      const zero = new Float32Array(size)
      const clip = program({
        name: "clip",
        inputs: { gradient: f32(size) },
        outputs: { clipped: f32(size), norm: f32() },
        body: ({ gradient }) => clipByGlobalNorm(gradient, 1),
      })
      assert.deepStrictEqual(yield* run(clip, { gradient: zero }), {
        clipped: zero,
        norm: Float32Array.of(0),
      })
    }),
  )

  it.effect("decays parameters whose gradient is zero", () =>
    Effect.gen(function* () {
      const { carry } = yield* ours(new Float32Array(steps * size))
      assertClose(
        carry.theta,
        theta.map((w) => w * 0.999 ** steps),
        1e-6,
      )
    }),
  )
})

const clipping = [
  { clipping: "every gradient clipped", scale: 1 },
  { clipping: "some gradients clipped", scale: 0.1 },
  { clipping: "no gradient clipped", scale: 0.01 },
]

layer(eager)("SGD with momentum on one flat vector", (it) => {
  it.effect.each(clipping)("is SGD on each tensor, with $clipping", ({ scale }) =>
    Effect.gen(function* () {
      const all = gradients(scale)
      const { carry } = yield* ours(all, momentum)
      const expected = perTensor(all, sgdStep, momentum)
      assertClose(carry.theta, flatten(expected.theta), 1e-6, "theta")
      assertClose(carry.first, flatten(expected.first), 1e-6, "momentum")
      assertSameBits(carry.second, new Float32Array(size), "the second moment, which it does not use,")
    }),
  )

  it.effect("without momentum, decay and clipping takes the plain steps", () =>
    Effect.gen(function* () {
      const all = gradients(0.01)
      const { carry } = yield* ours(all, { ...momentum, beta1: 0, weightDecay: 0 })
      const sums = theta.map((w, i) => {
        const total = Array.from({ length: steps }, (_, t) => all[t * size + i]).reduce(
          (sum, g) => sum + g,
          0,
        )
        return w - 0.1 * total
      })
      assertClose(carry.theta, sums, 1e-6)
    }),
  )
})

const schedule: Schedule = { kind: "warmup-cosine", warmup: 5, period: 16 }

layer(eager)("a schedule", (it) => {
  it.effect.each([
    { name: "AdamW", config: paperOptimiser, step: adamWStep },
    { name: "SGD", config: momentum, step: sgdStep },
  ])("changes step and decay of $name", ({ config, step }) =>
    Effect.gen(function* () {
      const all = gradients(0.1)
      const scheduled = { ...config, schedule }
      const { carry } = yield* ours(all, scheduled)
      // cos² of half the angle is the half of 1 + cos.
      const rateOf = (t: number) =>
        t >= 16 ? 0 : config.learningRate * (t < 5 ? t / 5 : 1) * Math.cos((Math.PI * t) / 32) ** 2
      const expected = perTensor(all, step, config, rateOf)
      assertClose(carry.theta, flatten(expected.theta), 1e-6)
      const constant = yield* ours(all, config)
      assert.isAbove(Math.abs(carry.theta[0] - constant.carry.theta[0]), 1e-4)
    }),
  )
})

describe("the learning rate", () => {
  const at = (schedule: Schedule, t: number) => learningRateAt({ learningRate: 0.5, schedule }, t)

  it("is the configured one at every step, unless scheduled", () => {
    for (const t of [1, 20, 8000]) assert.strictEqual(at({ kind: "constant" }, t), 0.5)
  })

  it("rises in a line, falls with the cosine and stays at 0", () => {
    const long: Schedule = { kind: "warmup-cosine", warmup: 10, period: 1200 }
    assert.closeTo(at(long, 1), 0.05, 1e-6)
    assert.closeTo(at(long, 5), 0.25, 1e-4)
    assert.closeTo(at(long, 10), 0.5, 1e-3)
    assert.closeTo(at(long, 400), 0.375, 1e-12)
    assert.closeTo(at(long, 600), 0.25, 1e-12)
    assert.closeTo(at(long, 800), 0.125, 1e-12)
    assert.strictEqual(at(long, 1200), 0)
    assert.strictEqual(at(long, 5000), 0)
  })

  it("starts at once without a warm-up", () => {
    assert.closeTo(at({ kind: "warmup-cosine", warmup: 0, period: 1200 }, 1), 0.5, 1e-5)
  })
})

describe("stepScalars", () => {
  it("of SGD correct no bias", () => {
    const { stepSize, decay } = stepScalars(momentum, 1)
    assert.strictEqual(stepSize, 0.1)
    assert.strictEqual(decay, 1 - 0.1 * 0.05)
  })

  it("decay by the learning rate of the step", () => {
    const { stepSize, decay } = stepScalars({ ...paperOptimiser, schedule }, 16)
    assert.deepStrictEqual([stepSize, decay], [0, 1])
  })

  it("undoes the bias of zero moments at the first step", () => {
    const { stepSize, decay, denominatorScale } = stepScalars(paperOptimiser, 1)
    assert.closeTo(stepSize, 1e-3 / 0.1, 1e-15)
    assert.closeTo(denominatorScale, 1 / Math.sqrt(0.02), 1e-12)
    assert.strictEqual(decay, 0.999)
  })

  it("tends to the learning rate and to 1", () => {
    const { stepSize, denominatorScale } = stepScalars(paperOptimiser, 8000)
    assert.strictEqual(stepSize, 1e-3)
    assert.strictEqual(denominatorScale, 1)
  })
})
