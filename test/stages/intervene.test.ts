import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { stepScalars } from "../../src/model/optimizer.ts"
import { paper } from "../../src/pipelines/sizes.ts"
import type { InterventionConfig } from "../../src/stages/arms.ts"
import { initialState, layoutOf, type TrainConfig } from "../../src/stages/training.ts"
import { assertClose, assertSameBits, relativeError } from "../model/close.ts"
import * as plain from "../model/plain.ts"
import { slotsOf } from "../model/slots.ts"
import { alongRandom, alongTop, minus, type Vector } from "./armReference.ts"
import { plainGradients, replay } from "./interventionReplay.ts"
import {
  type Change,
  config,
  everyArm,
  everyState,
  type Input,
  type Intervened,
  inputOf,
  intervened,
  keepSed,
  type Trained,
  trained,
} from "./tinyIntervention.ts"
import { seed, workbench } from "./tinyRun.ts"

const stateVectors = ["theta", "first", "second"] as const
const figureNames = ["normRatio", "cosine", "energyShare"] as const

/** Losses and gradient norms of the first `count` steps are those of the natural run. */
const assertNatural = (run: Intervened, natural: Trained, count: number, what: string) => {
  for (const name of ["step", "loss", "gradientNorm"]) {
    const [actual, expected] = [run, natural].map(({ column }) => column(name).slice(0, count))
    assert.lengthOf(actual, count, what)
    assertSameBits(actual, expected, `${name} of ${what}`)
  }
}

const attentionOf = ({ data, model }: Input, flat: Float32Array) =>
  flat.slice(0, layoutOf(data, model).attentionSize)

layer(workbench())("an arm whose warm-up never ends", (it) => {
  const sgd: Partial<TrainConfig> = {
    optimizer: "sgd",
    schedule: { kind: "warmup-cosine", warmup: 10, period: 20 },
    learningRate: 0.3,
  }
  const cases: ReadonlyArray<Change & { readonly name: string }> = [
    { name: "a window of gradients" },
    { name: "a window of displacements", intervention: { version: "update" } },
    { name: "no window", intervention: { arm: "decay-only" } },
    { name: "another optimiser and schedule", train: sgd },
    { name: "several operations", operations: ["add", "sub", "mul"] },
    { name: "the paper's sizes", size: paper, train: { batchSize: 512, maxSteps: 40, evaluateEvery: 40 } },
  ]

  it.effect.each(cases)("is the natural run, bit for bit ($name)", (change) =>
    Effect.gen(function* () {
      const input = yield* inputOf({ ...change, intervention: { ...change.intervention, warmup: 1000 } })
      const run = yield* intervened(input)
      const natural = yield* trained(input)
      assertNatural(run, natural, input.train.maxSteps, "the run")
      for (const vector of stateVectors) assertSameBits(run.state[vector], natural.state[vector], vector)
      const { steps: _, ...output } = run.output
      const { curve, firstHalf, firstThreshold, stopStep } = natural.output
      const { finalTestAccuracy, finalTrainAccuracy } = natural.output
      assert.deepStrictEqual(output, {
        ...{ curve, firstHalf, firstThreshold, stopStep, finalTestAccuracy, finalTrainAccuracy },
        ...{ normRatio: null, cosine: null, energyShare: null },
      })
      for (const name of figureNames) assert.isTrue(run.column(name).every(Number.isNaN), name)
    }),
  )
})

