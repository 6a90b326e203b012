/**
 * Stage `measure-per-example`: the coupling of the leading directions of single examples' gradients at one checkpoint
 * (experiment.md §5, "Per-example alternative"), before, in the middle of and after training.
 *
 * The gradients of the pairs of the gradient batch with respect to a block, θ_attn in the paper, are centred; their top
 * right singular vectors are measured as those of a rolling SVD are, against random directions at the same checkpoint.
 */
import { table } from "arquero"
import { Effect, Option, Schema } from "effect"
import { problemOfBlock, rangesOf, sizeOfRanges } from "../model/blocks.ts"
import { exampleGradients } from "../model/programs.ts"
import { centredGram, dot, norm } from "../numerics/gram.ts"
import { interquartileRange, mean, median } from "../numerics/statistics.ts"
import { rightSingularVectors, thinSvdFromGram } from "../numerics/svd.ts"
import { ArtifactRef } from "../services/Artifact.ts"
import { putTable } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { stage } from "../services/Stage.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import { Block, Count, Dataset, ProbeConfig, Seed, TrainedRun } from "./contracts.ts"
import { MOST_DRAWS, randomDirection } from "./directions.ts"
import { openEnergies } from "./energies.ts"
import { type Examples, fixedBatch, loadPairs, take } from "./pairs.ts"
import { problemOfProbes } from "./probes.ts"
import { openTrajectory } from "./trajectory.ts"

const Input = Schema.Struct({
  data: Dataset,
  run: TrainedRun,
  /** The gradients are those of the probes' task. */
  probe: ProbeConfig,
  /** What the gradients are with respect to, and the random directions are drawn in. */
  block: Block,
  /** Pairs of the gradient batch: drawn from the table with replacement, the same at every phase. */
  examples: Count(4096),
  /** K: leading directions that are measured. */
  rank: Count(1000),
  /** Random directions at each phase. */
  draws: Count(MOST_DRAWS),
  seed: Seed,
})
  .check(Schema.makeFilter(problemOfProbes))
  .check(Schema.makeFilter(({ block, run: { model } }) => problemOfBlock(block, model) ?? true))
  .check(
    Schema.makeFilter(({ rank, examples }) =>
      rank < examples
        ? true
        : { path: ["rank"], issue: `Expected fewer than ${examples} examples, got ${rank}` },
    ),
  )

const phases = ["initial", "middle", "last"] as const

const Phase = Schema.Struct({
  phase: Schema.Literals(phases),
  checkpoint: Schema.Int,
  step: Schema.Int,
  /** R_1 … R_K: energy of a direction over the median of the random ones. */
  ratios: Schema.Array(Schema.Finite),
  /** R̄, their mean; null where the gradients span fewer than K directions. */
  meanR: Schema.NullOr(Schema.Finite),
  /** Median and interquartile range of the random directions' energies. */
  denominator: Schema.Finite,
  denominatorIqr: Schema.Finite,
  /** |cos| of the first direction and the mean of the gradients; null where either is zero. */
  cosineToMean: Schema.NullOr(Schema.Finite),
})

export const PerExample = Schema.Struct({
  phases: Schema.Array(Phase),
  /** Parquet, a row per phase and singular value: phase, checkpoint, step, index, sigma, energyShare. */
  spectra: ArtifactRef,
})
export type PerExample = typeof PerExample.Type

/** An entry of the cursor: one phase with all of its singular values. */
const Measured = Schema.Struct({ ...Phase.fields, singularValues: Schema.Array(Schema.Finite) })
type Measured = typeof Measured.Type

/** Examples per engine call: the longest that a person waits after Ctrl-C. */
const CHUNK = 64

/** A function θ -> the gradient of each example, [block] each. */
const openGradients = Effect.fnUntraced(function* (
  program: ReturnType<typeof exampleGradients>,
  examples: Examples,
) {
  const engine = yield* TensorEngine
  const { run } = yield* engine.compileScan(program)
  return Effect.fnUntraced(function* (theta: Float32Array) {
    const gradients: Array<Float32Array> = []
    for (let i = 0; i < examples.a.length; i += CHUNK) {
      const places = Int32Array.from({ length: Math.min(CHUNK, examples.a.length - i) }, (_, j) => i + j)
      const { ys } = yield* run({ carry: {}, xs: take(examples, places), constants: { theta } })
      const size = ys.gradient.length / places.length
      for (const j of places.keys()) gradients.push(ys.gradient.subarray(j * size, (j + 1) * size))
    }
    return gradients
  })
})

