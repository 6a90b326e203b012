import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Matrix, SVD } from "ml-matrix"
import { makeLayout } from "../../src/model/layout.ts"
import { blockGradient, probeCentroids } from "../../src/model/programs.ts"
import { norm } from "../../src/numerics/gram.ts"
import { stream } from "../../src/numerics/random.ts"
import type { SingleConfig } from "../../src/pipelines/single.ts"
import { ArtifactRef } from "../../src/services/Artifact.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { float32, getJson, getTable, getTensors } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { CapturedGradients, Trajectory } from "../../src/stages/contracts.ts"
import { randomDirection } from "../../src/stages/directions.ts"
import { draw, loadPairs } from "../../src/stages/pairs.ts"
import { laboratory, runSingle, tiny } from "../pipelines/tiny.ts"

const layout = makeLayout({ modulus: tiny.data.modulus, tasks: 1, ...tiny.model })
const size = layout.attentionSize

/** The name in quarantine of a blob. */
const quarantinedAs = ({ digest, format }: ArtifactRef) => `objects.${digest.slice(0, 2)}.${digest}.${format}`

type Run = Effect.Success<ReturnType<typeof runSingle>>

const checkpointsOf = Effect.fn("checkpointsOf")(function* ({ run }: Run) {
  return yield* getJson(Trajectory, run.trajectory)
})

const thetasOf = Effect.fn("thetasOf")(function* (run: Run) {
  return yield* Effect.forEach(yield* checkpointsOf(run), ({ theta }) =>
    Effect.flatMap(getTensors(theta), (tensors) => float32(tensors, "theta")),
  )
})

const gradientsOf = Effect.fn("gradientsOf")(function* (run: Run) {
  const { records } = yield* ArtifactStore
  const [record] = (yield* records).filter(({ stage }) => stage === "capture-gradients")
  const { gradients } = yield* Schema.decodeUnknownEffect(CapturedGradients)(record.output)
  const all = yield* float32(yield* getTensors(gradients), "gradients")
  return Array.from({ length: run.run.checkpoints }, (_, i) => all.slice(i * size, (i + 1) * size))
})

/** A(v) as experiment.md §5 defines it, from centroids at θ ± εv, in float64. */
const openEnergy = Effect.fn("openEnergy")(function* ({ data }: Run, { seed, probe }: SingleConfig) {
  const engine = yield* TensorEngine
  const program = yield* engine.compile(probeCentroids(layout, probe.probes))
  const { all } = yield* loadPairs(data)
  const probes = draw(all, stream(seed, "probe"), probe.probes)
  return Effect.fnUntraced(function* (theta: Float32Array, direction: ArrayLike<number>) {
    const epsilon = probe.epsilon * norm(theta.subarray(0, size))
    const at = (sign: number) => {
      const moved = theta.map((value, slot) => value + (slot < size ? sign * epsilon * direction[slot] : 0))
      return Effect.map(program.run({ theta: moved, ...probes }), ({ centroids }) => centroids)
    }
    const plus = yield* at(1)
    const minus = yield* at(-1)
    let total = 0
    for (let i = 0; i < plus.length; i++) total += ((plus[i] - minus[i]) / (2 * epsilon)) ** 2
    return total / probe.probes
  })
})

const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((x, y) => x - y)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, x) => sum + x, 0) / values.length

/** Two ways of computing, both rounded to float32 by the engine. */
const TOLERANCE = 2e-5

const relative = (actual: number, expected: number, tolerance: number, what: string) => {
  assert.isBelow(
    Math.abs(actual - expected) / Math.abs(expected),
    tolerance,
    `${what}: ${actual} and ${expected}`,
  )
}

/** The rows of the windows at checkpoints 0, 5 and 10 of 0 … 10, W = 4, written out. */
const windows = {
  "update forward": [[1, 2, 3], [5, 6, 7, 8], [10]],
  "update backward": [[], [2, 3, 4, 5], [7, 8, 9, 10]],
  "gradient forward": [[0, 1, 2, 3], [5, 6, 7, 8], [10]],
  "gradient backward": [[0], [2, 3, 4, 5], [7, 8, 9, 10]],
}