layer(workbench())("every arm", (it) => {
  it.effect("is the natural run in its warm-up and no longer", () =>
    Effect.gen(function* () {
      const train = { maxSteps: 10 }
      const natural = yield* trained(yield* inputOf({ train }))
      for (const { name, setting } of everyArm) {
        const run = yield* intervened(yield* inputOf({ intervention: setting, train }))
        const first = setting.arm === "frozen" ? 1 : keepSed.warmup + 1
        // The first modified step starts from natural parameters, the next one does not.
        assertNatural(run, natural, first, name)
        assert.notStrictEqual(run.column("loss")[first], natural.column("loss")[first], name)
        assert.deepStrictEqual(
          Array.from(run.column("normRatio"), Number.isNaN),
          Array.from({ length: 10 }, (_, i) => i + 1 < first),
          name,
        )
      }
    }),
  )

  it.effect("changes attention alone, and its moments only where it changes the gradient", () =>
    Effect.gen(function* () {
      /** Modified for one step, the last. */
      const of = (setting: Partial<InterventionConfig>, warmup: number) =>
        inputOf({
          intervention: { ...setting, warmup },
          train: { maxSteps: warmup + 1, evaluateEvery: warmup + 1 },
        })
      const [one, five] = [yield* trained(yield* of({}, 0)), yield* trained(yield* of({}, 4))]
      for (const { name, setting } of everyArm) {
        const [natural, warmup] = setting.arm === "frozen" ? [one.state, 0] : [five.state, 4]
        const input = yield* of(setting, warmup)
        const { state } = yield* intervened(input)
        const { attentionSize } = layoutOf(input.data, input.model)
        for (const vector of stateVectors) {
          const [rest, naturalRest] = [state, natural].map((all) => all[vector].slice(attentionSize))
          assertSameBits(rest, naturalRest, `the rest of ${vector}, ${name}`)
          const [own, naturalOwn] = [state, natural].map((all) => attentionOf(input, all[vector]))
          if (setting.version === "update" && vector !== "theta") assertSameBits(own, naturalOwn, vector)
          else assert.isAbove(relativeError(own, naturalOwn), 1e-5, `${vector}, ${name}`)
        }
      }
    }),
  )

  it.effect.each(["Q", "mlp"] as const)("changes no other parameters than its block's: %s", (block) =>
    Effect.gen(function* () {
      /** Modified for one step, the last. */
      const of = (setting: Partial<InterventionConfig>, warmup: number) =>
        inputOf({
          intervention: { ...setting, warmup },
          block,
          train: { maxSteps: warmup + 1, evaluateEvery: warmup + 1 },
        })
      const [one, five] = [yield* trained(yield* of({}, 0)), yield* trained(yield* of({}, 4))]
      for (const { name, setting } of everyArm) {
        const [natural, warmup] = setting.arm === "frozen" ? [one.state, 0] : [five.state, 4]
        const input = yield* of(setting, warmup)
        const { state } = yield* intervened(input)
        const own = new Set(slotsOf(layoutOf(input.data, input.model), block))
        for (const vector of stateVectors) {
          const part = (all: Float32Array, inside: boolean) =>
            all.filter((_, slot) => own.has(slot) === inside)
          const what = `${vector}, ${name}`
          assertSameBits(part(state[vector], false), part(natural[vector], false), `the rest of ${what}`)
          const [now, naturally] = [part(state[vector], true), part(natural[vector], true)]
          if (setting.version === "update" && vector !== "theta") assertSameBits(now, naturally, what)
          else assert.isAbove(relativeError(now, naturally), 1e-5, what)
        }
      }
    }),
  )

  it.effect.each(everyArm)("is what experiment.md says of it: $name", ({ setting }) =>
    Effect.gen(function* () {
      const input = yield* inputOf({ intervention: setting, train: { maxSteps: 15 } })
      const run = yield* intervened(input)
      const expected = yield* replay(input)

      const losses = expected.figures.map(({ loss }) => loss)
      const norms = expected.figures.map(({ gradientNorm }) => gradientNorm)
      assertClose(run.column("loss"), losses, 2e-6, "losses")
      assertClose(run.column("gradientNorm"), norms, 2e-6, "gradient norms")
      const clipped = norms.filter((norm) => norm > config.clipNorm).length
      assert.isTrue(clipped > 0 && clipped < 15, "some gradients are clipped, some are not")
      for (const name of figureNames) {
        run.column(name).forEach((figure, i) => {
          const known = expected.figures[i][name]
          if (known === null) assert.isNaN(figure, `${name} of step ${i + 1}`)
          else assert.closeTo(figure, known, 2e-5, `${name} of step ${i + 1}`)
        })
      }

      for (const { name, offset, size } of layoutOf(input.data, input.model).parameters) {
        // AdamW makes a step of what is rounding in the plain form's key biases and zero in ours.
        if (name.endsWith("in_proj_bias")) continue
        const part = (all: ArrayLike<number>) => Array.from(all).slice(offset, offset + size)
        assertClose(part(run.state.theta), part(expected.theta), 5e-6, name)
      }
      assertClose(run.state.first, expected.first, 5e-6, "first moment")
      assertClose(run.state.second, expected.second, 5e-6, "second moment")
      assert.lengthOf(run.state.rows, setting.arm.endsWith("-sed") ? keepSed.window : 0)
      // Displacements of about 1e-3 are differences of parameters, which round at 1e-8.
      const tolerance = setting.version === "update" ? 5e-4 : 2e-5
      run.state.rows.forEach((row, i) => {
        assertClose(row, expected.window[i], tolerance, `row ${i} of the window`)
      })
    }),
  )
})

