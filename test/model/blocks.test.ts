import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import {
  type Block,
  blockOf,
  blocks,
  problemOfBlock,
  rangesOf,
  setBlock,
  sizeOfRanges,
} from "../../src/model/blocks.ts"
import { displace } from "../../src/model/centroids.ts"
import { type Layout, makeLayout } from "../../src/model/layout.ts"
import { f32, program } from "../../src/model/Program.ts"
import {
  blockGradient,
  clippedGradient,
  exampleGradients,
  perturbationEnergies,
  probeCentroids,
} from "../../src/model/programs.ts"
import { assertClose, assertSameBits } from "./close.ts"
import {
  eager,
  multitaskPaperLayout,
  noise,
  paperLayout,
  paperOptimiser,
  randomDirection,
  randomExamples,
  randomTheta,
  run,
  runScan,
  smallLayout,
} from "./samples.ts"
import { slotsOf } from "./slots.ts"

/** Every slot that the ranges of some blocks name, in their order. */
const covered = (layout: Layout, ...some: ReadonlyArray<Block>): ReadonlyArray<number> =>
  some.flatMap((block) =>
    rangesOf(layout, block).flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i)),
  )
const sorted = (slots: ReadonlyArray<number>) => slots.toSorted((a, b) => a - b)

const size = (max: number) => fc.integer({ min: 1, max })
const layouts = fc
  .record({
    modulus: size(9),
    tasks: size(3),
    heads: size(3),
    perHead: size(3),
    feedForward: size(9),
    layers: size(2),
  })
  .map(({ perHead, ...shape }) => makeLayout({ ...shape, width: perHead * shape.heads }))

describe("the ranges of a block", () => {
  it("are the slots that its parameters' names say, ascending and apart, for models of any size", () => {
    fc.assert(
      fc.property(layouts, fc.constantFrom(...blocks), (layout, block) => {
        const ranges = rangesOf(layout, block)
        assert.deepStrictEqual(covered(layout, block), slotsOf(layout, block))
        assert.strictEqual(sizeOfRanges(ranges), slotsOf(layout, block).length)
        for (const [i, { from, to }] of ranges.entries()) {
          assert.isBelow(from, to)
          if (i > 0) assert.isAbove(from, ranges[i - 1].to)
        }
        const isThere = problemOfBlock(block, layout.shape) === undefined
        assert.strictEqual(ranges.length > 0, isThere)
      }),
    )
  })

  it("of the matrices, and of the layers, are those of attention, each slot once; the MLP has none of them", () => {
    fc.assert(
      fc.property(layouts, (layout) => {
        const attention = Array.from({ length: layout.attentionSize }, (_, i) => i)
        assert.deepStrictEqual(covered(layout, "attention"), attention)
        assert.deepStrictEqual(sorted(covered(layout, "Q", "K", "V", "O")), attention)
        assert.deepStrictEqual(sorted(covered(layout, "layer-0", "layer-1")), attention)
        assert.isTrue(covered(layout, "mlp").every((slot) => slot >= layout.attentionSize))
      }),
    )
  })

  it("of the paper's model are these", () => {
    const d2 = 128 * 128
    assert.deepStrictEqual(rangesOf(paperLayout, "attention"), [{ from: 0, to: 8 * d2 }])
    assert.deepStrictEqual(rangesOf(paperLayout, "layer-1"), [{ from: 4 * d2, to: 8 * d2 }])
    assert.deepStrictEqual(rangesOf(paperLayout, "K"), [
      { from: d2, to: 2 * d2 },
      { from: 5 * d2, to: 6 * d2 },
    ])
    assert.strictEqual(sizeOfRanges(rangesOf(paperLayout, "mlp")), 2 * (2 * 256 * 128 + 256 + 128))
    assert.deepStrictEqual(rangesOf(paperLayout, "full"), [{ from: 0, to: 290_401 }])
    assert.deepStrictEqual(rangesOf(multitaskPaperLayout, "full"), [{ from: 0, to: 327_940 }])
  })

  it("that is full is every parameter once: embeddings, norms, biases and heads as well", () => {
    fc.assert(
      fc.property(layouts, (layout) => {
        const everything = Array.from({ length: layout.size }, (_, i) => i)
        assert.deepStrictEqual(covered(layout, "full"), everything)
        assert.isUndefined(problemOfBlock("full", layout.shape))
      }),
    )
  })

  it("say what is read from and written to a flat vector, and nothing else", () => {
    fc.assert(
      fc.property(layouts, fc.constantFrom(...blocks), (layout, block) => {
        const [ranges, slots] = [rangesOf(layout, block), slotsOf(layout, block)]
        const flat = noise(1, layout.size)
        assertSameBits(
          blockOf(ranges, flat),
          Float32Array.from(slots, (slot) => flat[slot]),
        )
        const vector = noise(2, slots.length)
        const expected = flat.slice()
        for (const [i, slot] of slots.entries()) expected[slot] = vector[i]
        setBlock(ranges, flat, vector)
        assertSameBits(flat, expected)
      }),
    )
  })
})

