import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Matrix, SVD } from "ml-matrix"
import type { Block } from "../../src/model/blocks.ts"
import { probeCentroids } from "../../src/model/programs.ts"
import { getTable } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import type { ProbeConfig, RowSource } from "../../src/stages/contracts.ts"
import { randomDirection } from "../../src/stages/directions.ts"
import { measureCoupling } from "../../src/stages/measureCoupling.ts"
import { measureNull } from "../../src/stages/measureNull.ts"
import { drawProbes } from "../../src/stages/probes.ts"
import { rollingSvd } from "../../src/stages/rollingSvd.ts"
import { openTrajectory } from "../../src/stages/trajectory.ts"
import { assertClose } from "../model/close.ts"
import { slotsOf } from "../model/slots.ts"
import { memoryCursor, seed, trainTiny, workbench } from "./tinyRun.ts"

const probe: ProbeConfig = {
  probes: 8,
  epsilon: 0.005,
  centroid: "correct-logit",
  from: "table",
  task: 0,
}
const points = { points: 4, every: 1 }
type Trained = Effect.Success<ReturnType<typeof trainTiny>>

const nullOf = ({ data, run }: Trained, change: Partial<ProbeConfig> = {}, block: Block = "attention") =>
  measureNull.run(
    { data, run, probe: { ...probe, ...change }, block, ...points, draws: 5, seed },
    memoryCursor().cursor,
  )

const energiesOf = (trained: Trained, change: Partial<ProbeConfig>) =>
  nullOf(trained, change).pipe(
    Effect.flatMap(({ energies }) => getTable(energies)),
    Effect.map((table) => numbers(table, "energy")),
  )

/** Input of `measure-coupling` on the updates of a run, two directions. */
const couplingInput = Effect.fn("couplingInput")(function* (
  trained: Trained,
  block: Block = "attention",
  window = 3,
) {
  const rows: RowSource = { kind: "update", run: trained.run, stride: 1, block }
  const svd = { window, rank: 2, placement: "published", ...points } as const
  const directions = yield* rollingSvd.run({ rows, svd }, memoryCursor().cursor)
  return { data: trained.data, rows, directions, null: yield* nullOf(trained, {}, block), seed }
})

layer(workbench())("perturbation energies", (it) => {
  it.effect("with ε = 0 are the limit of those of short displacements", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const limit = yield* energiesOf(trained, { epsilon: 0 })
      assertClose(yield* energiesOf(trained, { epsilon: 0.005 }), limit, 1e-3)
      assertClose(
        yield* energiesOf(trained, { epsilon: 0, centroid: "logit-sum" }),
        yield* energiesOf(trained, { epsilon: 0.005, centroid: "logit-sum" }),
        1e-3,
      )
    }),
  )

  it.effect("differ from task to task, from one centroid to the other, and from table to grid", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add", "mul"])
      const kinds: ReadonlyArray<Partial<ProbeConfig>> = [
        {},
        { task: 1 },
        { centroid: "logit-sum" },
        { centroid: "logit-sum", task: 1 },
        { from: "grid" },
      ]
      const energies = yield* Effect.forEach(kinds, (change) => energiesOf(trained, change))
      assert.strictEqual(new Set(energies.map((values) => values.join())).size, kinds.length)
    }),
  )
})