layer(workbench())("the figures of a step", (it) => {
  const figures = Effect.fn("figures")(function* (intervention: Partial<InterventionConfig>) {
    const { output, column } = yield* intervened(yield* inputOf({ intervention }))
    const modified = (name: string) => Array.from(column(name)).slice(keepSed.warmup)
    return {
      output,
      normRatio: modified("normRatio"),
      cosine: modified("cosine"),
      energyShare: modified("energyShare"),
    }
  })
  const subspaces = (["gradient", "update"] as const).flatMap((version) =>
    (["sed", "random"] as const).map((subspace) => ({ version, subspace })),
  )

  it.effect.each(subspaces)("are those of a right angle ($subspace, $version version)", (subject) =>
    Effect.gen(function* () {
      const { version, subspace } = subject
      const keep = yield* figures({ arm: `keep-${subspace}`, version })
      const remove = yield* figures({ arm: `remove-${subspace}`, version })
      for (const { normRatio, cosine } of [keep, remove]) {
        assert.lengthOf(normRatio, 15)
        for (const [i, ratio] of normRatio.entries()) {
          assert.closeTo(cosine[i], ratio, 1e-6)
          assert.isTrue(ratio > 0 && ratio < 1)
        }
      }
      // The same parameters and the same window: one vector in two parts.
      assert.closeTo(remove.normRatio[0], Math.sqrt(1 - keep.normRatio[0] ** 2), 1e-6)
    }),
  )

  it.effect("have a ratio of 1 where the norm is kept", () =>
    Effect.gen(function* () {
      const keep = yield* figures({ arm: "keep-random" })
      const matched = yield* figures({ arm: "keep-random-norm-matched" })
      const noise = yield* figures({ arm: "noise" })
      for (const ratio of [...matched.normRatio, ...noise.normRatio]) assert.closeTo(ratio, 1, 1e-6)
      assert.closeTo(matched.cosine[0], keep.cosine[0], 1e-6)
      // Of a random direction among 512: deviation 1 / √512.
      for (const cosine of noise.cosine) assert.isBelow(Math.abs(cosine), 5 / Math.sqrt(512))
    }),
  )

  it.effect("have a ratio of 0 and no cosine where nothing is left", () =>
    Effect.gen(function* () {
      for (const arm of ["frozen-after-warmup", "decay-only"] as const) {
        const { normRatio, cosine, output } = yield* figures({ arm })
        assert.isTrue(normRatio.every((ratio) => ratio === 0))
        assert.isTrue(cosine.every(Number.isNaN))
        assert.deepInclude(output, { normRatio: 0, cosine: null, energyShare: null })
      }
    }),
  )

  it.effect("have their means over the modified steps in the output", () =>
    Effect.gen(function* () {
      const { output, ...columns } = yield* figures({})
      for (const name of figureNames) {
        const mean = columns[name].reduce((sum, value) => sum + value / 15, 0)
        assert.closeTo(output[name] ?? Number.NaN, mean, 1e-12, name)
      }
    }),
  )
})

layer(workbench())("attention that", (it) => {
  it.effect("is frozen stays where it was initialised, to the last bit, while all else moves", () =>
    Effect.gen(function* () {
      const input = yield* inputOf({ intervention: { arm: "frozen" } })
      const { state } = yield* intervened(input)
      const layout = layoutOf(input.data, input.model)
      const initial = initialState(layout, seed).theta
      for (const { name, offset, size } of layout.parameters) {
        const [now, before] = [state.theta, initial].map((theta) => theta.slice(offset, offset + size))
        if (offset < layout.attentionSize) assertSameBits(now, before, name)
        else assert.isAbove(relativeError(now, before), 1e-3, name)
      }
      const zero = new Float32Array(layout.attentionSize)
      for (const moment of [state.first, state.second]) assertSameBits(attentionOf(input, moment), zero)
    }),
  )

  /** θ_attn and its moments at the end of a run, and where the natural run had them at the end of the warm-up. */
  const afterWarmup = Effect.fn("afterWarmup")(function* (arm: InterventionConfig["arm"]) {
    const input = yield* inputOf({ intervention: { arm } })
    const { state } = yield* intervened(input)
    const { state: then } = yield* trained({
      ...input,
      train: { ...input.train, maxSteps: keepSed.warmup },
    })
    const of = (state: Record<(typeof stateVectors)[number], Float32Array>) => ({
      theta: attentionOf(input, state.theta),
      first: attentionOf(input, state.first),
      second: attentionOf(input, state.second),
    })
    return { atEnd: of(state), atWarmup: of(then) }
  })

  it.effect("is frozen after the warm-up stays where the natural run was then", () =>
    Effect.gen(function* () {
      const { atEnd, atWarmup } = yield* afterWarmup("frozen-after-warmup")
      assertSameBits(atEnd.theta, atWarmup.theta)
    }),
  )

  it.effect("only decays goes where decay and what is left of its momentum take it", () =>
    Effect.gen(function* () {
      const { atEnd, atWarmup } = yield* afterWarmup("decay-only")
      let expected: plain.OptimiserState = {
        theta: [Float64Array.from(atWarmup.theta)],
        first: [Float64Array.from(atWarmup.first)],
        second: [Float64Array.from(atWarmup.second)],
      }
      const zero = [new Float64Array(atWarmup.theta.length)]
      for (let t = keepSed.warmup + 1; t <= config.maxSteps; t++) {
        expected = plain.adamWStep(config, expected, zero, t)
      }
      for (const vector of stateVectors) assertClose(atEnd[vector], expected[vector][0], 1e-6, vector)
      const decayed = atWarmup.theta.map((value) => value * (1 - config.learningRate) ** 15)
      assert.isAbove(relativeError(atEnd.theta, decayed), 1e-3, "what momentum does")
      assert.isAbove(relativeError(decayed, atWarmup.theta), 1e-3, "what decay does")
    }),
  )
})