layer(eager)("a block", (it) => {
  const layout = smallLayout(2, 2)
  const theta = randomTheta(layout, 5)
  const n = 4
  const batch = randomExamples(layout, n, 6)
  const probes = { ...batch, label: batch.label.subarray(0, n) }

  it.effect.each(blocks)("has its slots of the whole gradient: %s", (block) =>
    Effect.gen(function* () {
      const slots = slotsOf(layout, block)
      const unclipped = { ...paperOptimiser, clipNorm: 1e6 }
      const whole = yield* run(clippedGradient(layout, unclipped, n), { theta, ...batch })
      const expected = slots.map((slot) => whole.gradient[slot])
      const { gradient } = yield* run(blockGradient(layout, n, undefined, block), { theta, ...batch })
      assertClose(gradient, expected, 1e-7)
      const one = yield* run(blockGradient(layout, n, 1, block), { theta, ...batch })
      const each = yield* runScan(exampleGradients(layout, 1, block), {
        carry: {},
        xs: batch,
        constants: { theta },
      })
      const mean = one.gradient.map((_, i) => {
        const ofExamples = Array.from({ length: n }, (_, j) => each.ys.gradient[j * slots.length + i])
        return ofExamples.reduce((sum, value) => sum + value) / n
      })
      assertClose(mean, one.gradient, 1e-5)
    }),
  )

  it.effect.each(blocks)("is all that a displacement moves: %s", (block) =>
    Effect.gen(function* () {
      const slots = slotsOf(layout, block)
      const direction = randomDirection(slots.length, 1)
      const { moved } = yield* run(
        program({
          name: "displace",
          inputs: { theta: f32(layout.size), direction: f32(slots.length), scale: f32() },
          outputs: { moved: f32(layout.size) },
          body: ({ theta, direction, scale }) => ({
            moved: displace(layout, block, theta, direction, scale),
          }),
        }),
        { theta, direction, scale: Float32Array.of(0.5) },
      )
      const expected = theta.slice()
      for (const [i, slot] of slots.entries()) expected[slot] += 0.5 * direction[i]
      assertSameBits(moved, expected)
    }),
  )

  it.effect.each(blocks)("has the perturbation energy of the centroids at its two ends: %s", (block) =>
    Effect.gen(function* () {
      const slots = slotsOf(layout, block)
      const epsilon = 0.05
      const direction = randomDirection(slots.length, 1)
      const at = (sign: number) => {
        const moved = theta.slice()
        for (const [i, slot] of slots.entries()) moved[slot] += sign * epsilon * direction[i]
        return run(probeCentroids(layout, n), { theta: moved, ...probes })
      }
      const [plus, minus] = [yield* at(1), yield* at(-1)]
      const squares = plus.centroids.map((mu, i) => ((mu - minus.centroids[i]) / (2 * epsilon)) ** 2)
      const { ys } = yield* runScan(perturbationEnergies(layout, n, undefined, block), {
        carry: {},
        xs: { direction },
        constants: { theta, epsilon: Float32Array.of(epsilon), ...probes },
      })
      assertClose(ys.energy, [squares.reduce((sum, square) => sum + square) / n], 1e-3)
    }),
  )
})
