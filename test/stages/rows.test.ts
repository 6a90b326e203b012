import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Matrix, SVD } from "ml-matrix"
import { blocks } from "../../src/model/blocks.ts"
import { normals, stream } from "../../src/numerics/random.ts"
import type { Placement } from "../../src/numerics/windows.ts"
import { f32Tensor, getTable, putTensors } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import type { CapturedGradients, RowSource } from "../../src/stages/contracts.ts"
import { openDirections } from "../../src/stages/directions.ts"
import { rollingSvd, type SvdConfig, TooFewRows } from "../../src/stages/rollingSvd.ts"
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
    Effect.map(theta(i), (at) => at.slice(0, layout.attentionSize)),
  )
  return { run, thetas, size: layout.attentionSize }
})

/** θ_attn at one checkpoint less θ_attn at another. */
const minus = (to: Float32Array, from: Float32Array) => to.map((value, slot) => value - from[slot])

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
  it.effect("of updates are numbered by the checkpoint that they leave", () =>
    Effect.gen(function* () {
      const { run, thetas } = yield* trained()
      for (const stride of [1, 2, 5]) {
        const rows = yield* loadRows({ kind: "update", run, stride, block: "attention" })
        assert.deepInclude(rows, { count: Math.floor(checkpoints / stride), leaves: true })
        for (let i = 0; i < rows.count; i++) {
          assert.strictEqual(rows.at(i * stride), i)
          assertSameBits(rows.row(i), minus(thetas[(i + 1) * stride], thetas[i * stride]), `row ${i}`)
        }
      }
    }),
  )

  it.effect("of displacements are one for each checkpoint, from the initialisation, where it is zero", () =>
    Effect.gen(function* () {
      const { run, thetas, size } = yield* trained()
      for (const stride of [1, 2, 5]) {
        const rows = yield* loadRows({ kind: "displacement", run, stride, block: "attention" })
        assert.deepInclude(rows, { count: Math.floor(checkpoints / stride) + 1, leaves: false })
        assertSameBits(rows.row(0), new Float32Array(size))
        for (let i = 0; i < rows.count; i++) {
          assert.strictEqual(rows.at(i * stride), i)
          assertSameBits(rows.row(i), minus(thetas[i * stride], thetas[0]), `row ${i}`)
        }
      }
    }),
  )

  it.effect("know the step of every checkpoint", () =>
    Effect.gen(function* () {
      const { run } = yield* trained()
      const { steps } = yield* loadRows({ kind: "update", run, stride: 5, block: "attention" })
      assert.deepStrictEqual(
        steps,
        Array.from({ length: checkpoints + 1 }, (_, i) => 5 * i),
      )
    }),
  )

  it.effect("of a block are its slots of the differences", () =>
    Effect.gen(function* () {
      const { run } = yield* trained()
      const { layout, theta } = yield* openTrajectory(run)
      const [start, from, to] = [yield* theta(0), yield* theta(4), yield* theta(6)]
      for (const block of blocks) {
        const slots = slotsOf(layout, block)
        const between = (later: Float32Array, earlier: Float32Array) =>
          Float32Array.from(slots, (slot) => later[slot] - earlier[slot])
        const updates = yield* loadRows({ kind: "update", run, stride: 2, block })
        assertSameBits(updates.row(2), between(to, from), block)
        const displacements = yield* loadRows({ kind: "displacement", run, stride: 2, block })
        assertSameBits(displacements.row(3), between(to, start), block)
      }
    }),
  )

  it.effect("of gradients are those captured, each at its checkpoint", () =>
    Effect.gen(function* () {
      const { run, size } = yield* trained()
      const data = noise(1, 3 * size)
      const rows = yield* loadRows({ kind: "gradient", run, gradients: yield* putGradients(data, 3, 5) })
      assert.deepInclude(rows, { count: 3, leaves: false })
      for (const r of [0, 1, 2]) {
        assert.strictEqual(rows.at(5 * r), r)
        assertSameBits(rows.row(r), data.subarray(r * size, (r + 1) * size))
      }
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
  const svd = { window: 3, rank: 2, placement: "published", points: 4, every: 1 } as const
  const updates = (run: RowSource["run"], stride = 1): RowSource => {
    return { kind: "update", run, stride, block: "attention" }
  }

  const decomposed = Effect.fn("decomposed")(function* (
    rows: RowSource,
    change: Partial<typeof SvdConfig.Type>,
  ) {
    const stored = yield* rollingSvd.run({ rows, svd: { ...svd, ...change } }, memoryCursor().cursor)
    const table = yield* getTable(stored.spectrum)
    return { stored, table, column: (name: string) => Array.from(numbers(table, name)) }
  })

  /** Singular values, descending, and right singular vectors of rows [n, D], by another library. */
  const direct = (rows: ReadonlyArray<ArrayLike<number>>, centred = false) => {
    const matrix = new Matrix(rows.map((row) => Array.from(row)))
    const { diagonal, leftSingularVectors } = new SVD(
      (centred ? matrix.center("column") : matrix).transpose(),
    )
    return { diagonal, vector: (k: number) => leftSingularVectors.getColumn(k) }
  }

  const cosine = (x: ArrayLike<number>, y: ArrayLike<number>) =>
    Math.abs(Array.from(x).reduce((sum, value, i) => sum + value * y[i], 0))

  it.effect.each<[placement: Placement, checkpoints: Array<number>, windows: Array<Array<number>>]>([
    // Update rows 0 … 5, of checkpoints 0 … 12 two by two.
    [
      "published",
      [0, 4, 8, 12],
      [
        [0, 1, 2],
        [2, 3, 4],
        [3, 4, 5],
        [3, 4, 5],
      ],
    ],
    [
      "backward",
      [8, 12],
      [
        [1, 2, 3],
        [3, 4, 5],
      ],
    ],
  ])(
    "of updates two checkpoints apart measures at multiples of `every`, with %s windows",
    ([placement, points, windows]) =>
      Effect.gen(function* () {
        const { run, thetas } = yield* trained()
        const { column } = yield* decomposed(updates(run, 2), { placement, every: 4 })
        assert.deepStrictEqual(column("checkpoint"), points)
        assert.deepStrictEqual(
          column("step"),
          points.map((checkpoint) => 5 * checkpoint),
        )
        assert.deepStrictEqual(
          column("firstRow"),
          windows.map(([first]) => first),
        )
        assert.deepStrictEqual(
          column("rowCount"),
          windows.map(() => 3),
        )
        for (const [i, window] of windows.entries()) {
          const { diagonal } = direct(window.map((r) => minus(thetas[2 * (r + 1)], thetas[2 * r])))
          for (const [k, sigma] of diagonal.entries())
            assertClose([column(`sigma${k + 1}`)[i]], [sigma], 1e-4)
        }
      }),
  )

  it.effect.each<[placement: Placement, checkpoints: Array<number>, firsts: Array<number>]>([
    ["published", [0, 4, 8, 12], [0, 4, 8, 10]],
    ["backward", [4, 8, 12], [2, 6, 10]],
  ])("of gradients has a row at its points: %s windows", ([placement, points, firsts]) =>
    Effect.gen(function* () {
      const { run, size } = yield* trained()
      const data = noise(1, 13 * size)
      const gradients = yield* putGradients(data, 13, 1)
      const { column } = yield* decomposed({ kind: "gradient", run, gradients }, { placement })
      assert.deepStrictEqual(column("checkpoint"), points)
      assert.deepStrictEqual(column("firstRow"), firsts)
      assert.deepStrictEqual(
        column("rowCount"),
        firsts.map(() => 3),
      )
      for (const [i, first] of firsts.entries()) {
        const { diagonal } = direct(
          [0, 1, 2].map((r) => data.subarray((first + r) * size, (first + r + 1) * size)),
        )
        assertClose([column("sigma1")[i], column("sigma3")[i]], [diagonal[0], diagonal[2]], 1e-4)
      }
    }),
  )

  it.effect("of an expanding window is that of the centred displacements so far", () =>
    Effect.gen(function* () {
      const { run, thetas } = yield* trained()
      const source: RowSource = { kind: "displacement", run, stride: 1, block: "attention" }
      const { stored, column } = yield* decomposed(source, { placement: "expanding" })
      assert.deepStrictEqual(column("checkpoint"), [0, 4, 8, 12])
      assert.deepStrictEqual(column("firstRow"), [0, 0, 0, 0])
      // K + 2 at the beginning, whatever W is, for K directions of centred rows.
      assert.deepStrictEqual(column("rowCount"), [4, 5, 9, 13])
      const directions = yield* openDirections(stored, yield* loadRows(source))
      for (const [i, count] of [4, 5, 9, 13].entries()) {
        const displacements = thetas.slice(0, count).map((theta) => minus(theta, thetas[0]))
        const { diagonal, vector } = direct(displacements, true)
        for (const k of [0, 1, 2]) assertClose([column(`sigma${k + 1}`)[i]], [diagonal[k]], 1e-4)
        const { vectors } = yield* directions.at(i)
        assert.lengthOf(vectors, 2)
        for (const [k, v] of vectors.entries()) assert.closeTo(cosine(v, vector(k)), 1, 1e-5)
      }
    }),
  )

  it.effect("of an expanding window is the same wherever the displacements start from", () =>
    Effect.gen(function* () {
      const { run, thetas } = yield* trained()
      const source: RowSource = { kind: "displacement", run, stride: 1, block: "attention" }
      const { column } = yield* decomposed(source, { placement: "expanding" })
      const { diagonal } = direct(thetas, true)
      assertClose([column("sigma1")[3], column("sigma2")[3]], diagonal.slice(0, 2), 1e-4)
    }),
  )

  it.effect("at the end of a run depends on W: its leading direction is not the same for every window", () =>
    Effect.gen(function* () {
      const { run, thetas } = yield* trained()
      const rows = yield* loadRows(updates(run))
      const leading = yield* Effect.forEach([2, 3, 6, 12], (window) =>
        Effect.gen(function* () {
          const { stored } = yield* decomposed(updates(run), { window })
          const directions = yield* openDirections(stored, rows)
          assert.deepStrictEqual(directions.points, [0, 4, 8, 12])
          const at = yield* directions.at(3)
          assert.deepStrictEqual(at.window, { first: 12 - window, count: window })
          const last = Array.from({ length: window }, (_, r) => 12 - window + r)
          const { vector } = direct(last.map((r) => minus(thetas[r + 1], thetas[r])))
          assert.closeTo(cosine(at.vectors[0], vector(0)), 1, 1e-5, `W = ${window}`)
          return at.vectors[0]
        }),
      )
      for (const [i, one] of leading.entries()) {
        for (const other of leading.slice(i + 1)) assert.isBelow(cosine(one, other), 0.999)
      }
    }),
  )

  it.effect("says that a run is too short for its window", () =>
    Effect.gen(function* () {
      const { run, size } = yield* trained()
      const gradients = yield* putGradients(noise(1, 13 * size), 13, 1)
      // Thirteen gradients, but twelve updates.
      const { column } = yield* decomposed({ kind: "gradient", run, gradients }, { window: 13 })
      assert.deepStrictEqual(column("firstRow"), [0, 0, 0, 0])
      for (const placement of ["published", "backward"] as const) {
        const error = yield* Effect.flip(decomposed(updates(run), { window: 13, placement }))
        assert.instanceOf(error, TooFewRows)
        assert.include(
          error.message,
          `no measurement point of a run of 12 rows has a window of 13 rows (${placement})`,
        )
        assert.notInclude(error.message, "\n")
      }
      const displacements: RowSource = { kind: "displacement", run, stride: 6, block: "attention" }
      const error = yield* Effect.flip(decomposed(displacements, { placement: "expanding", every: 6 }))
      assert.include(error.message, "a run of 3 rows has a window of 4 rows (expanding)")
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
