import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Matrix, QrDecomposition, SVD } from "ml-matrix"
import { norm } from "../../src/numerics/gram.ts"
import { meanSquaredCosine } from "../../src/numerics/subspace.ts"
import { f32Tensor, getTable, putTensors } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import { compareDirections } from "../../src/stages/compareDirections.ts"
import type { RowSource, TrainedRun } from "../../src/stages/contracts.ts"
import { rollingSvd } from "../../src/stages/rollingSvd.ts"
import { openTrajectory } from "../../src/stages/trajectory.ts"
import { assertClose } from "../model/close.ts"
import { noise } from "../model/samples.ts"
import { memoryCursor, trainTiny, workbench } from "./tinyRun.ts"

/** Mean squared cosine of the principal angles, as the SVD of the product of two orthonormal bases has them. */
const byPrincipalAngles = (left: Matrix, right: Matrix): number => {
  const cosines = new SVD(left.transpose().mmul(right)).diagonal
  return cosines.reduce((sum, cosine) => sum + cosine ** 2, 0) / cosines.length
}

/** Orthonormal vectors of d dimensions, as the columns of a matrix and as rows. */
const orthonormal = (seed: number, d: number, k: number) => {
  const columns = new QrDecomposition(Matrix.from1DArray(d, k, Array.from(noise(seed, d * k))))
    .orthogonalMatrix
  return { columns, rows: Array.from({ length: k }, (_, j) => Float32Array.from(columns.getColumn(j))) }
}

describe("the mean squared cosine of two subspaces", () => {
  it("is that of their principal angles", () => {
    const [u, v] = [orthonormal(1, 12, 3), orthonormal(2, 12, 3)]
    assert.closeTo(meanSquaredCosine(u.rows, v.rows), byPrincipalAngles(u.columns, v.columns), 1e-6)
  })

  it("is 1 for a rotated basis of the same one, and 0 for orthogonal ones", () => {
    const [a, b] = orthonormal(3, 8, 2).rows
    const rotated = [a.map((x, i) => 0.6 * x + 0.8 * b[i]), a.map((x, i) => 0.8 * x - 0.6 * b[i])]
    assert.closeTo(meanSquaredCosine([a, b], rotated), 1, 1e-6)
    assert.closeTo(meanSquaredCosine([a], [b]), 0, 1e-6)
  })

  it("is K/D on average for random ones of D dimensions", () => {
    const trials = Array.from({ length: 200 }, (_, i) =>
      meanSquaredCosine(orthonormal(2 * i, 10, 2).rows, orthonormal(2 * i + 1, 10, 2).rows),
    )
    assert.closeTo(trials.reduce((sum, x) => sum + x) / trials.length, 0.2, 0.03)
  })
})

