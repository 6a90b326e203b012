import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Matrix, SVD } from "ml-matrix"
import { makeLayout } from "../../src/model/layout.ts"
import { blockGradient, blockLogitGradient, probeCentroids } from "../../src/model/programs.ts"
import { norm } from "../../src/numerics/gram.ts"
import { integers, permutation, stream } from "../../src/numerics/random.ts"
import type { SingleConfig } from "../../src/pipelines/single.ts"
import { ArtifactRef } from "../../src/services/Artifact.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { float32, getJson, getTable, getTensors } from "../../src/services/artifacts.ts"
import { numbers } from "../../src/services/formats/parquet.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { Trajectory } from "../../src/stages/contracts.ts"
import { randomDirection } from "../../src/stages/directions.ts"
import { draw, loadPairs, take } from "../../src/stages/pairs.ts"
import { assertSameBits } from "../model/close.ts"
import { laboratory, runSingle, tiny } from "../pipelines/tiny.ts"

const layout = makeLayout({ modulus: tiny.data.modulus, tasks: 1, ...tiny.model })
const size = layout.attentionSize

/** The seed of what a run is measured with, whatever its own: gradient batch, null objectives, probes, directions. */
const DRAWS = 0

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

type GradientKind = keyof Run["gradients"]

const gradientsOf = Effect.fn("gradientsOf")(function* (run: Run, kind: GradientKind) {
  const all = yield* float32(yield* getTensors(run.gradients[kind].gradients), "gradients")
  return Array.from({ length: run.run.checkpoints }, (_, i) => all.slice(i * size, (i + 1) * size))
})

