/**
 * Stage `read-features`: what the centroids look like without any singular vector of gradients or updates
 * (experiment.md §5): how many principal components hold their variance, how far waves in a, b, a + b and the label explain
 * the scores of the first ones ("Fourier read-out"), and how far the two definitions of a centroid agree.
 */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import type { Layout } from "../model/layout.ts"
import { probeCentroids } from "../model/programs.ts"
import { bases, jointRegression, type ReadOut, readOut } from "../numerics/fourier.ts"
import { componentsFor, type PrincipalComponents, principalComponents } from "../numerics/pca.ts"
import { mean } from "../numerics/statistics.ts"
import { measurementPoints } from "../numerics/windows.ts"
import { ArtifactRef } from "../services/Artifact.ts"
import { putTable } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { stage } from "../services/Stage.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import { Count, Dataset, ProbeConfig, Seed, Stride, TrainedRun } from "./contracts.ts"
import { centroidOf } from "./energies.ts"
import { type Examples, take } from "./pairs.ts"
import { asProbes, drawProbes, problemOfProbes, tablePairs } from "./probes.ts"
import { openTrajectory } from "./trajectory.ts"

const Input = Schema.Struct({
  data: Dataset,
  run: TrainedRun,
  /** Of which `epsilon` does not count here. */
  probe: ProbeConfig,
  /** Measurement points of the spectrum and of the joint read-out, evenly spaced over the run. */
  points: Count(2000),
  /** Measurement points of the read-out by single frequencies, the first and the last checkpoint among them. */
  fourierPoints: Count(100),
  /** Measurement points are multiples of so many checkpoints. */
  every: Stride,
  seed: Seed,
}).check(Schema.makeFilter(problemOfProbes))

export const Features = Schema.Struct({
  /**
   * Parquet, a row per point: checkpoint, step, `components90` (principal components of the probes' centroids that hold
   * 90 % of their variance), and the shares of the variance of the first, `share1` … `share5`.
   */
  spectrum: ArtifactRef,
  /**
   * Parquet, a row per point, component and family of waves: checkpoint, step, pc, family, r2 of one regression on all
   * frequencies. Of the centroids of all pairs of the table. Null where the scores are constant.
   */
  joint: ArtifactRef,
  /** R² of the joint regression at the last point, the mean over the first three components, by family. */
  jointLast: Schema.Record(Schema.String, Schema.NullOr(Schema.Finite)),
  /** The probes' centroids by the correct logit and by the sum of logits, at the last checkpoint. */
  agreement: Schema.Struct({
    /** |cos| of their first principal components; null where there is no variance. */
    cosine: Schema.NullOr(Schema.Finite),
    /** Components that hold 90 % of the variance of each. */
    components90: Schema.Struct({ correctLogit: Schema.Int, logitSum: Schema.Int }),
  }),
  /**
   * Parquet, a row per point, component and family of waves: checkpoint, step, pc, family, bestFrequency, r2. Of the
   * centroids of all pairs of the table. Null where the scores are constant.
   */
  readOut: ArtifactRef,
  /** Parquet, at the last point, R² at every frequency: checkpoint, step, pc, family, frequency, r2. */
  harmonics: ArtifactRef,
})
export type Features = typeof Features.Type

/** Principal components that are listed and read out. */
const LISTED = 5
/** Principal components whose joint R² is averaged in the published headline. */
const AVERAGED = 3
const SHARE = 0.9

/** Examples per engine call: the longest that a person waits after Ctrl-C. The last call is filled up. */
const CHUNK = 1024

/** A function (θ, probes) -> their centroids [n·2d], compiled once. */
const openCentroids = Effect.fnUntraced(function* (layout: Layout, probe: ProbeConfig) {
  const engine = yield* TensorEngine
  const program = yield* engine.compile(probeCentroids(layout, CHUNK, centroidOf(probe)))
  const width = 2 * layout.shape.width
  return Effect.fnUntraced(function* (theta: Float32Array, probes: Examples) {
    const n = probes.a.length
    const all = new Float32Array(n * width)
    for (let start = 0; start < n; start += CHUNK) {
      const places = Int32Array.from({ length: CHUNK }, (_, i) => (start + i) % n)
      const { centroids } = yield* program.run({ theta, ...take(probes, places) })
      const count = Math.min(CHUNK, n - start)
      all.set(centroids.subarray(0, count * width), start * width)
    }
    return principalComponents(all, n, width)
  })
})

interface SpectrumPoint {
  readonly checkpoint: number
  readonly step: number
  readonly components90: number
  readonly shares: ReadonlyArray<number>
}

const spectrumTable = (points: ReadonlyArray<SpectrumPoint>) =>
  table({
    checkpoint: points.map(({ checkpoint }) => checkpoint),
    step: points.map(({ step }) => step),
    components90: points.map(({ components90 }) => components90),
    ...Object.fromEntries(
      Array.from({ length: LISTED }, (_, k) => [`share${k + 1}`, points.map(({ shares }) => shares[k])]),
    ),
  })

interface ReadOutPoint {
  readonly checkpoint: number
  readonly step: number
  readonly fits: ReadonlyArray<ReadOut>
}

/** A number, or null where there is none. */
const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value)

const readOutTable = (points: ReadonlyArray<ReadOutPoint>) => {
  const rows = points.flatMap(({ fits, ...point }) => fits.map((fit) => ({ ...point, ...fit })))
  return table({
    checkpoint: rows.map(({ checkpoint }) => checkpoint),
    step: rows.map(({ step }) => step),
    pc: rows.map(({ component }) => component + 1),
    family: rows.map(({ family }) => family),
    bestFrequency: rows.map(({ bestFrequency }) => orNull(bestFrequency)),
    r2: rows.map(({ bestR2 }) => orNull(bestR2)),
  })
}