layer(workbench())("a coupling", (it) => {
  it.effect("is summarised for R̄ and for R₁, over all points", () =>
    Effect.gen(function* () {
      const output = yield* measureCoupling.run(
        yield* couplingInput(yield* trainTiny(["add"])),
        memoryCursor().cursor,
      )
      const table = yield* getTable(output.series)
      const column = (name: string) => Array.from(numbers(table, name))
      assert.deepStrictEqual(column("checkpoint"), [0, 4, 8, 12])
      assert.deepStrictEqual(column("step"), [0, 20, 40, 60])
      assert.deepStrictEqual(column("rowCount"), [3, 3, 3, 3])
      const [first, second, mean] = ["R1", "R2", "meanR"].map(column)
      assertClose(
        mean,
        first.map((ratio, i) => (ratio + second[i]) / 2),
        1e-12,
      )
      for (const [summary, values] of [
        [output, mean],
        [output.first, first],
      ] as const) {
        assert.strictEqual(summary.points, 4)
        assert.strictEqual(summary.peak, Math.max(...values))
        assert.strictEqual(summary.peakStep, 20 * values.indexOf(Math.max(...values)))
        assert.strictEqual(summary.final, values[3])
        assertClose([summary.mean ?? Number.NaN], [values.reduce((sum, value) => sum + value) / 4], 1e-12)
        assert.strictEqual(summary.shareAboveOne, values.filter((value) => value > 1).length / 4)
      }
      const spreads = column("denominatorIqr").map((iqr, i) => iqr / column("denominator")[i])
      const [, low, high] = spreads.toSorted((x, y) => x - y)
      assertClose([output.denominatorSpread], [(low + high) / 2], 1e-12)
    }),
  )

  it.effect("at the end of a run is that of the last W rows, and so another for another W", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const final = yield* Effect.forEach([2, 3, 6, 12], (window) =>
        Effect.gen(function* () {
          const input = yield* couplingInput(trained, "attention", window)
          const { first, series } = yield* measureCoupling.run(input, memoryCursor().cursor)
          assert.deepStrictEqual(Array.from(numbers(yield* getTable(series), "rowCount")), [
            window,
            window,
            window,
            window,
          ])
          return first.final ?? Number.NaN
        }),
      )
      for (const [i, one] of final.entries()) {
        for (const other of final.slice(i + 1)) assert.isAbove(Math.abs(one / other - 1), 1e-3)
      }
    }),
  )

  it.effect(
    "in a block is the ratio of energies of the block's directions to those of random ones there",
    () =>
      Effect.gen(function* () {
        const trained = yield* trainTiny(["add"])
        const input = yield* couplingInput(trained, "K")
        const { series } = yield* measureCoupling.run(input, memoryCursor().cursor)
        const table = yield* getTable(series)

        const trajectory = yield* openTrajectory(trained.run)
        const { layout, theta } = trajectory
        const slots = slotsOf(layout, "K")
        const checkpoint = 4
        const at = yield* theta(checkpoint)
        // The updates that leave the checkpoint and the next two.
        const thetas = yield* Effect.forEach([4, 5, 6, 7], (i) => theta(i))
        const rows = thetas.slice(1).map((to, i) => slots.map((slot) => to[slot] - thetas[i][slot]))
        const { leftSingularVectors } = new SVD(new Matrix(rows).transpose())
        const probes = yield* drawProbes(trained.data, probe, seed)
        const engine = yield* TensorEngine
        const centroids = yield* engine.compile(probeCentroids(layout, probe.probes))
        const epsilon = probe.epsilon * Math.hypot(...slots.map((slot) => at[slot]))
        const energy = Effect.fnUntraced(function* (direction: ArrayLike<number>) {
          const displaced = (sign: number) => {
            const moved = at.slice()
            for (const [i, slot] of slots.entries()) moved[slot] += sign * epsilon * direction[i]
            return Effect.map(centroids.run({ theta: moved, ...probes }), (output) => output.centroids)
          }
          const [plus, minus] = [yield* displaced(1), yield* displaced(-1)]
          const squares = plus.map((mu, i) => ((mu - minus[i]) / (2 * epsilon)) ** 2)
          return squares.reduce((sum, square) => sum + square) / probe.probes
        })
        const random = yield* Effect.forEach([0, 1, 2, 3, 4], (i) =>
          energy(randomDirection(seed, 5 * checkpoint, i, slots.length)),
        )
        const denominator = numbers(table, "denominator")[1]
        assertClose([denominator], [random.toSorted((x, y) => x - y)[2]], 2e-3)
        const first = yield* energy(leftSingularVectors.getColumn(0))
        assertClose([numbers(table, "R1")[1]], [first / denominator], 2e-3)
      }),
  )

  it.effect("of one block's directions is not measured in another, nor against its random ones", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      // As long as those of attention's other layer: nothing else would notice.
      const [one, other] = [
        yield* couplingInput(trained, "layer-0"),
        yield* couplingInput(trained, "layer-1"),
      ]
      for (const field of ["rows", "directions", "null"] as const) {
        const error = yield* Effect.flip(
          measureCoupling.run({ ...one, [field]: other[field] }, memoryCursor().cursor),
        )
        assert.strictEqual(error._tag, "DifferentBlocks")
        assert.include(error.message, `${field} of layer-1`)
        assert.notInclude(error.message, "\n")
      }
    }),
  )

  it.effect("that was killed goes on at the point where it was, to the same result", () =>
    Effect.gen(function* () {
      const input = yield* couplingInput(yield* trainTiny(["add"]))
      const straight = memoryCursor()
      const output = yield* measureCoupling.run(input, straight.cursor)
      assert.deepStrictEqual(straight.advanced, [0, 1, 2, 3])
      const resumed = memoryCursor(JSON.parse(JSON.stringify(straight.written.slice(0, 2))))
      assert.deepStrictEqual(yield* measureCoupling.run(input, resumed.cursor), output)
      assert.deepStrictEqual(resumed.advanced, [2, 3])
    }),
  )
})
