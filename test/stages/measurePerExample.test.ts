import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Matrix, SVD } from "ml-matrix"
import { blockGradient } from "../../src/model/programs.ts"
import { centredGram } from "../../src/numerics/gram.ts"
import { stream } from "../../src/numerics/random.ts"
import { median } from "../../src/numerics/statistics.ts"
import { getTable } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import type { ProbeConfig } from "../../src/stages/contracts.ts"
import { openEnergies } from "../../src/stages/energies.ts"
import { measureNull } from "../../src/stages/measureNull.ts"
import { measurePerExample } from "../../src/stages/measurePerExample.ts"
import { draw, loadPairs, take } from "../../src/stages/pairs.ts"
import { openTrajectory } from "../../src/stages/trajectory.ts"
import { assertClose } from "../model/close.ts"
import { noise } from "../model/samples.ts"
import { memoryCursor, seed, trainTiny, workbench } from "./tinyRun.ts"

const probe: ProbeConfig = {
  probes: 8,
  epsilon: 0.005,
  centroid: "correct-logit",
  from: "table",
  task: 1,
}
const [examples, rank, draws] = [20, 2, 5]

describe("a Gram matrix by double centring", () => {
  it("is that of the rows less their mean", () => {
    const rows = Matrix.from1DArray(5, 8, Array.from(noise(1, 40)))
    const raw = rows.mmul(rows.transpose()).to1DArray()
    const centred = rows.clone().center("column")
    const expected = centred.mmul(centred.transpose()).to1DArray()
    assertClose(centredGram(Float64Array.from(raw), 5), expected, 1e-12)
  })
})

layer(workbench())("the directions of single examples' gradients", (it) => {
  const trained = Effect.fn("trained")(function* (checkpoints = 12) {
    const { data, run } = yield* trainTiny(["add", "sub"], checkpoints)
    return { data, run, probe, block: "attention" as const, examples, rank, draws, seed }
  })

  it.effect(
    "are those of a direct SVD of the centred gradients, at the first, middle and last checkpoint",
    () =>
      Effect.gen(function* () {
        const input = yield* trained()
        const { phases, spectra } = yield* measurePerExample.run(input, memoryCursor().cursor)
        assert.deepStrictEqual(
          phases.map(({ phase, checkpoint, step }) => [phase, checkpoint, step]),
          [
            ["initial", 0, 0],
            ["middle", 6, 30],
            ["last", 12, 60],
          ],
        )
        const trajectory = yield* openTrajectory(input.run)
        const { layout, theta } = trajectory
        const { all } = yield* loadPairs(input.data)
        // That of the captured gradients.
        const batch = draw(all, stream(seed, "capture", 0), examples)
        const engine = yield* TensorEngine
        const program = yield* engine.compile(blockGradient(layout, 1, probe.task))
        const energiesAt = yield* openEnergies(input.data, trajectory, { probe, block: "attention", seed })
        const spectrum = yield* getTable(spectra)
        for (const [i, { checkpoint, ratios, denominator, meanR, cosineToMean }] of phases.entries()) {
          const at = yield* theta(checkpoint)
          const gradients: Array<Array<number>> = []
          for (let j = 0; j < examples; j++) {
            const { gradient } = yield* program.run({ theta: at, ...take(batch, Int32Array.of(j)) })
            gradients.push(Array.from(gradient))
          }
          const rows = new Matrix(gradients)
          const average = rows.mean("column")
          const { leftSingularVectors, diagonal } = new SVD(rows.center("column").transpose())
          const directions = Array.from({ length: rank }, (_, k) =>
            Float32Array.from(leftSingularVectors.getColumn(k)),
          )
          const energies = yield* energiesAt(checkpoint, directions)
          const expected = energies.map((energy) => energy / denominator)
          assertClose(ratios, expected, 1e-3)
          assertClose([meanR ?? Number.NaN], [(ratios[0] + ratios[1]) / 2], 1e-12)
          const sigma = numbers(spectrum, "sigma").subarray(i * examples, i * examples + 10)
          assertClose(sigma, diagonal.slice(0, 10), 1e-4)
          const along = average.reduce(
            (sum, value, slot) => sum + value * leftSingularVectors.get(slot, 0),
            0,
          )
          const cosine = Math.abs(along) / Math.hypot(...average)
          assert.closeTo(cosineToMean ?? Number.NaN, cosine, 1e-4)
          assert.isAbove(cosine, 1e-3)
        }
        const shares = numbers(spectrum, "energyShare").subarray(0, examples)
        assertClose([shares.reduce((sum, share) => sum + share)], [1], 1e-9)
      }),
  )

  it.effect.each([
    [12, 6],
    [13, 7],
    [4, 2],
  ])(
    "are taken in the middle at number ⌊N/2⌋ of N checkpoints: the last is %i, the middle %i",
    ([last, middle]) =>
      Effect.gen(function* () {
        const { phases } = yield* measurePerExample.run(yield* trained(last), memoryCursor().cursor)
        assert.deepStrictEqual(
          phases.map(({ checkpoint, step }) => [checkpoint, step]),
          [
            [0, 0],
            [middle, 5 * middle],
            [last, 5 * last],
          ],
        )
      }),
  )

  it.effect("are measured against the random directions that every stage draws at a step", () =>
    Effect.gen(function* () {
      const input = yield* trained()
      const { phases } = yield* measurePerExample.run(input, memoryCursor().cursor)
      const { data, run } = input
      const points = { points: 3, every: 1 }
      const reference = yield* measureNull.run(
        { data, run, probe, block: "attention", ...points, draws, seed },
        memoryCursor().cursor,
      )
      const energies = numbers(yield* getTable(reference.energies), "energy")
      for (const [i, { denominator }] of phases.entries()) {
        assertClose([denominator], [median(energies.subarray(i * draws, (i + 1) * draws))], 0)
      }
    }),
  )

  it.effect("that were killed go on at the phase where they were, to the same result", () =>
    Effect.gen(function* () {
      const input = yield* trained()
      const straight = memoryCursor()
      const output = yield* measurePerExample.run(input, straight.cursor)
      const resumed = memoryCursor(JSON.parse(JSON.stringify(straight.written.slice(0, 1))))
      assert.deepStrictEqual(yield* measurePerExample.run(input, resumed.cursor), output)
      assert.deepStrictEqual(resumed.advanced, [1, 2])
    }),
  )

  it.effect("are fewer than the examples", () =>
    Effect.gen(function* () {
      const input = { ...(yield* trained()), examples: 2 }
      const error = yield* Effect.flip(Schema.encodeEffect(measurePerExample.input)(input))
      assert.include(String(error), "Expected fewer than 2 examples, got 2")
    }),
  )
})
