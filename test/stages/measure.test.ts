import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { getTable } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import type { ProbeConfig, RowSource } from "../../src/stages/contracts.ts"
import { measureCoupling } from "../../src/stages/measureCoupling.ts"
import { measureNull } from "../../src/stages/measureNull.ts"
import { rollingSvd } from "../../src/stages/rollingSvd.ts"
import { assertClose } from "../model/close.ts"
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

const nullOf = ({ data, run }: Trained, change: Partial<ProbeConfig> = {}) =>
  measureNull.run(
    { data, run, probe: { ...probe, ...change }, ...points, draws: 5, seed },
    memoryCursor().cursor,
  )

const energiesOf = (trained: Trained, change: Partial<ProbeConfig>) =>
  nullOf(trained, change).pipe(
    Effect.flatMap(({ energies }) => getTable(energies)),
    Effect.map((table) => numbers(table, "energy")),
  )

/** Input of `measure-coupling` on the updates of a run, windows of three, two directions. */
const couplingInput = Effect.fn("couplingInput")(function* (trained: Trained) {
  const rows: RowSource = { kind: "update", run: trained.run, stride: 1 }
  const svd = { window: 3, rank: 2, direction: "forward", ...points } as const
  const directions = yield* rollingSvd.run({ rows, svd }, memoryCursor().cursor)
  return { data: trained.data, rows, directions, null: yield* nullOf(trained), seed }
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
  it.effect("is summarised for R̄ and for R₁, over all points and over full windows", () =>
    Effect.gen(function* () {
      const output = yield* measureCoupling.run(
        yield* couplingInput(yield* trainTiny(["add"])),
        memoryCursor().cursor,
      )
      const table = yield* getTable(output.series)
      const [first, mean, full] = ["R1", "meanR", "fullWindow"].map((name) =>
        Array.from(numbers(table, name)),
      )
      // Windows at checkpoints 0, 4, 8, 12: two rows, three, three, one.
      assert.deepStrictEqual(full, [0, 1, 1, 0])
      assert.strictEqual(output.first.all.points, 4)
      assert.strictEqual(output.first.all.peak, Math.max(...first))
      assert.strictEqual(output.first.all.final, first[3])
      assert.strictEqual(output.first.fullWindows.peak, Math.max(first[1], first[2]))
      assert.strictEqual(output.all.points, 3)
      assert.strictEqual(output.all.peak, Math.max(...mean.slice(0, 3)))
      assert.strictEqual(output.fullWindows.final, mean[2])
      assert.isNaN(mean[3])
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