layer(workbench())("a block that", (it) => {
  it.effect.each(["layer-1", "K", "layer-0-O", "mlp"] as const)(
    "is frozen stays where it was initialised, to the last bit, while all else moves: %s",
    (block) =>
      Effect.gen(function* () {
        const input = yield* inputOf({ intervention: { arm: "frozen" }, block })
        const { state } = yield* intervened(input)
        const layout = layoutOf(input.data, input.model)
        const initial = initialState(layout, seed).theta
        const own = new Set(slotsOf(layout, block))
        for (const { name, offset, size } of layout.parameters) {
          const slots = Array.from({ length: size }, (_, i) => offset + i)
          const part = (theta: Float32Array, inside: boolean) =>
            Float32Array.from(
              slots.filter((slot) => own.has(slot) === inside),
              (slot) => theta[slot],
            )
          assertSameBits(part(state.theta, true), part(initial, true), `${name} in the block`)
          const [now, before] = [part(state.theta, false), part(initial, false)]
          if (now.length === 0) continue
          assert.isAbove(relativeError(now, before), 1e-3, `${name} outside`)
        }
      }),
  )
})

layer(workbench())("the update version", (it) => {
  /** States of ten steps and how each moved θ_attn, in float64. */
  const tenSteps = Effect.fn("tenSteps")(function* (arm: InterventionConfig["arm"]) {
    const input = yield* inputOf({ intervention: { arm, version: "update" }, train: { maxSteps: 10 } })
    const states = yield* everyState(input)
    const thetas = states.map(({ theta }) => Array.from(attentionOf(input, theta)))
    const moves: ReadonlyArray<Vector> = thetas.slice(1).map((theta, i) => minus(theta, thetas[i]))
    return { input, states, moves }
  })
  /** θ of about 0.5 rounds at 3e-8, beside moves of about 1e-4. */
  const ROUNDING = 2e-3

  it.effect("moves attention by what a random subspace holds of the optimiser's displacement", () =>
    Effect.gen(function* () {
      const { input, states, moves } = yield* tenSteps("keep-random")
      for (const [i, move] of moves.entries()) {
        const t = i + 1
        const [theta, first, second] = [states[i].theta, states[t].first, states[t].second].map((vector) =>
          Array.from(attentionOf(input, vector)),
        )
        const { stepSize, decay, denominatorScale: scale } = stepScalars(input.train, t)
        const natural = theta.map(
          (value, k) =>
            (decay - 1) * value -
            (stepSize * first[k]) / (scale * Math.sqrt(second[k]) + input.train.epsilon),
        )
        const expected = t > keepSed.warmup ? alongRandom(seed, t, keepSed.rank, natural) : natural
        assert.isBelow(relativeError(move, expected), ROUNDING, `step ${t}`)
      }
    }),
  )

  it.effect("moves attention within the top directions of the last moves", () =>
    Effect.gen(function* () {
      const { moves, states } = yield* tenSteps("keep-sed")
      for (const [i, move] of moves.entries()) {
        const window = moves.slice(Math.max(0, i + 1 - keepSed.window), i + 1)
        states[i + 1].rows.forEach((row, r) => {
          assertClose(row, window[r], ROUNDING, `row ${r} after step ${i + 1}`)
        })
        if (i + 1 <= keepSed.warmup) continue
        const { part } = alongTop(moves.slice(i - keepSed.window, i), keepSed.rank, move)
        assert.isBelow(relativeError(part, move), ROUNDING, `step ${i + 1}`)
      }
    }),
  )

  it.effect("leaves the moments those of the natural gradient", () =>
    Effect.gen(function* () {
      const { input, states } = yield* tenSteps("keep-sed")
      const gradientAt = yield* plainGradients(input)
      for (let t = 1; t <= 10; t++) {
        const { gradient } = yield* gradientAt(t, states[t - 1].theta)
        const [theta, first, second] = stateVectors.map((name) => [Float64Array.from(states[t - 1][name])])
        const natural = plain.adamWStep(config, { theta, first, second }, [Float64Array.from(gradient)], t)
        assertClose(states[t].first, natural.first[0], 5e-6, `first moment after step ${t}`)
        assertClose(states[t].second, natural.second[0], 5e-6, `second moment after step ${t}`)
      }
    }),
  )
})