layer(workbench())("directions of two rolling SVDs", (it) => {
  const svd = { window: 3, rank: 2, placement: "published", points: 4, every: 1 } as const

  /** Rows of noise captured at every checkpoint, with their SVD. */
  const sideOf = Effect.fn("sideOf")(function* (
    run: TrainedRun,
    rowsOf: (size: number) => Float32Array,
    rank = 2,
  ) {
    const { layout, steps } = yield* openTrajectory(run)
    const data = rowsOf(layout.attentionSize)
    const tensor = f32Tensor(data, [steps.length, layout.attentionSize])
    const gradients = {
      stride: 1,
      block: "attention" as const,
      gradients: yield* putTensors({ gradients: tensor }),
    }
    const rows: RowSource = { kind: "gradient", run, gradients }
    return { rows, directions: yield* rollingSvd.run({ rows, svd: { ...svd, rank } }, memoryCursor().cursor) }
  })

  it.effect("are compared point by point", () =>
    Effect.gen(function* () {
      const { run } = yield* trainTiny(["add"])
      const common = (size: number) => noise(1, 13 * size)
      const left = yield* sideOf(run, common)
      const disturbed = (size: number) => {
        const clean = common(size)
        return noise(2, 13 * size).map((z, i) => clean[i] + 0.5 * z)
      }
      const right = yield* sideOf(run, disturbed)
      const output = yield* compareDirections.run({ left, right }, memoryCursor().cursor)
      const table = yield* getTable(output.series)
      assert.deepStrictEqual(Array.from(numbers(table, "checkpoint")), [0, 4, 8, 12])

      const { layout } = yield* openTrajectory(run)
      const size = layout.attentionSize
      const basis = (data: Float32Array, first: number) => {
        const rows = [0, 1, 2].map((r) =>
          Array.from(data.subarray((first + r) * size, (first + r + 1) * size)),
        )
        return new SVD(new Matrix(rows).transpose()).leftSingularVectors.subMatrix(0, size - 1, 0, 1)
      }
      // The last window slides back, so that it is full.
      const expected = [0, 4, 8, 10].map((first) =>
        byPrincipalAngles(basis(common(size), first), basis(disturbed(size), first)),
      )
      const cosines = Array.from(numbers(table, "squaredCosine"))
      assertClose(cosines, expected, 1e-5)
      const average = expected.reduce((sum, x) => sum + x) / 4
      assert.deepInclude(output, { points: 4 })
      assertClose([output.meanSquaredCosine ?? Number.NaN], [average], 1e-5)
      assertClose([output.directionalVariance ?? Number.NaN], [1 - average], 1e-4)
    }),
  )

  it.effect("are the same as themselves, and half of the row space when one of two rows is shared", () =>
    Effect.gen(function* () {
      const { run } = yield* trainTiny(["add"])
      // One direction for all checkpoints of a side, one that alternates between the sides: windows of rank two.
      const mixture = (seed: number) => (size: number) => {
        const [shared, own] = [noise(1, size), noise(seed, size)]
        const along = shared.reduce((sum, x, i) => sum + x * own[i], 0) / norm(shared) ** 2
        return Float32Array.from({ length: 13 * size }, (_, i) => {
          const [r, slot] = [Math.floor(i / size), i % size]
          return r % 2 === 0 ? shared[slot] : own[slot] - along * shared[slot]
        })
      }
      const left = yield* sideOf(run, mixture(2))
      const right = yield* sideOf(run, mixture(3))
      const cursor = memoryCursor().cursor
      const same = yield* compareDirections.run({ left, right: left }, cursor)
      assert.closeTo(same.meanSquaredCosine ?? Number.NaN, 1, 1e-6)
      const half = yield* compareDirections.run({ left, right }, cursor)
      assert.closeTo(half.meanSquaredCosine ?? Number.NaN, 0.5, 0.01)
    }),
  )

  it.effect("are left out where one side spans fewer of them", () =>
    Effect.gen(function* () {
      const { run } = yield* trainTiny(["add"])
      const left = yield* sideOf(run, (size) => noise(1, 13 * size))
      // From row 10 on one direction only.
      const right = yield* sideOf(run, (size) => {
        const rows = noise(2, 13 * size)
        return rows.map((value, i) => (i < 10 * size ? value : rows[i % size]))
      })
      const output = yield* compareDirections.run({ left, right }, memoryCursor().cursor)
      const cosines = Array.from(numbers(yield* getTable(output.series), "squaredCosine"))
      assert.deepStrictEqual(cosines.map(Number.isNaN), [false, false, false, true])
      assert.strictEqual(output.points, 3)
      const average = (cosines[0] + cosines[1] + cosines[2]) / 3
      assertClose([output.meanSquaredCosine ?? Number.NaN], [average], 1e-12)
    }),
  )

  it.effect("of different blocks are not compared", () =>
    Effect.gen(function* () {
      const { run } = yield* trainTiny(["add"])
      const left = yield* sideOf(run, (size) => noise(1, 13 * size))
      const right = { ...left, directions: { ...left.directions, block: "layer-0" as const } }
      const error = yield* Effect.flip(compareDirections.run({ left, right }, memoryCursor().cursor))
      assert.include(
        error.message,
        "left directions of attention, right rows of attention, right directions of layer-0",
      )
    }),
  )

  it.effect("of different ranks or points are not compared", () =>
    Effect.gen(function* () {
      const { run } = yield* trainTiny(["add"])
      const left = yield* sideOf(run, (size) => noise(1, 13 * size))
      const one = yield* sideOf(run, (size) => noise(1, 13 * size), 1)
      const ranks = yield* Effect.flip(Schema.encodeEffect(compareDirections.input)({ left, right: one }))
      assert.include(String(ranks), "Expected as many directions on both sides, got 2 and 1")
      const fewer = yield* rollingSvd.run(
        { rows: left.rows, svd: { ...svd, points: 3 } },
        memoryCursor().cursor,
      )
      const right = { ...left, directions: fewer }
      const error = yield* Effect.flip(compareDirections.run({ left, right }, memoryCursor().cursor))
      assert.include(error.message, "different checkpoints: 0, 4, 8, 12 and 0, 6, 12")
    }),
  )
})
