import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Matrix, SVD } from "ml-matrix"
import { blocks } from "../../src/model/blocks.ts"
import { normals, stream } from "../../src/numerics/random.ts"
import { measurementPoints } from "../../src/numerics/windows.ts"
import { f32Tensor, getTable, putTensors } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import type { CapturedGradients, RowSource } from "../../src/stages/contracts.ts"
import { rollingSvd } from "../../src/stages/rollingSvd.ts"
import { loadRows } from "../../src/stages/rows.ts"
import { openTrajectory } from "../../src/stages/trajectory.ts"
import { assertClose, assertSameBits } from "../model/close.ts"
import { noise } from "../model/samples.ts"
import { slotsOf } from "../model/slots.ts"
import { memoryCursor, seed, trainTiny, workbench } from "./tinyRun.ts"

const checkpoints = 12

const trained = Effect.fn("trained")(function* () {
  const { run } = yield* trainTiny(["add"], checkpoints)
  const { layout, theta } = yield* openTrajectory(run)
  const thetas = yield* Effect.forEach(Array.from({ length: checkpoints + 1 }), (_, i) =>
    Effect.map(theta(i), (at) => Float64Array.from(at.subarray(0, layout.attentionSize))),
  )
  return { run, thetas, size: layout.attentionSize }
})

/** Captured gradients [count, size] as an artifact. */
const putGradients = Effect.fn("putGradients")(function* (data: Float32Array, count: number, stride: number) {
  const tensor = f32Tensor(data, [count, data.length / count])
  const gradients: CapturedGradients = {
    stride,
    block: "attention",
    gradients: yield* putTensors({ gradients: tensor }),
  }
  return gradients
})

layer(workbench())("rows", (it) => {
  it.effect("of updates over several checkpoints are the differences of the parameters there", () =>
    Effect.gen(function* () {
      const { run, thetas } = yield* trained()
      for (const stride of [1, 2, 5]) {
        const rows = yield* loadRows({ kind: "update", run, stride, block: "attention" })
        assert.deepInclude(rows, { stride, firstRow: 1, last: Math.floor(checkpoints / stride) })
        for (let r = rows.firstRow; r <= rows.last; r++) {
          const [to, from] = [thetas[r * stride], thetas[(r - 1) * stride]]
          assertClose(
            rows.row(r),
            to.map((value, slot) => value - from[slot]),
            1e-4,
          )
        }
      }
    }),
  )

  it.effect("of a block are its slots of the differences", () =>
    Effect.gen(function* () {
      const { run } = yield* trained()
      const { layout, theta } = yield* openTrajectory(run)
      const [from, to] = [yield* theta(4), yield* theta(6)]
      for (const block of blocks) {
        const rows = yield* loadRows({ kind: "update", run, stride: 2, block })
        const expected = slotsOf(layout, block).map((slot) => Math.fround(to[slot] - from[slot]))
        assertSameBits(rows.row(3), Float32Array.from(expected), block)
      }
    }),
  )

  it.effect("of gradients are those captured", () =>
    Effect.gen(function* () {
      const { run, size } = yield* trained()
      const data = noise(1, 3 * size)
      const rows = yield* loadRows({ kind: "gradient", run, gradients: yield* putGradients(data, 3, 5) })
      assert.deepInclude(rows, { stride: 5, firstRow: 0, last: 2 })
      assertClose(rows.row(2), data.subarray(2 * size), 0)
    }),
  )

  it.effect("of noisy gradients add white noise of the minibatch's variance, paired over multiples", () =>
    Effect.gen(function* () {
      const { run, size } = yield* trained()
      const [clean, full, step] = [1, 2, 3].map((i) => noise(i, 3 * size, i))
      const source = {
        kind: "noisy-gradient",
        run,
        gradients: yield* putGradients(clean, 3, 5),
        full: yield* putGradients(full, 3, 5),
        step: yield* putGradients(step, 3, 5),
        seed: 7,
      } as const
      const [none, one, four] = yield* Effect.forEach([0, 1, 4], (multiple) =>
        loadRows({ ...source, multiple }),
      )
      for (const r of [0, 1, 2]) {
        const slots = Array.from({ length: size }, (_, i) => r * size + i)
        const squares = slots.reduce((sum, i) => sum + (step[i] - full[i]) ** 2, 0)
        const sigma = Math.sqrt(squares / size)
        const z = normals(stream(7, "row-noise", 25 * r), size)
        assertClose(none.row(r), clean.subarray(r * size, (r + 1) * size), 0)
        assertClose(
          one.row(r),
          slots.map((i, slot) => clean[i] + sigma * z[slot]),
          1e-6,
        )
        assertClose(
          four.row(r),
          slots.map((i, slot) => clean[i] + 2 * sigma * z[slot]),
          1e-6,
        )
      }
    }),
  )
})

