/** Reads the rows of every table from the outputs of the paper's nodes. What did not run leaves no rows. */
import { Effect, Schema } from "effect"
import { mean } from "../numerics/statistics.ts"
import type { Node, Resolve } from "../pipelines/Node.ts"
import { couplingsOf, type Paper, runsOf } from "../pipelines/paper.ts"
import { meansOfRank } from "../pipelines/quantities.ts"
import { finelySweptOf, sweptOf } from "../pipelines/sensitivity.ts"
import type { Single } from "../pipelines/single.ts"
import type { ArtifactRef } from "../services/Artifact.ts"
import { getTable } from "../services/artifacts.ts"
import { numbers } from "../services/formats/parquet.ts"
import type { Outcome } from "../stages/contracts.ts"
import type { Tables } from "./tables.ts"

type Row<Name extends keyof Tables> = Tables[Name][number]

/** The rows of a stored table, checked; columns that are not asked for are left out. */
const rowsOf = Effect.fnUntraced(function* <T, E>(ref: ArtifactRef, row: Schema.ConstraintCodec<T, E>) {
  return yield* Schema.decodeUnknownEffect(Schema.Array(row))((yield* getTable(ref)).objects())
})

const { Int, Finite, NullOr, String: Text } = Schema

const CurvePoint = Schema.Struct({ step: Int, trainAccuracy: Finite, testAccuracy: Finite })

const CouplingPoint = Schema.Struct({
  step: Int,
  rowCount: Int,
  meanR: NullOr(Finite),
  R1: NullOr(Finite),
  denominator: Finite,
  denominatorIqr: Finite,
})
const Ranked = Schema.Struct({ R2: NullOr(Finite), R3: NullOr(Finite) })
const AlignmentPoint = Schema.Struct({ step: Int, squaredCosine: NullOr(Finite) })
const StepFigures = Schema.Struct({ normRatio: NullOr(Finite) })
const JointPoint = Schema.Struct({ step: Int, pc: Int, family: Text, r2: NullOr(Finite) })

const sigmas = [
  "sigma1",
  "sigma2",
  "sigma3",
  "sigma4",
  "sigma5",
  "sigma6",
  "sigma7",
  "sigma8",
  "sigma9",
  "sigma10",
] as const
const Sigma = NullOr(Finite)
const SpectrumPoint = Schema.Struct({
  step: Int,
  energyShare1: NullOr(Finite),
  energyShare3: NullOr(Finite),
  sigma1: Sigma,
  sigma2: Sigma,
  sigma3: Sigma,
  sigma4: Sigma,
  sigma5: Sigma,
  sigma6: Sigma,
  sigma7: Sigma,
  sigma8: Sigma,
  sigma9: Sigma,
  sigma10: Sigma,
})

const CentroidPoint = Schema.Struct({ step: Int, components90: Int, share1: Finite })
const HarmonicPoint = Schema.Struct({ step: Int, pc: Int, family: Text, frequency: Int, r2: NullOr(Finite) })

const unmodified = { normRatio: null, cosine: null, energyShare: null, removedEnergy: null }

/** What `f` makes of a node's output; nothing where the node failed. An output that cannot be read is an error. */
const from = <A, B, E, R>(
  resolve: Resolve,
  node: Node<A>,
  f: (output: A) => Effect.Effect<ReadonlyArray<B>, E, R>,
) =>
  Effect.matchEffect(resolve(node), {
    onFailure: () => Effect.succeed<ReadonlyArray<B>>([]),
    onSuccess: f,
  })

const collect = <A, B, E, R>(
  items: ReadonlyArray<A>,
  f: (item: A) => Effect.Effect<ReadonlyArray<B>, E, R>,
) => Effect.map(Effect.forEach(items, f), (parts) => parts.flat())

const outcomeRow = ({ firstHalf, firstThreshold, stopStep }: Outcome) => ({
  firstHalf,
  firstThreshold,
  stopStep,
})

const sizesOf = ({ window, rank }: { readonly window: number; readonly rank: number }) => ({
  windowRows: window,
  directions: Math.min(window, rank),
})

const lastStep = Effect.fnUntraced(function* (curve: ArtifactRef) {
  return (yield* rowsOf(curve, CurvePoint)).at(-1)?.step ?? 0
})

const phasesOf = <A>(points: ReadonlyArray<A>) =>
  (
    [
      ["initial", points[0]],
      ["middle", points[Math.floor(points.length / 2)]],
      ["last", points[points.length - 1]],
    ] as const
  ).flatMap(([phase, point]) => (point === undefined ? [] : [{ phase, point }]))