layer(laboratory())("a tiny run through all stages", (it) => {
  it.effect("trains to its last step and keeps every checkpoint", () =>
    Effect.gen(function* () {
      const run = yield* runSingle(tiny)
      const steps = Array.from({ length: 11 }, (_, i) => 5 * i)
      assert.deepStrictEqual(
        (yield* checkpointsOf(run)).map(({ step }) => step),
        steps,
      )
      const thetas = yield* thetasOf(run)
      assert.isTrue(thetas.every((theta) => theta.length === layout.size && theta.every(Number.isFinite)))

      const curve = yield* getTable(run.run.curve)
      assert.deepStrictEqual(Array.from(numbers(curve, "step")), steps)
      assert.strictEqual(numbers(curve, "trainAccuracy").at(-1), run.run.finalTrainAccuracy)
      assert.strictEqual(numbers(curve, "testAccuracy").at(-1), run.run.finalTestAccuracy)

      const losses = yield* getTable(run.run.losses)
      assert.deepStrictEqual(
        Array.from(numbers(losses, "step")),
        Array.from({ length: 50 }, (_, i) => i + 1),
      )
      assert.isBelow(mean(Array.from(numbers(losses, "loss").subarray(40))), numbers(losses, "loss")[0])
      assert.isTrue(numbers(losses, "gradientNorm").every((length) => length > 0))
    }),
  )

  it.effect("captures the gradient at every checkpoint on one fixed batch from all pairs", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const run = yield* runSingle(tiny)
        const thetas = yield* thetasOf(run)
        const gradients = yield* gradientsOf(run)
        const { all } = yield* loadPairs(run.data)
        const batch = draw(all, stream(tiny.seed, "capture"), tiny.capture.batchSize)
        const engine = yield* TensorEngine
        const program = yield* engine.compile(blockGradient(layout, tiny.capture.batchSize))
        assert.lengthOf(gradients, thetas.length)
        for (const [i, theta] of thetas.entries()) {
          const { gradient } = yield* program.run({ theta, ...batch })
          assert.deepStrictEqual(gradients[i], gradient)
        }
      }),
    ),
  )

  it.effect("measures energies of random directions that a plain computation gives too", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const run = yield* runSingle(tiny)
        const thetas = yield* thetasOf(run)
        const energy = yield* openEnergy(run, tiny)
        const series = yield* getTable(run.couplings[0].series)
        for (const [point, checkpoint] of [0, 5, 10].entries()) {
          const energies = yield* Effect.forEach([0, 1, 2], (index) =>
            energy(
              thetas[checkpoint],
              randomDirection(tiny.seed, checkpoint * tiny.train.evaluateEvery, index, size),
            ),
          )
          relative(
            numbers(series, "denominator")[point],
            median(energies),
            2e-3,
            `denominator at ${checkpoint}`,
          )
        }
      }),
    ),
  )

  it.effect("couples the directions that a direct SVD of the stored rows gives", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const run = yield* runSingle(tiny)
        const thetas = yield* thetasOf(run)
        const gradients = yield* gradientsOf(run)
        const energy = yield* openEnergy(run, tiny)
        const rowOf = {
          update: (i: number) =>
            Array.from(thetas[i].subarray(0, size), (value, slot) => value - thetas[i - 1][slot]),
          gradient: (i: number) => Array.from(gradients[i]),
        }
        for (const { kind, direction, series, all, fullWindows } of run.couplings) {
          const table = yield* getTable(series)
          const label = `${kind} ${direction}` as const
          const expected = windows[label]
          assert.deepStrictEqual(Array.from(numbers(table, "checkpoint")), [0, 5, 10], label)
          assert.deepStrictEqual(Array.from(numbers(table, "step")), [0, 25, 50], label)
          assert.deepStrictEqual(
            Array.from(numbers(table, "rowCount")),
            expected.map(({ length }) => length),
            label,
          )
          assert.deepStrictEqual(
            Array.from(numbers(table, "fullWindow")),
            expected.map(({ length }) => (length === 4 ? 1 : 0)),
            label,
          )
          const meanR: Array<number> = []
          for (const [point, rows] of expected.entries()) {
            const theta = thetas[[0, 5, 10][point]]
            const denominator = numbers(table, "denominator")[point]
            const rank = Math.min(tiny.svd.rank, rows.length)
            // SVD of the transpose: its left singular vectors are the directions.
            const svd = rows.length === 0 ? undefined : new SVD(new Matrix(rows.map(rowOf[kind])).transpose())
            const ratios = yield* Effect.forEach(Array.from({ length: rank }), (_, k) =>
              Effect.map(
                energy(theta, svd?.leftSingularVectors.getColumn(k) ?? []),
                (value) => value / denominator,
              ),
            )
            for (let k = 0; k < tiny.svd.rank; k++) {
              const actual = numbers(table, `R${k + 1}`)[point]
              if (k < rank) relative(actual, ratios[k], TOLERANCE, `R${k + 1} of ${label} at point ${point}`)
              else assert.isNaN(actual, `R${k + 1} of ${label} at point ${point}`)
            }
            const actual = numbers(table, "meanR")[point]
            if (rank < tiny.svd.rank) assert.isNaN(actual)
            else relative(actual, mean(ratios), TOLERANCE, `mean R of ${label} at point ${point}`)
            meanR.push(actual)
          }

          const steps = [0, 25, 50]
          const summary = (points: ReadonlyArray<number>) => {
            const measured = points.filter((point) => !Number.isNaN(meanR[point]))
            const values = measured.map((point) => meanR[point])
            const peak = Math.max(...values)
            return {
              points: values.length,
              peak,
              peakStep: steps[meanR.indexOf(peak)],
              mean: mean(values),
              final: values.at(-1) ?? null,
            }
          }
          const full = [0, 1, 2].filter((point) => expected[point].length === 4)
          for (const [actual, points] of [
            [all, [0, 1, 2]],
            [fullWindows, full],
          ] as const) {
            // Tiny runs do not grok, so all of a run is before it.
            const { mean: actualMean, meanBefore, meanAfter, ...rest } = actual
            assert.strictEqual(meanBefore, actualMean)
            assert.isNull(meanAfter)
            const { mean: expectedMean, ...others } = summary(points)
            assert.deepStrictEqual(rest, others, label)
            assert.closeTo(actualMean ?? Number.NaN, expectedMean, 1e-9, label)
          }
        }
      }),
    ),
  )
})

