import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { unpack } from "../../src/model/layout.ts"
import { f32, i32, program } from "../../src/model/Program.ts"
import { paper } from "../../src/pipelines/sizes.ts"
import { float32, getJson, getTable, getTensors } from "../../src/services/artifacts.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../src/services/engine/onnx/OnnxEngine.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import { Progress } from "../../src/services/Progress.ts"
import { Checkpoint } from "../../src/stages/checkpoints.ts"
import { Trajectory } from "../../src/stages/contracts.ts"
import { generateData } from "../../src/stages/generateData.ts"
import { loadPairs } from "../../src/stages/pairs.ts"
import { type TrainInput, train } from "../../src/stages/train.ts"
import { endOf, layoutOf, outcomeOf, stepInputs, type TrainConfig } from "../../src/stages/training.ts"
import { assertClose, assertSameBits } from "../model/close.ts"
import * as plain from "../model/plain.ts"
import { eager, run } from "../model/samples.ts"
import { temporaryStore } from "../services/store/temporary.ts"

const operations = ["add", "sub", "mul"] as const
const seed = 42
const model = { width: 16, heads: 2, feedForward: 16, layers: 2 }
const config: TrainConfig = { ...paper.train, batchSize: 32, maxSteps: 60, evaluateEvery: 20 }

/** A cursor in memory that holds `entries` and takes more. */
const cursorOf = (entries: Array<unknown>) => ({
  entries,
  advance: (_: number, entry: unknown) => Effect.sync(() => void entries.push(entry)),
})

const dataset = generateData.run(
  { operations, modulus: 11, trainFraction: 0.5, labels: "true", seed },
  cursorOf([]),
)

const trained = Effect.fnUntraced(function* (
  change: Partial<TrainConfig> = {},
  entries: Array<unknown> = [],
) {
  const input: TrainInput = { data: yield* dataset, model, train: { ...config, ...change }, seed }
  const output = yield* train.run(input, cursorOf(entries))
  return { ...output, input, thetas: yield* getJson(Trajectory, output.trajectory) }
})

const engine = Layer.provideMerge(OnnxEngine.layer({ threads: 1 }), CodeFingerprint.layer)
const laboratory = Layer.mergeAll(engine, temporaryStore(), Progress.silent)

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0) / values.length

layer(laboratory)("a training of several operations", (it) => {
  it.effect("has a head for each, and reports the worst accuracy, the summed loss and each accuracy", () =>
    Effect.gen(function* () {
      const { input, model: sizes, thetas, curve, finalTestAccuracy, finalTrainAccuracy } = yield* trained()
      assert.deepStrictEqual(sizes, { modulus: 11, tasks: 3, ...model })
      const layout = layoutOf(input.data, model)
      const theta = yield* float32(yield* getTensors(thetas[3].theta), "theta")
      assert.lengthOf(theta, layout.size)

      const { all, isTrain } = yield* loadPairs(input.data)
      const n = all.a.length
      assert.strictEqual(n, 100)
      const reference = program({
        name: "plain logits",
        inputs: { theta: f32(layout.size), a: i32(n), b: i32(n) },
        outputs: { logits: f32(n, 33) },
        body: ({ theta, a, b }) => ({ logits: plain.logits(layout.shape, unpack(layout, theta), a, b) }),
      })
      const { logits } = yield* Effect.provide(run(reference, { theta, a: all.a, b: all.b }), eager)
      const head = (i: number, task: number) => Array.from(logits.subarray(33 * i + 11 * task).slice(0, 11))
      const over = (train: boolean, figure: (z: ReadonlyArray<number>, label: number) => number) =>
        operations.map((_, task) =>
          mean(
            isTrain.flatMap((t, i) => (t === train ? [figure(head(i, task), all.label[3 * i + task])] : [])),
          ),
        )
      const accuracy = (z: ReadonlyArray<number>, label: number) =>
        z.indexOf(Math.max(...z)) === label ? 1 : 0
      const loss = (z: ReadonlyArray<number>, label: number) =>
        Math.log(z.reduce((sum, x) => sum + Math.exp(x), 0)) - z[label]

      const table = yield* getTable(curve)
      const last = (name: string) => numbers(table, name)[3]
      assert.deepStrictEqual(table.columnNames(), [
        "step",
        "trainLoss",
        "testLoss",
        "trainAccuracy",
        "testAccuracy",
        "testAccuracy_add",
        "testAccuracy_sub",
        "testAccuracy_mul",
      ])
      const tested = over(false, accuracy)
      assert.isAbove(new Set(tested).size, 1, "the tasks can be told apart")
      assertClose(
        operations.map((operation) => last(`testAccuracy_${operation}`)),
        tested,
        1e-12,
      )
      assert.closeTo(last("testAccuracy"), Math.min(...tested), 1e-12)
      assert.closeTo(last("trainAccuracy"), Math.min(...over(true, accuracy)), 1e-12)
      assert.strictEqual(finalTestAccuracy, last("testAccuracy"))
      assert.strictEqual(finalTrainAccuracy, last("trainAccuracy"))
      assertClose([last("testLoss")], [3 * mean(over(false, loss))], 1e-5)
      assertClose([last("trainLoss")], [3 * mean(over(true, loss))], 1e-5)
    }),
  )

  it.effect("starts at the chance level of three tasks", () =>
    Effect.gen(function* () {
      const { losses } = yield* trained()
      const [first] = numbers(yield* getTable(losses), "loss")
      // Initial logits have a deviation of about 0.6, which adds about 0.2 to each log 11.
      assert.closeTo(first, 3 * (Math.log(11) + 0.2), 0.9)
    }),
  )
})