/** Gram matrix [n·n] of rows, one row after another so that it can be interrupted. */
const gramOf = Effect.fnUntraced(function* (rows: ReadonlyArray<Float32Array>) {
  const n = rows.length
  const gram = new Float64Array(n * n)
  for (const [i, row] of rows.entries()) {
    for (let j = i; j < n; j++) {
      gram[i * n + j] = dot(row, rows[j])
      gram[j * n + i] = gram[i * n + j]
    }
    yield* Effect.yieldNow
  }
  return gram
})

/** |cos| of the first direction and the mean gradient. */
const cosineToMean = (
  gradients: ReadonlyArray<Float32Array>,
  [first]: ReadonlyArray<Float32Array>,
): number | null => {
  if (first === undefined) return null
  const average = new Float32Array(first.length)
  for (const gradient of gradients) {
    for (let i = 0; i < average.length; i++) average[i] += gradient[i] / gradients.length
  }
  const length = norm(average)
  return length === 0 ? null : Math.abs(dot(average, first)) / length
}

const spectrumTable = (measured: ReadonlyArray<Measured>) => {
  const rows = measured.flatMap(({ phase, checkpoint, step, singularValues }) => {
    const total = singularValues.reduce((sum, sigma) => sum + sigma ** 2, 0)
    return singularValues.map((sigma, k) => {
      return { phase, checkpoint, step, index: k + 1, sigma, energyShare: sigma ** 2 / total }
    })
  })
  return table({
    phase: rows.map(({ phase }) => phase),
    checkpoint: rows.map(({ checkpoint }) => checkpoint),
    step: rows.map(({ step }) => step),
    index: rows.map(({ index }) => index),
    sigma: rows.map(({ sigma }) => sigma),
    energyShare: rows.map(({ energyShare }) => energyShare),
  })
}

export const measurePerExample = stage({
  name: "measure-per-example",
  version: 2,
  module: import.meta.url,
  input: Input,
  output: PerExample,
  usesEngine: true,
  run: ({ data, run, probe, block, examples: count, rank, draws, seed }, cursor) =>
    Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress
        const trajectory = yield* openTrajectory(run)
        const { layout, steps, theta } = trajectory
        const { all } = yield* loadPairs(data)
        const examples = fixedBatch(all, count, null, seed)
        const gradientsAt = yield* openGradients(exampleGradients(layout, probe.task, block), examples)
        const energiesAt = yield* openEnergies(data, trajectory, { probe, block, seed })
        const size = sizeOfRanges(rangesOf(layout, block))
        const last = steps.length - 1
        const checkpoints = { initial: 0, middle: Math.floor(steps.length / 2), last }

        const measure = Effect.fnUntraced(function* (phase: (typeof phases)[number]) {
          const checkpoint = checkpoints[phase]
          const step = steps[checkpoint]
          const gradients = yield* gradientsAt(yield* theta(checkpoint))
          const svd = thinSvdFromGram(centredGram(yield* gramOf(gradients), count), count)
          // Left singular vectors of centred rows sum to zero, so the mean row drops out of the directions.
          const directions = rightSingularVectors(gradients, svd, rank)
          const random = Array.from({ length: draws }, (_, index) => randomDirection(seed, step, index, size))
          const denominators = yield* energiesAt(checkpoint, random)
          const denominator = median(denominators)
          const ratios = (yield* energiesAt(checkpoint, directions)).map((energy) => energy / denominator)
          const measured: Measured = {
            phase,
            checkpoint,
            step,
            ratios,
            meanR: ratios.length < rank ? null : mean(ratios),
            denominator,
            denominatorIqr: interquartileRange(denominators),
            cosineToMean: cosineToMean(gradients, directions),
            singularValues: Array.from(svd.singularValues),
          }
          return measured
        })

        const measured: Array<Measured> = []
        for (const [i, phase] of phases.entries()) {
          const stored = Schema.decodeUnknownOption(Measured)(cursor.entries[i])
          if (Option.isSome(stored) && stored.value.phase === phase) {
            measured.push(stored.value)
          } else {
            const now = yield* measure(phase)
            yield* cursor.advance(i, now)
            measured.push(now)
          }
          yield* progress.step({ done: i + 1, total: phases.length, unit: "phase" })
        }
        return {
          phases: measured.map(({ singularValues: _, ...phase }) => phase),
          spectra: yield* putTable(spectrumTable(measured)),
        }
      }),
    ),
})