/** Identity and time of every file of the only training's cursor: what a rewrite would change. */
const cursorFiles = Effect.gen(function* () {
  const { root } = yield* ArtifactStore
  const [directory, ...others] = readdirSync(join(root, "cursors", "train"))
  assert.deepStrictEqual(others, [])
  return readdirSync(join(root, "cursors", "train", directory)).map((name) => {
    const { ino, mtimeMs } = statSync(join(root, "cursors", "train", directory, name))
    return `${name} ${ino} ${mtimeMs}`
  })
})

const withSteps = (maxSteps: number): SingleConfig => ({ ...tiny, train: { ...tiny.train, maxSteps } })

describe("training longer", () => {
  const calls = new Map<string, number>()

  it.live("continues the shorter run, and a shorter one is served from the longer", () =>
    Effect.gen(function* () {
      const blocks = Effect.fnUntraced(function* (maxSteps: number) {
        calls.clear()
        const run = yield* runSingle(withSteps(maxSteps))
        return { run, trajectory: yield* checkpointsOf(run), blocks: calls.get("train-steps") ?? 0 }
      })

      const short = yield* blocks(50)
      assert.strictEqual(short.blocks, 10)
      const before = yield* cursorFiles
      assert.lengthOf(before, 11)

      const long = yield* blocks(100)
      assert.strictEqual(long.blocks, 10, "only the second half is trained")
      assert.lengthOf(long.trajectory, 21)
      assert.deepStrictEqual(long.trajectory.slice(0, 11), short.trajectory)
      const after = yield* cursorFiles
      assert.deepStrictEqual(after.slice(0, 11), before, "no entry is written again")
      assert.lengthOf(after, 21)

      const shorter = yield* blocks(30)
      assert.strictEqual(shorter.blocks, 0)
      assert.deepStrictEqual(shorter.trajectory, long.trajectory.slice(0, 7))
      assert.strictEqual(shorter.run.run.checkpoints, 7)
      assert.deepStrictEqual(yield* cursorFiles, after)

      const again = yield* blocks(50)
      assert.deepStrictEqual(again.run.computed, [])
      assert.deepStrictEqual(again.trajectory, short.trajectory)
    }).pipe(Effect.provide(laboratory(calls))),
  )

  it.live("gives the bits of a run that went straight there", () =>
    Effect.gen(function* () {
      const steps = (at: ReadonlyArray<number>) =>
        Effect.gen(function* () {
          for (const maxSteps of at.slice(0, -1)) yield* runSingle(withSteps(maxSteps))
          return (yield* runSingle(withSteps(at[at.length - 1]))).run
        }).pipe(Effect.provide(laboratory()))
      assert.deepStrictEqual(yield* steps([10, 15, 60]), yield* steps([60]))
    }),
  )
})

