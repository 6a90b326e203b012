import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { adamW, clipByGlobalNorm, stepScalars } from "../../src/model/adamw.ts"
import { f32, program, scan } from "../../src/model/Program.ts"
import { assertClose } from "./close.ts"
import { adamWStep, initialState, type OptimiserState } from "./plain.ts"
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

/** Our steps, on flat vectors in float32. */
const ours = (allGradients: Float32Array) => {
  const scalars = Array.from({ length: steps }, (_, i) => stepScalars(paperOptimiser, i + 1))
  return runScan(
    scan({
      name: "optimiser",
      carry: { theta: f32(size), first: f32(size), second: f32(size) },
      xs: { gradient: f32(size), stepSize: f32(), decay: f32(), denominatorScale: f32() },
      constants: {},
      ys: { norm: f32() },
      step: (state, { gradient, ...scalars }) => {
        const { clipped, norm } = clipByGlobalNorm(gradient, paperOptimiser.clipNorm)
        const next = adamW(paperOptimiser, scalars, state.theta, state, clipped)
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

/** The same steps, tensor by tensor in float64. */
const perTensor = (allGradients: Float32Array): OptimiserState => {
  let state = initialState(tensorsOf(theta))
  for (let i = 0; i < steps; i++) {
    const gradient = allGradients.subarray(i * size, (i + 1) * size)
    state = adamWStep(paperOptimiser, state, tensorsOf(gradient), i + 1)
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

describe("stepScalars", () => {
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