/** A(v) as experiment.md §5 defines it, from centroids at θ ± εv, in float64. */
const openEnergy = Effect.fn("openEnergy")(function* ({ data }: Run, { probe }: SingleConfig) {
  const engine = yield* TensorEngine
  const program = yield* engine.compile(probeCentroids(layout, probe.probes))
  const { all } = yield* loadPairs(data)
  const probes = draw(all, stream(DRAWS, "probe"), probe.probes)
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

/** The rows of the windows at some of checkpoints 0 … 10, W = 4, written out: updates are rows 0 … 9. */
const windows = {
  published: {
    update: { 0: [0, 1, 2, 3], 5: [5, 6, 7, 8], 10: [6, 7, 8, 9] },
    gradient: { 0: [0, 1, 2, 3], 5: [5, 6, 7, 8], 10: [7, 8, 9, 10] },
  },
  // At checkpoint 0 nothing is known yet.
  backward: {
    update: { 5: [1, 2, 3, 4], 10: [6, 7, 8, 9] },
    gradient: { 5: [2, 3, 4, 5], 10: [7, 8, 9, 10] },
  },
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

  it.effect("captures the gradients at every checkpoint on one fixed batch from all pairs", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const run = yield* runSingle(tiny)
        const thetas = yield* thetasOf(run)
        const { all } = yield* loadPairs(run.data)
        const n = tiny.capture.batchSize
        const batch = draw(all, stream(DRAWS, "capture"), n)
        const engine = yield* TensorEngine
        const loss = yield* engine.compile(blockGradient(layout, n))
        const meanLogit = yield* engine.compile(blockLogitGradient(layout, n))
        const { modulus } = tiny.data
        const logits = Int32Array.from(integers(stream(DRAWS, "random-logits"), n, modulus))
        const order = permutation(stream(DRAWS, "permuted-labels"), n)
        const gradientOf = {
          gradient: (theta: Float32Array) => loss.run({ theta, ...batch }),
          "random-logits": (theta: Float32Array) => meanLogit.run({ theta, ...batch, label: logits }),
          "permuted-labels": (theta: Float32Array) =>
            loss.run({ theta, ...batch, label: take(batch, order).label }),
        }
        for (const kind of ["gradient", "random-logits", "permuted-labels"] as const) {
          const gradients = yield* gradientsOf(run, kind)
          assert.lengthOf(gradients, thetas.length)
          for (const [i, theta] of thetas.entries()) {
            const { gradient } = yield* gradientOf[kind](theta)
            assertSameBits(gradients[i], gradient, `${kind} at checkpoint ${i}`)
          }
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
              randomDirection(DRAWS, checkpoint * tiny.train.evaluateEvery, index, size),
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
        const energy = yield* openEnergy(run, tiny)
        const updates = thetas.slice(1).map((to, i) => to.map((value, slot) => value - thetas[i][slot]))
        const rows = {
          update: updates.map((update) => update.subarray(0, size)),
          gradient: yield* gradientsOf(run, "gradient"),
          "random-logits": yield* gradientsOf(run, "random-logits"),
          "permuted-labels": yield* gradientsOf(run, "permuted-labels"),
        }
        assert.lengthOf(run.couplings, 8)
        for (const { kind, placement, series, first, denominatorSpread: _, ...summary } of run.couplings) {
          const table = yield* getTable(series)
          const label = `${kind} ${placement}`
          const expected = Object.entries(windows[placement][kind === "update" ? "update" : "gradient"]).map(
            ([checkpoint, window]) => ({ checkpoint: Number(checkpoint), window }),
          )
          const column = (name: string) => Array.from(numbers(table, name))
          const steps = expected.map(({ checkpoint }) => 5 * checkpoint)
          assert.deepStrictEqual(
            column("checkpoint"),
            expected.map(({ checkpoint }) => checkpoint),
            label,
          )
          assert.deepStrictEqual(column("step"), steps, label)
          assert.deepStrictEqual(
            column("rowCount"),
            expected.map(() => 4),
            label,
          )
          for (const [point, { checkpoint, window }] of expected.entries()) {
            const denominator = column("denominator")[point]
            // SVD of the transpose: its left singular vectors are the directions.
            const { leftSingularVectors } = new SVD(
              new Matrix(window.map((i) => Array.from(rows[kind][i]))).transpose(),
            )
            const ratios = yield* Effect.forEach([0, 1], (k) =>
              Effect.map(
                energy(thetas[checkpoint], leftSingularVectors.getColumn(k)),
                (value) => value / denominator,
              ),
            )
            for (const [k, ratio] of ratios.entries()) {
              relative(column(`R${k + 1}`)[point], ratio, TOLERANCE, `R${k + 1} of ${label} at ${checkpoint}`)
            }
            relative(column("meanR")[point], mean(ratios), TOLERANCE, `mean R of ${label} at ${checkpoint}`)
          }

          for (const [actual, values] of [
            [summary, column("meanR")],
            [first, column("R1")],
          ] as const) {
            // Tiny runs do not grok, so all of a run is before it.
            const { mean: actualMean, meanBefore, meanAfter, ...others } = actual
            assert.strictEqual(meanBefore, actualMean)
            assert.isNull(meanAfter)
            assert.closeTo(actualMean ?? Number.NaN, mean(values), 1e-9, label)
            const peak = Math.max(...values)
            assert.deepStrictEqual(
              others,
              {
                points: values.length,
                peak,
                peakStep: steps[values.indexOf(peak)],
                final: values.at(-1) ?? null,
                shareAboveOne: values.filter((value) => value > 1).length / values.length,
              },
              label,
            )
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
      assert.deepStrictEqual(yield* steps([20, 30, 60]), yield* steps([60]))
    }),
  )
})

describe("a training that is stopped by its rule", () => {
  it.live("ends there, also when a longer run without the rule went on before", () =>
    Effect.gen(function* () {
      const always = { accuracy: 0, count: 6, consecutive: false, every: 1, latched: false }
      const stopping: SingleConfig = { ...tiny, train: { ...tiny.train, stop: always } }
      const { run: full } = yield* runSingle(tiny)
      const { run: stopped } = yield* runSingle(stopping)
      assert.isNull(full.stopStep)
      assert.strictEqual(stopped.stopStep, 25)
      assert.strictEqual(stopped.firstThreshold, 0)
      assert.strictEqual(stopped.checkpoints, 6)
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
          assert.isTrue(
            computed.some((label) => label.startsWith(name)),
            name,
          )
          assert.include(readdirSync(join(root, "quarantine")), quarantinedAs(ref))
          assert.isAbove(cached.length, 0)
        }
      }
    }).pipe(Effect.provide(laboratory())),
  )
})
