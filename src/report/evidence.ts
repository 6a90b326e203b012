/** Reads the rows of every table from the outputs of the paper's nodes. What did not run leaves no rows. */
import { Effect, Schema } from "effect"
import type { Node, Resolve } from "../pipelines/Node.ts"
import type { Paper } from "../pipelines/paper.ts"
import { peakOfMeans } from "../pipelines/quantities.ts"
import type { Single } from "../pipelines/single.ts"
import type { ArtifactRef } from "../services/Artifact.ts"
import { getTable } from "../services/artifacts.ts"
import type { Outcome } from "../stages/contracts.ts"
import type { Coupling } from "../stages/measureCoupling.ts"
import type { Tables } from "./tables.ts"

type Row<Name extends keyof Tables> = Tables[Name][number]

/** The rows of a stored table, checked; columns that are not asked for are left out. */
const rowsOf = Effect.fnUntraced(function* <T, E>(ref: ArtifactRef, row: Schema.ConstraintCodec<T, E>) {
  return yield* Schema.decodeUnknownEffect(Schema.Array(row))((yield* getTable(ref)).objects())
})

const { Boolean: Flag, Int, Finite, NullOr, String: Text } = Schema

const CurvePoint = Schema.Struct({ step: Int, trainAccuracy: Finite, testAccuracy: Finite })

const CouplingPoint = Schema.Struct({
  step: Int,
  fullWindow: Flag,
  meanR: NullOr(Finite),
  R1: NullOr(Finite),
  denominator: Finite,
  denominatorIqr: Finite,
})
const Ranked = Schema.Struct({ R2: NullOr(Finite), R3: NullOr(Finite) })

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
  fullWindow: Flag,
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

const unmodified = { normRatio: null, cosine: null, energyShare: null }

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

const peaksOf = ({ all, fullWindows, first }: Coupling) => ({
  peakMeanR: all.peak,
  peakMeanRFullWindows: fullWindows.peak,
  peakR1: first.all.peak,
  peakR1FullWindows: first.fullWindows.peak,
})

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
  const { singles, nonGrokking, robustness, shuffled, sensitivities, fine, multitasks } = paper
  const named = (single: Single) => ({ operation: single.config.data.operation, seed: single.seed })

  const trainings = [
    ...singles.map((single) => ({ experiment: "single", single })),
    ...nonGrokking.map((single) => ({ experiment: "non-grokking", single })),
    ...robustness.map(({ variant, run }) => ({ experiment: variant.id, single: run })),
    { experiment: "shuffled-labels", single: shuffled },
  ].map(({ experiment, single }) => ({ experiment, ...named(single), run: single.run }))
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

  const coupling = yield* collect(
    singles.flatMap((single) => single.couplings.map((one) => ({ single, ...one }))),
    ({ single, kind, direction, coupling }) =>
      from(resolve, coupling, ({ series }) =>
        Effect.map(rowsOf(series, Schema.Struct({ ...CouplingPoint.fields, ...Ranked.fields })), (points) =>
          points.map((point) => ({
            ...named(single),
            rows: kind,
            window: direction,
            ...sizesOf(single.config.svd),
            ...point,
          })),
        ),
      ),
  )

  const kinds = ["update", "gradient"] as const
  const { svd } = paper.config.single
  const usual = sizesOf(svd)
  const ofWindow = (window: number) => sizesOf({ ...svd, window })
  const swept = sensitivities.flatMap(({ seed, windows, epsilons, logitSum, batches, noise }) =>
    [
      ...windows.flatMap((at) =>
        kinds.map((rows) => ({
          setting: "window",
          value: String(at.window),
          rows,
          ...ofWindow(at.window),
          node: at[rows],
        })),
      ),
      ...epsilons.flatMap((at) =>
        kinds.map((rows) => ({
          setting: "epsilon",
          value: String(at.epsilon),
          rows,
          ...usual,
          node: at[rows],
        })),
      ),
      ...kinds.map((rows) => ({
        setting: "centroid",
        value: "logit-sum",
        rows,
        ...usual,
        node: logitSum[rows],
      })),
      ...batches.map((at) => ({
        setting: "batch",
        value: at.batch,
        rows: "gradient",
        ...usual,
        node: at.coupling,
      })),
      ...noise.map((at) => ({
        setting: at.of === "training batch" ? "noise" : "mixed-noise",
        value: String(at.multiple),
        rows: "gradient",
        ...usual,
        node: at.coupling,
      })),
    ].map((one) => ({ ...one, seed })),
  )
  const finely = fine.windows.flatMap((at) =>
    kinds.map((rows) => ({
      setting: "fine-window",
      value: String(at.window),
      rows,
      ...ofWindow(at.window),
      node: at[rows],
      seed: fine.seed,
    })),
  )
  const sweeps = yield* collect([...swept, ...finely], ({ node, ...of }) =>
    from(resolve, node, (measured) => Effect.succeed([{ ...of, ...peaksOf(measured) }])),
  )
  const byRank = yield* collect(
    sensitivities.flatMap(({ seed, ranked }) => [{ seed, node: ranked.gradient }]),
    ({ seed, node }) =>
      from(resolve, node, ({ series }) =>
        Effect.map(getTable(series), (table) =>
          paper.config.sensitivity.ranks.map((k) => ({
            setting: "rank",
            value: String(k),
            rows: "gradient",
            seed,
            windowRows: svd.window,
            directions: k,
            peakMeanR: peakOfMeans(table, k),
            peakMeanRFullWindows: peakOfMeans(table, k, "fullWindows"),
            peakR1: null,
            peakR1FullWindows: null,
          })),
        ),
      ),
  )

  const multitask = yield* collect(
    multitasks.flatMap(({ seed, couplings }) => couplings.map((one) => ({ seed, ...one }))),
    ({ seed, operation, estimator, stride, range, coupling }) =>
      from(resolve, coupling, ({ series }) =>
        Effect.map(rowsOf(series, CouplingPoint), (points) =>
          points.map(({ step, fullWindow, meanR }) => ({
            operation,
            seed,
            estimator,
            stride,
            probes: range,
            ...usual,
            step,
            fullWindow,
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
      Effect.map(lastStep(intervened.curve), (steps): ReadonlyArray<Row<"interventions">> => {
        const { normRatio, cosine, energyShare } = intervened
        return [{ ...arm, steps, ...outcomeRow(intervened), normRatio, cosine, energyShare }]
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

  const spectra = yield* collect(
    singles.flatMap((single) =>
      single.couplings
        .filter(({ direction }) => direction === "forward")
        .map(({ kind, sed }) => ({ single, kind, sed })),
    ),
    ({ single, kind, sed }) =>
      from(resolve, sed, ({ spectrum }) =>
        Effect.map(rowsOf(spectrum, SpectrumPoint), (points) =>
          phasesOf(points.filter(({ fullWindow }) => fullWindow)).flatMap(({ phase, point }) =>
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

  const perExample = yield* collect(sensitivities, ({ config, seed, perExample }) =>
    from(resolve, perExample, ({ phases }) =>
      Effect.succeed(
        phases.map(({ phase, step, meanR, ratios }) => ({
          operation: config.data.operation,
          seed,
          phase,
          step,
          directions: paper.config.sensitivity.perExample.rank,
          meanR,
          R1: ratios[0] ?? null,
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
    interventions: [...controlRows, ...armRows],
    "intervention-curves": [...controlCurves, ...armCurves],
    spectra,
    "per-example": perExample,
    "centroid-spectrum": centroidSpectrum,
    harmonics,
  }
  return tables
})