describe("a training that is stopped by its rule", () => {
  it.live("ends there, also when a longer run without the rule went on before", () =>
    Effect.gen(function* () {
      const always = { accuracy: 0, count: 4, consecutive: false }
      const stopping: SingleConfig = { ...tiny, train: { ...tiny.train, stop: always } }
      const { run: full } = yield* runSingle(tiny)
      const { run: stopped } = yield* runSingle(stopping)
      assert.isNull(full.stopStep)
      assert.strictEqual(stopped.stopStep, 15)
      assert.strictEqual(stopped.firstThreshold, 0)
      assert.strictEqual(stopped.checkpoints, 4)
      const { run: fresh } = yield* Effect.provide(runSingle(stopping), laboratory())
      assert.deepStrictEqual(stopped, fresh)
    }).pipe(Effect.provide(laboratory())),
  )
})

describe("a damaged checkpoint", () => {
  /** Runs as the command does: what is damaged is in quarantine after the first look, and counts as missing. */
  const runDamaged = (config: SingleConfig) => Effect.retry(runSingle(config), { times: 3 })

  it.live("is computed again, to the same bits, by a run that needs it", () =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const first = yield* runSingle(tiny)
      const checkpoints = yield* checkpointsOf(first)
      yield* store.drop(checkpoints[4].theta)
      // Everything that was measured is stored; another window needs the checkpoints again.
      const second = yield* runDamaged({ ...tiny, svd: { ...tiny.svd, window: 3 } })
      assert.deepStrictEqual(second.run, first.run)
      assert.isTrue(yield* store.has(checkpoints[4].theta))
    }).pipe(Effect.provide(laboratory())),
  )

  const flip = (root: string, { digest, format }: ArtifactRef) => {
    const file = join(root, "objects", digest.slice(0, 2), `${digest}.${format}`)
    const bytes = readFileSync(file)
    const place = bytes.length >> 1
    writeFileSync(file, bytes.with(place, bytes[place] ^ 1))
  }

  const Newest = Schema.Struct({ theta: ArtifactRef, moments: ArtifactRef })

  it.live.each(["theta", "moments"] as const)(
    "whose newest %s has a flipped bit does not spoil a longer run",
    (what) =>
      Effect.gen(function* () {
        const { root, cursor } = yield* ArtifactStore
        yield* runSingle(tiny)
        const [key] = readdirSync(join(root, "cursors", "train"))
        const newest = yield* Schema.decodeUnknownEffect(Newest)((yield* cursor("train", key)).at(-1))
        flip(root, newest[what])
        const longer = yield* runDamaged(withSteps(60))
        assert.include(readdirSync(join(root, "quarantine")), quarantinedAs(newest[what]))
        const fresh = yield* Effect.provide(runSingle(withSteps(60)), laboratory())
        assert.deepStrictEqual(longer.run, fresh.run)
      }).pipe(Effect.provide(laboratory())),
  )

  it.live("is not the only thing that may be damaged: what each stage returns is computed again", () =>
    Effect.gen(function* () {
      const { root, records } = yield* ArtifactStore
      yield* runSingle(tiny)
      /** What another window reads again, by the stage that returns it. */
      const read = {
        "generate-data": ["pairs"],
        train: ["trajectory"],
        "capture-gradients": ["gradients"],
        "measure-null": ["energies"],
      }
      const changed = { ...tiny, svd: { ...tiny.svd, window: 3 } }
      const { computed: _, cached: __, ...expected } = yield* Effect.provide(runSingle(changed), laboratory())
      for (const [name, fields] of Object.entries(read)) {
        for (const field of fields) {
          const all = yield* records
          const output = all.find(({ stage }) => stage === name)?.output
          const refs = yield* Schema.decodeUnknownEffect(Schema.Record(Schema.String, Schema.Unknown))(output)
          const ref = yield* Schema.decodeUnknownEffect(ArtifactRef)(refs[field])
          for (const { stage, key } of all) {
            if (/svd|coupling/.test(stage)) rmSync(join(root, "records", stage, `${key}.json`))
          }
          flip(root, ref)
          const { computed, cached, ...actual } = yield* runDamaged(changed)
          assert.deepStrictEqual(actual, expected, name)
          assert.include(computed, name)
          assert.include(readdirSync(join(root, "quarantine")), quarantinedAs(ref))
          assert.isAbove(cached.length, 0)
        }
      }
    }).pipe(Effect.provide(laboratory())),
  )
})
