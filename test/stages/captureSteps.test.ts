import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Matrix, SVD } from "ml-matrix"
import { type Block, blockOf, rangesOf } from "../../src/model/blocks.ts"
import { trainSteps } from "../../src/model/programs.ts"
import { getTable } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { captureSteps } from "../../src/stages/captureSteps.ts"
import type { RowSource, TrainedRun } from "../../src/stages/contracts.ts"
import { loadPairs } from "../../src/stages/pairs.ts"
import { rollingSvd, TooFewRows } from "../../src/stages/rollingSvd.ts"
import { loadRows } from "../../src/stages/rows.ts"
import { train } from "../../src/stages/train.ts"
import { initialState, layoutOf, stepInputs } from "../../src/stages/training.ts"
import { openTrajectory } from "../../src/stages/trajectory.ts"
import { assertClose, assertSameBits } from "../model/close.ts"
import { tiny } from "../pipelines/tiny.ts"
import { memoryCursor, seed, trainTiny, workbench } from "./tinyRun.ts"

/** Sixty steps, a checkpoint every five; measured at steps 0, 20, 40 and 60. */
const config = { ...tiny.train, maxSteps: 60 }
const svd = { window: 7, placement: "published", points: 4, every: 1 } as const

type Trained = Effect.Success<ReturnType<typeof trainTiny>>
type Change = Partial<Omit<Parameters<typeof captureSteps.run>[0], "data" | "run">>

const captured = Effect.fn("captured")(function* ({ data, run }: Trained, change: Change = {}) {
  const input = { data, run, train: config, block: "attention" as const, seed, ...svd, ...change }
  const steps = yield* captureSteps.run(input, memoryCursor().cursor)
  const source: RowSource = { kind: "step-update", run, steps }
  return { source, steps, rows: yield* loadRows(source) }
})

/** θ at every step of the same training, which a checkpoint at every step keeps. */
const everyStep = Effect.fn("everyStep")(function* ({ data }: Trained) {
  const input = { data, model: tiny.model, train: { ...config, evaluateEvery: 1 }, seed }
  const run = yield* train.run(input, memoryCursor().cursor)
  const { layout, steps, theta } = yield* openTrajectory(run)
  assert.deepStrictEqual(
    steps,
    Array.from({ length: 61 }, (_, i) => i),
  )
  return { layout, thetas: yield* Effect.forEach(steps, (step) => theta(step)) }
})

const between = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