layer(laboratory)("another optimiser and schedule", (it) => {
  const change: Partial<TrainConfig> = {
    optimizer: "sgd",
    schedule: { kind: "warmup-cosine", warmup: 30, period: 60 },
    learningRate: 0.3,
    weightDecay: 1e-3,
  }

  it.effect("train, and a run that goes on has the bits of one that went straight there", () =>
    Effect.gen(function* () {
      const straight = yield* trained(change)
      const entries: Array<unknown> = []
      yield* trained({ ...change, maxSteps: 20 }, entries)
      assert.lengthOf(entries, 2)
      const continued = yield* trained(change, entries)
      assert.lengthOf(entries, 4)
      assert.deepStrictEqual(continued.thetas, straight.thetas)
      const losses = Array.from(numbers(yield* getTable(straight.losses), "loss"))
      assert.isBelow(mean(losses.slice(-10)), mean(losses.slice(0, 10)))
    }),
  )

  it.effect("each leave a trajectory of their own", () =>
    Effect.gen(function* () {
      const { optimizer = "sgd", schedule = config.schedule } = change
      const runs = yield* Effect.forEach([{}, { optimizer }, { schedule }, { optimizer, schedule }], (some) =>
        trained(some),
      )
      const last = runs.map(({ thetas }) => thetas[3].theta.digest)
      assert.strictEqual(new Set(last).size, 4)
      assert.strictEqual(new Set(runs.map(({ thetas }) => thetas[0].theta.digest)).size, 1)
    }),
  )

  it.effect("end at the last step's learning rate of 0 where the cosine does", () =>
    Effect.gen(function* () {
      const short = { ...change, schedule: { kind: "warmup-cosine", warmup: 0, period: 20 } } as const
      const { thetas } = yield* trained(short)
      assert.notStrictEqual(thetas[1].theta.digest, thetas[0].theta.digest)
      assert.strictEqual(thetas[3].theta.digest, thetas[1].theta.digest)
    }),
  )
})

layer(laboratory)("stepInputs", (it) => {
  it.effect("of a step are the same by itself and within a block", () =>
    Effect.gen(function* () {
      const pairs = yield* loadPairs(yield* dataset)
      const schedule = { kind: "warmup-cosine", warmup: 3, period: 60 } as const
      const of = (first: number, count: number) =>
        stepInputs(pairs, { train: { ...config, schedule }, seed }, first, count)
      const block = of(1, 5)
      const third = of(3, 1)
      assertSameBits(third.a, block.a.subarray(64, 96), "a")
      assertSameBits(third.label, block.label.subarray(3 * 64, 3 * 96), "labels")
      for (const scalar of ["stepSize", "decay", "denominatorScale"] as const) {
        assertSameBits(third[scalar], block[scalar].subarray(2, 3), scalar)
      }
    }),
  )
})

describe("the end of a training", () => {
  const reference = { digest: "0".repeat(64), format: "safetensors", bytes: 0 } as const
  const at = (step: number, ...taskTestAccuracy: ReadonlyArray<number>) =>
    Checkpoint.make({
      step,
      theta: reference,
      moments: reference,
      losses: [],
      gradientNorms: [],
      evaluation: {
        trainLoss: 0,
        testLoss: 0,
        trainAccuracy: 1,
        testAccuracy: Math.min(...taskTestAccuracy),
        taskTrainAccuracy: taskTestAccuracy.map(() => 1),
        taskTestAccuracy,
      },
    })
  const stop = { accuracy: 0.98, count: 2, consecutive: true, every: 1, latched: false }

  it("comes when the worst task has been good enough, often enough in a row", () => {
    const checkpoints = [
      at(0, 0, 0),
      at(20, 1, 0.6),
      at(40, 0.98, 1),
      at(60, 1, 0.97),
      at(80, 1, 1),
      at(100, 1, 1),
    ]
    const rule: TrainConfig = { ...config, maxSteps: 200, stop }
    assert.strictEqual(endOf(rule, checkpoints.slice(0, 5)), 200)
    assert.strictEqual(endOf(rule, checkpoints), 100)
    assert.strictEqual(endOf({ ...rule, maxSteps: 80 }, checkpoints), 80)
    assert.deepStrictEqual(outcomeOf(rule, checkpoints), {
      firstHalf: 20,
      firstThreshold: 40,
      stopStep: 100,
      finalTestAccuracy: 1,
      finalTrainAccuracy: 1,
    })
  })

  it("of a latched rule comes when each task has been good enough by itself, seen every so many steps", () => {
    const checkpoints = [
      at(0, 0, 0),
      at(20, 1, 0),
      at(40, 1, 0),
      at(60, 1, 0.5),
      at(80, 1, 0.5),
      at(100, 0.9, 0.98),
      at(120, 0.9, 0.98),
      at(140, 0.9, 0.98),
      at(160, 0.9, 0.98),
    ]
    const latched: TrainConfig = { ...config, maxSteps: 400, stop: { ...stop, every: 40, latched: true } }
    // At 40, 80, … : the first task at 80, the second, which is not good before 120, at 160.
    assert.strictEqual(endOf(latched, checkpoints.slice(0, 8)), 400)
    assert.strictEqual(endOf(latched, checkpoints), 160)
    assert.deepInclude(outcomeOf(latched, checkpoints), {
      firstHalf: 60,
      firstThreshold: null,
      stopStep: 160,
      finalTestAccuracy: 0.9,
    })
    assert.strictEqual(endOf({ ...latched, stop: { ...stop, latched: true } }, checkpoints), 120)
    assert.strictEqual(endOf({ ...latched, stop }, checkpoints), 400)
  })
})