layer(workbench())("a rolling SVD", (it) => {
  const svd = { window: 3, rank: 2, direction: "forward", points: 4, every: 1 } as const

  it.effect("of rows two checkpoints apart measures at multiples of `every`, W rows from there", () =>
    Effect.gen(function* () {
      const { run, thetas } = yield* trained()
      const rows: RowSource = { kind: "update", run, stride: 2, block: "attention" }
      const input = { rows, svd: { ...svd, every: 4 } }
      const { spectrum } = yield* rollingSvd.run(input, memoryCursor().cursor)
      const table = yield* getTable(spectrum)
      const column = (name: string) => Array.from(numbers(table, name))
      assert.deepStrictEqual(column("checkpoint"), [0, 4, 8, 12])
      assert.deepStrictEqual(column("step"), [0, 20, 40, 60])
      assert.deepStrictEqual(column("firstRow"), [1, 2, 4, 6])
      assert.deepStrictEqual(column("rowCount"), [2, 3, 3, 1])
      assert.deepStrictEqual(column("fullWindow"), [0, 1, 1, 0])
      const windows = [[1, 2], [2, 3, 4], [4, 5, 6], [6]]
      for (const [i, window] of windows.entries()) {
        const differences = window.map((r) =>
          Array.from(thetas[2 * r], (value, slot) => value - thetas[2 * (r - 1)][slot]),
        )
        const { diagonal } = new SVD(new Matrix(differences).transpose())
        for (const [k, sigma] of diagonal.entries()) assertClose([column(`sigma${k + 1}`)[i]], [sigma], 1e-4)
      }
    }),
  )

  it.effect("refuses points between rows, and captures of different strides", () =>
    Effect.gen(function* () {
      const { run, size } = yield* trained()
      const check = (rows: RowSource, every: number) =>
        Schema.encodeEffect(rollingSvd.input)({ rows, svd: { ...svd, every } })
      yield* check({ kind: "update", run, stride: 2, block: "attention" }, 4)
      const between = yield* Effect.flip(check({ kind: "update", run, stride: 2, block: "attention" }, 3))
      assert.include(String(between), "Expected a multiple of the rows' stride 2, got 3")
      const gradients = yield* putGradients(noise(1, 3 * size), 3, 5)
      const other = { ...gradients, stride: 4 }
      const noisy = { kind: "noisy-gradient", run, gradients, multiple: 1, seed } as const
      yield* check({ ...noisy, full: gradients, step: gradients }, 5)
      const unequal = yield* Effect.flip(check({ ...noisy, full: gradients, step: other }, 5))
      assert.include(String(unequal), "Expected gradients of one stride, got 5, 5 and 4")
      const ofQueries = { ...gradients, block: "Q" as const }
      const mixed = yield* Effect.flip(check({ ...noisy, full: gradients, step: ofQueries }, 5))
      assert.include(String(mixed), "Expected gradients of one block, got attention, attention and Q")
    }),
  )
})

describe("measurement points", () => {
  it("are multiples of `every`, evenly spaced from the first checkpoint to the last such one", () => {
    assert.deepStrictEqual(measurementPoints(100, 1, 5), [0, 25, 50, 75, 100])
    assert.deepStrictEqual(measurementPoints(103, 8, 4), [0, 32, 64, 96])
    assert.deepStrictEqual(measurementPoints(20, 8, 40), [0, 8, 16])
  })
})