layer(workbench())("the updates of single steps", (it) => {
  it.effect.each<[placement: "published" | "backward", windows: Array<[first: number, last: number]>]>([
    [
      "published",
      [
        [0, 6],
        [20, 26],
        [40, 46],
        [53, 59],
      ],
    ],
    // No seven steps come before step 0.
    [
      "backward",
      [
        [13, 19],
        [33, 39],
        [53, 59],
      ],
    ],
  ])("are what each step of %s windows adds to the parameters, to the last bit", ([placement, windows]) =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const { layout, thetas } = yield* everyStep(trained)
      for (const block of ["attention", "mlp"] satisfies Array<Block>) {
        const ranges = rangesOf(layout, block)
        const { rows } = yield* captured(trained, { placement, block })
        for (const s of windows.flatMap(([first, last]) => between(first, last))) {
          const [from, to] = [blockOf(ranges, thetas[s]), blockOf(ranges, thetas[s + 1])]
          assertSameBits(
            rows.row(s),
            to.map((value, slot) => value - from[slot]),
            `step ${s}`,
          )
        }
      }
    }),
  )

  it.effect("are one row for each step of the run, numbered by the step that they leave", () =>
    Effect.gen(function* () {
      const { rows } = yield* captured(yield* trainTiny(["add"]))
      assert.deepInclude(rows, { count: 60, leaves: true })
      assert.deepStrictEqual([0, 4, 8, 12].map(rows.at), [0, 20, 40, 60])
    }),
  )

  it.effect("are the same in windows that overlap", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const apart = yield* captured(trained, { window: 5 })
      const { rows } = yield* captured(trained, { window: 45 })
      for (const [first, last] of [
        [0, 4],
        [20, 24],
        [40, 44],
        [55, 59],
      ] as const) {
        for (const s of between(first, last)) assertSameBits(rows.row(s), apart.rows.row(s), `step ${s}`)
      }
    }),
  )

  it.effect("are taken from the newest kept state, as well as from the beginning", () =>
    Effect.gen(function* () {
      const { data } = yield* trainTiny(["add"])
      const long = { ...config, maxSteps: 600, evaluateEvery: 50 }
      const run: TrainedRun = yield* train.run(
        { data, model: tiny.model, train: long, seed },
        memoryCursor().cursor,
      )
      // Steps 0, 300 and 600: the last window starts behind the state that is kept at step 500.
      const { rows } = yield* captured({ data, run }, { train: long, points: 3 })

      const layout = layoutOf(data, tiny.model)
      const ranges = rangesOf(layout, "attention")
      const pairs = yield* loadPairs(data)
      const engine = yield* TensorEngine
      const program = yield* engine.compileScan(trainSteps(layout, long, long.batchSize))
      let state = initialState(layout, seed)
      const wanted = [...between(0, 6), ...between(300, 306), ...between(593, 599)]
      for (let s = 0; s < 600; s++) {
        const before = state.theta.slice()
        const xs = stepInputs(pairs, { train: long, seed }, s + 1, 1)
        state = (yield* program.run({ carry: state, xs, constants: {} })).carry
        if (!wanted.includes(s)) continue
        const from = blockOf(ranges, before)
        const update = blockOf(ranges, state.theta).map((value, slot) => value - from[slot])
        assertSameBits(rows.row(s), update, `step ${s}`)
      }
    }),
  )

  it.effect("have a rolling SVD whose windows are counted in steps", () =>
    Effect.gen(function* () {
      const trained = yield* trainTiny(["add"])
      const { thetas, layout } = yield* everyStep(trained)
      const { source } = yield* captured(trained)
      const { spectrum } = yield* rollingSvd.run(
        { rows: source, svd: { ...svd, rank: 2 } },
        memoryCursor().cursor,
      )
      const table = yield* getTable(spectrum)
      const column = (name: string) => Array.from(numbers(table, name))
      assert.deepStrictEqual(column("checkpoint"), [0, 4, 8, 12])
      assert.deepStrictEqual(column("step"), [0, 20, 40, 60])
      assert.deepStrictEqual(column("firstRow"), [0, 20, 40, 53])
      assert.deepStrictEqual(column("rowCount"), [7, 7, 7, 7])
      const ranges = rangesOf(layout, "attention")
      for (const [i, first] of [0, 20, 40, 53].entries()) {
        const updates = between(first, first + 6).map((s) => {
          const [from, to] = [blockOf(ranges, thetas[s]), blockOf(ranges, thetas[s + 1])]
          return Array.from(to, (value, slot) => value - from[slot])
        })
        const { diagonal } = new SVD(new Matrix(updates).transpose())
        assertClose([column("sigma1")[i], column("sigma3")[i]], [diagonal[0], diagonal[2]], 1e-4)
      }
    }),
  )

  it.effect("are refused by a rolling SVD of other windows than they were captured for", () =>
    Effect.gen(function* () {
      const { source } = yield* captured(yield* trainTiny(["add"]))
      const check = (change: object) =>
        Schema.encodeEffect(rollingSvd.input)({ rows: source, svd: { ...svd, rank: 2, ...change } })
      yield* check({})
      for (const [change, message] of [
        [{ window: 6 }, "Expected 7, for which the steps were captured, got 6"],
        [{ points: 3 }, "Expected 4, for which the steps were captured, got 3"],
        [{ every: 2 }, "Expected 1, for which the steps were captured, got 2"],
        [{ placement: "backward" }, "Expected published, for which the steps were captured, got backward"],
      ] as const) {
        assert.include(String(yield* Effect.flip(check(change))), message)
      }
    }),
  )

  it.effect("are none in a run of fewer steps than a window, and its rolling SVD says so", () =>
    Effect.gen(function* () {
      const { source } = yield* captured(yield* trainTiny(["add"]), { window: 61 })
      const error = yield* Effect.flip(
        rollingSvd.run({ rows: source, svd: { ...svd, window: 61, rank: 2 } }, memoryCursor().cursor),
      )
      assert.instanceOf(error, TooFewRows)
      assert.include(error.message, "a run of 60 rows has a window of 61 rows")
    }),
  )
})