export const gather = Effect.fn("gather")(function* (paper: Paper, resolve: Resolve) {
  const { singles, sensitivities, fine, multitasks } = paper
  const named = (single: Single) => ({ operation: single.config.data.operation, seed: single.seed })

  const experiments = runsOf(paper)
  const trainings = experiments.map(({ experiment, run }) => ({ experiment, ...named(run), run: run.run }))
  const runs = yield* collect(
    [
      ...trainings,
      ...multitasks.map(({ seed, run }) => ({ experiment: "multitask", operation: "all", seed, run })),
    ],
    ({ experiment, operation, seed, run }) =>
      from(resolve, run, (trained) =>
        Effect.map(lastStep(trained.curve), (steps): ReadonlyArray<Row<"runs">> => {
          const { finalTrainAccuracy, finalTestAccuracy } = trained
          return [
            {
              experiment,
              operation,
              seed,
              steps,
              ...outcomeRow(trained),
              finalTrainAccuracy,
              finalTestAccuracy,
            },
          ]
        }),
      ),
  )

  const accuracy = yield* collect(singles, (single) =>
    from(resolve, single.run, ({ curve }) =>
      Effect.map(rowsOf(curve, CurvePoint), (points) =>
        points.map((point) => ({ ...named(single), ...point })),
      ),
    ),
  )

  const coupling = yield* collect(couplingsOf(paper), ({ run, coupling, ...of }) =>
    from(resolve, coupling, ({ series }) =>
      Effect.map(rowsOf(series, Schema.Struct({ ...CouplingPoint.fields, ...Ranked.fields })), (points) =>
        points.map((point) => ({ ...of, ...named(run), ...sizesOf(run.config.svd), ...point })),
      ),
    ),
  )

  const { svd } = paper.config.single
  const usual = sizesOf(svd)
  const ofWindow = (window: number) => sizesOf({ ...svd, window })
  const swept = [...sensitivities.flatMap(sweptOf), ...finelySweptOf(fine)]
  const sweeps = yield* collect(swept, ({ node, window, ...of }) =>
    from(resolve, node, ({ series }) =>
      Effect.map(rowsOf(series, CouplingPoint), (points) =>
        points.map(({ step, meanR, R1 }) => ({ ...of, ...ofWindow(window), step, meanR, R1 })),
      ),
    ),
  )
  const byRank = yield* collect(sensitivities, ({ seed, ranked }) =>
    from(resolve, ranked.gradient, ({ series }) =>
      Effect.map(getTable(series), (table) =>
        paper.config.sensitivity.ranks.flatMap((k) => {
          const steps = numbers(table, "step")
          return meansOfRank(table, k).map((meanR, i) => ({
            setting: "rank",
            value: String(k),
            rows: "gradient",
            seed,
            windowRows: svd.window,
            directions: k,
            step: steps[i],
            meanR: Number.isFinite(meanR) ? meanR : null,
            R1: null,
          }))
        }),
      ),
    ),
  )

  const alignment = yield* collect(
    sensitivities.flatMap(({ seed, alignments }) => alignments.map((one) => ({ seed, ...one }))),
    ({ seed, between, comparison }) =>
      from(resolve, comparison, ({ series }) =>
        Effect.map(rowsOf(series, AlignmentPoint), (points) =>
          points.map(({ step, squaredCosine }) => ({
            between,
            seed,
            step,
            directionalVariance: squaredCosine === null ? null : 1 - squaredCosine,
          })),
        ),
      ),
  )

  const multitask = yield* collect(
    multitasks.flatMap(({ seed, couplings }) => couplings.map((one) => ({ seed, ...one }))),
    ({ seed, operation, estimator, stride, range, coupling }) =>
      from(resolve, coupling, ({ series }) =>
        Effect.map(rowsOf(series, CouplingPoint), (points) =>
          points.map(({ step, meanR }) => ({
            operation,
            seed,
            estimator,
            stride,
            range,
            ...usual,
            step,
            meanR,
          })),
        ),
      ),
  )

  const controls = paper.interventions.map(({ operation, seed, control }) => ({
    operation,
    seed,
    run: control.run,
  }))
  const arms = paper.interventions.flatMap(({ operation, seed, arms }) =>
    arms.map(({ id, version, run }) => ({ operation, seed, arm: id, version, run })),
  )
  const controlRows = yield* collect(controls, ({ operation, seed, run }) =>
    from(resolve, run, (trained) =>
      Effect.map(
        lastStep(trained.curve),
        (steps): ReadonlyArray<Row<"interventions">> => [
          { operation, seed, arm: "control", version: null, steps, ...outcomeRow(trained), ...unmodified },
        ],
      ),
    ),
  )
  const armRows = yield* collect(arms, ({ run, ...arm }) =>
    from(resolve, run, (intervened) =>
      Effect.gen(function* () {
        const steps = yield* lastStep(intervened.curve)
        const { normRatio, cosine, energyShare } = intervened
        const ratios = (yield* rowsOf(intervened.steps, StepFigures)).flatMap(({ normRatio }) =>
          normRatio === null ? [] : [normRatio],
        )
        const removedEnergy = ratios.length === 0 ? null : mean(ratios.map((ratio) => 1 - ratio ** 2))
        const row: Row<"interventions"> = {
          ...arm,
          steps,
          ...outcomeRow(intervened),
          normRatio,
          cosine,
          energyShare,
          removedEnergy,
        }
        return [row]
      }),
    ),
  )
  const curvesOf = <A extends Pick<Row<"intervention-curves">, "operation" | "seed" | "arm" | "version">>(
    run: Node<{ readonly curve: ArtifactRef }>,
    arm: A,
  ) =>
    from(resolve, run, ({ curve }) =>
      Effect.map(rowsOf(curve, CurvePoint), (points) => points.map((point) => ({ ...arm, ...point }))),
    )
  const controlCurves = yield* collect(controls, ({ run, ...of }) =>
    curvesOf(run, { ...of, arm: "control", version: null }),
  )
  const armCurves = yield* collect(arms, ({ run, ...arm }) => curvesOf(run, arm))

  const published = singles.flatMap((single) =>
    single.couplings
      .filter(({ placement }) => placement === "published")
      .map(({ kind, sed }) => ({ single, kind, sed })),
  )
  const spectra = yield* collect(
    published.filter(({ kind }) => kind === "update" || kind === "gradient"),
    ({ single, kind, sed }) =>
      from(resolve, sed, ({ spectrum }) =>
        Effect.map(rowsOf(spectrum, SpectrumPoint), (points) =>
          phasesOf(points).flatMap(({ phase, point }) =>
            sigmas.flatMap((name, k) => {
              const sigma = point[name]
              return sigma === null
                ? []
                : [
                    {
                      ...named(single),
                      rows: kind,
                      windowRows: single.config.svd.window,
                      phase,
                      step: point.step,
                      index: k + 1,
                      sigma,
                    },
                  ]
            }),
          ),
        ),
      ),
  )
  const energy = yield* collect(published, ({ single, kind, sed }) =>
    from(resolve, sed, ({ spectrum }) =>
      Effect.map(rowsOf(spectrum, SpectrumPoint), (points) =>
        points.map(({ step, energyShare1, energyShare3 }) => ({
          experiment: "single",
          ...named(single),
          rows: kind,
          step,
          share1: energyShare1,
          share3: energyShare3,
        })),
      ),
    ),
  )

  const perExample = yield* collect(sensitivities, ({ config, seed, perExample }) =>
    from(resolve, perExample, ({ phases }) =>
      Effect.succeed(
        phases.map(({ phase, step, meanR, ratios, cosineToMean }) => ({
          operation: config.data.operation,
          seed,
          phase,
          step,
          directions: paper.config.sensitivity.perExample.rank,
          meanR,
          R1: ratios[0] ?? null,
          cosineToMean,
        })),
      ),
    ),
  )

  const centroidSpectrum = yield* collect(paper.features, ({ of, features }) =>
    from(resolve, features, ({ spectrum }) =>
      Effect.map(rowsOf(spectrum, CentroidPoint), (points) =>
        points.map((point) => ({ ...named(of), ...point })),
      ),
    ),
  )
  const jointFourier = yield* collect(paper.features, ({ of, features }) =>
    from(resolve, features, ({ joint }) =>
      Effect.map(rowsOf(joint, JointPoint), (points) => points.map((point) => ({ ...named(of), ...point }))),
    ),
  )
  const centroids = yield* collect(paper.features, ({ of, features }) =>
    from(resolve, features, ({ agreement: { cosine, components90 } }) =>
      Effect.succeed([{ ...named(of), cosine, ...components90 }]),
    ),
  )
  const harmonics = yield* collect(paper.features, ({ of, features }) =>
    from(resolve, features, (read) =>
      Effect.map(rowsOf(read.harmonics, HarmonicPoint), (points) =>
        points.map((point) => ({ ...named(of), ...point })),
      ),
    ),
  )

  const tables: Tables = {
    runs,
    accuracy,
    coupling,
    sweeps: [...sweeps, ...byRank],
    multitask,
    alignment,
    energy,
    interventions: [...controlRows, ...armRows],
    "intervention-curves": [...controlCurves, ...armCurves],
    spectra,
    "per-example": perExample,
    "centroid-spectrum": centroidSpectrum,
    "joint-fourier": jointFourier,
    centroids,
    harmonics,
  }
  return tables
})