interface JointPoint {
  readonly checkpoint: number
  readonly step: number
  readonly fits: ReadonlyArray<{ readonly component: number; readonly family: string; readonly r2: number }>
}

const jointTable = (points: ReadonlyArray<JointPoint>) => {
  const rows = points.flatMap(({ fits, ...point }) => fits.map((fit) => ({ ...point, ...fit })))
  return table({
    checkpoint: rows.map(({ checkpoint }) => checkpoint),
    step: rows.map(({ step }) => step),
    pc: rows.map(({ component }) => component + 1),
    family: rows.map(({ family }) => family),
    r2: rows.map(({ r2 }) => orNull(r2)),
  })
}

/** Mean over the first components of each family's R². */
const averages = ({ fits }: JointPoint): Features["jointLast"] =>
  Object.fromEntries(
    [...new Set(fits.map(({ family }) => family))].map((name) => [
      name,
      orNull(
        mean(
          fits.filter(({ family, component }) => family === name && component < AVERAGED).map(({ r2 }) => r2),
        ),
      ),
    ]),
  )

/** How far two kinds of centroids agree. */
const agreementOf = (correctLogit: PrincipalComponents, logitSum: PrincipalComponents) => {
  const [one, other] = [correctLogit.direction(0), logitSum.direction(0)]
  const cosine = one.reduce((sum, value, i) => sum + value * other[i], 0)
  const varies = correctLogit.variances[0] > 0 && logitSum.variances[0] > 0
  return {
    cosine: varies ? orNull(Math.abs(cosine)) : null,
    components90: {
      correctLogit: componentsFor(correctLogit.variances, SHARE),
      logitSum: componentsFor(logitSum.variances, SHARE),
    },
  }
}

const harmonicsTable = ({ checkpoint, step, fits }: ReadOutPoint) => {
  const rows = fits.flatMap(({ component, family, r2 }) =>
    Array.from(r2, (value, i) => ({ component, family, frequency: i + 1, value })),
  )
  return table({
    checkpoint: rows.map(() => checkpoint),
    step: rows.map(() => step),
    pc: rows.map(({ component }) => component + 1),
    family: rows.map(({ family }) => family),
    frequency: rows.map(({ frequency }) => frequency),
    r2: rows.map(({ value }) => orNull(value)),
  })
}

export const readFeatures = stage({
  name: "read-features",
  version: 2,
  module: import.meta.url,
  input: Input,
  output: Features,
  usesEngine: true,
  run: ({ data, run, probe, points, fourierPoints, every, seed }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress
        const { layout, steps, theta } = yield* openTrajectory(run)
        const componentsOf = yield* openCentroids(layout, probe)
        const probes = yield* drawProbes(data, probe, seed)
        const pairs = yield* tablePairs(data, probe.task)
        const everyPair = asProbes(pairs, data, probe.task)
        const families = bases(data.operations[probe.task], pairs.a, pairs.b, pairs.label, data.modulus)

        const last = steps.length - 1
        const atSpectrum = measurementPoints(last, every, points)
        const atReadOut = measurementPoints(last, every, fourierPoints)
        const atCheckpoints = [...new Set([...atSpectrum, ...atReadOut])].sort((a, b) => a - b)
        const regressions = families.map(jointRegression)

        const spectrum: Array<SpectrumPoint> = []
        const joint: Array<JointPoint> = []
        const measured: Array<ReadOutPoint> = []
        for (const [i, checkpoint] of atCheckpoints.entries()) {
          const at = { checkpoint, step: steps[checkpoint] }
          const parameters = yield* theta(checkpoint)
          if (atSpectrum.includes(checkpoint)) {
            const { variances } = yield* componentsOf(parameters, probes)
            const sum = variances.reduce((all, variance) => all + variance, 0)
            spectrum.push({
              ...at,
              components90: componentsFor(variances, SHARE),
              shares: Array.from(variances.subarray(0, LISTED), (variance) => variance / sum),
            })
          }
          const { scores } = yield* componentsOf(parameters, everyPair)
          const leading = Array.from({ length: LISTED }, (_, k) => scores(k))
          const fits = leading.flatMap((values, component) =>
            regressions.map(({ family, r2 }) => ({ component, family, r2: r2(values) })),
          )
          joint.push({ ...at, fits })
          if (atReadOut.includes(checkpoint)) measured.push({ ...at, fits: readOut(leading, families) })
          yield* progress.step({ done: i + 1, total: atCheckpoints.length, unit: "point" })
        }
        const final = yield* theta(last)
        const sumComponentsOf = yield* openCentroids(layout, { ...probe, centroid: "logit-sum" })
        const correctComponentsOf = yield* openCentroids(layout, { ...probe, centroid: "correct-logit" })

        const output: Features = {
          spectrum: yield* putTable(spectrumTable(spectrum)),
          joint: yield* putTable(jointTable(joint)),
          jointLast: averages(joint[joint.length - 1]),
          agreement: agreementOf(
            yield* correctComponentsOf(final, probes),
            yield* sumComponentsOf(final, probes),
          ),
          readOut: yield* putTable(readOutTable(measured)),
          harmonics: yield* putTable(harmonicsTable(measured[measured.length - 1])),
        }
        return output
      }),
    ),
})
