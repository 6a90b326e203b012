/**
 * Every figure of a reproduction, from its tables and claims alone. A figure without data is left out, and so is a
 * seed whose stages did not run.
 */

import { couplingOverTraining } from "../figures/couplingOverTraining.ts"
import { fourierHeatMap } from "../figures/fourierHeatMap.ts"
import type { Interval } from "../figures/Interval.ts"
import { interventionCurves } from "../figures/interventionCurves.ts"
import { multitaskCoupling } from "../figures/multitaskCoupling.ts"
import { type ArmRole, type Overview, overview } from "../figures/overview.ts"
import { peakBars } from "../figures/peakBars.ts"
import { perExample } from "../figures/perExample.ts"
import { singularSpectra } from "../figures/singularSpectra.ts"
import { type Censored, type GrokDefinition, speedupDots } from "../figures/speedupDots.ts"
import { type Sweep, sweep } from "../figures/sweep.ts"
import { type Estimator, estimatorNames, estimatorStyle } from "../figures/theme.ts"
import { type ClaimRow, type Estimate, estimate, RATIO, SPEEDUP } from "../pipelines/Claim.ts"
import type { Comparison } from "../pipelines/comparison.ts"
import type { Published } from "../pipelines/verdicts.ts"
import type { Tables } from "./tables.ts"

/** What figures are drawn from. */
type Drawn = Tables & {
  /** The end of every caption: what the numbers are worth. */
  readonly note: string
}

type Row<Name extends keyof Tables> = Tables[Name][number]

const INTERVAL =
  "Means over runs are geometric; whiskers: the range of fewer than five runs, else 95 % by Student's t"

/** "W = 20, K = 3", from rows that were all measured alike. */
const sizesText = ([first]: ReadonlyArray<
  Partial<Pick<Row<"coupling">, "windowRows" | "directions">>
>): string =>
  [
    ...(first?.windowRows === undefined ? [] : [`W = ${first.windowRows}`]),
    ...(first?.directions === undefined ? [] : [`K = ${first.directions}`]),
  ].join(", ")

const groupBy = <A, K>(
  items: ReadonlyArray<A>,
  key: (item: A) => K,
): ReadonlyArray<readonly [K, Array<A>]> => {
  const groups = new Map<K, Array<A>>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group === undefined) groups.set(key(item), [item])
    else group.push(item)
  }
  return [...groups]
}

/** By several fields at once. */
const groupByAll = <A>(items: ReadonlyArray<A>, keys: (item: A) => ReadonlyArray<unknown>) =>
  groupBy(items, (item) => JSON.stringify(keys(item))).map(([, group]) => group)

const intervalOf = ({ value, low, high, perSeed }: Estimate): Interval | null =>
  value === null
    ? null
    : { mean: value, low, high, perSeed: perSeed.flatMap(({ value }) => (value === null ? [] : [value])) }

const isEstimator = (kind: string): kind is Estimator => kind in estimatorStyle

const measured = (points: ReadonlyArray<{ step: number; meanR: number | null }>) =>
  points.flatMap(({ step, meanR }) => (meanR === null ? [] : [{ step, value: meanR }]))

type CurvePoint = Pick<Row<"coupling">, "operation" | "seed" | "rows" | "step" | "meanR">

/** R̄ over steps for each operation, seed and kind of rows. */
const curves = (rows: ReadonlyArray<CurvePoint>) =>
  groupByAll(rows, ({ operation, seed, rows }) => [operation, seed, rows]).flatMap((group) => {
    const [{ operation, seed, rows: kind }] = group
    const points = measured(group)
    return isEstimator(kind) && points.length > 0 ? [{ operation, seed, kind, points }] : []
  })

const overTraining = ({ coupling, accuracy, note }: Drawn, window: string): string | null => {
  const rows = coupling.filter(
    (row) => row.experiment === "single" && row.window === window && row.draw === 0,
  )
  const drawn = curves(rows)
  if (drawn.length === 0) return null
  return couplingOverTraining({
    title: `Coupling over training, windows ${window === "published" ? "as published" : "backward"}`,
    coupling: drawn,
    accuracy: groupByAll(accuracy, ({ operation, seed }) => [operation, seed]).map((group) => ({
      operation: group[0].operation,
      seed: group[0].seed,
      curve: group.map(({ step, trainAccuracy, testAccuracy }) => ({
        step,
        train: trainAccuracy,
        test: testAccuracy,
      })),
    })),
    caption: `${sizesText(rows)}; ${window === "published" ? "the window starts at the point, and near the end is the last one (published code)" : "the window ends at the point (causal)"}.${note}`,
  })
}

const rangeOf = (paper: Published): { low: number; high: number } | null => {
  if ("low" in paper) return { low: paper.low, high: paper.high }
  return "value" in paper ? { low: paper.value, high: paper.value } : null
}

const peaks = ({ coupling, note }: Drawn, claims: ReadonlyArray<ClaimRow>): string | null => {
  const found = claims.flatMap((claim) => {
    const [, operation, kind] = /^coupling\.single\.(\w+)\.(update|gradient)\.peak$/.exec(claim.id) ?? []
    const peak = intervalOf(claim.measured)
    return operation === undefined || kind === undefined || !isEstimator(kind) || peak === null
      ? []
      : [{ operation, kind, peak, published: rangeOf(claim.paper) }]
  })
  if (found.length === 0) return null
  return peakBars({
    title: "Peak coupling by operation",
    peaks: found,
    caption: `${["Peak of R̄ over the points", sizesText(coupling)].filter((part) => part !== "").join(", ")}. ${INTERVAL}.${note}`,
  })
}

interface SweepFigure extends Pick<Sweep, "title" | "xLabel" | "xScale" | "published"> {
  readonly setting: string
  readonly column: "meanR" | "R1"
  /** What the caption says of the sizes of these rows. */
  readonly sizes: (rows: ReadonlyArray<Row<"sweeps">>) => string
  /** Where a value of the setting is drawn; null leaves it out. */
  readonly x?: (value: string) => number | null
}

/** The largest of the known values. */
const peakOf = (values: ReadonlyArray<number | null>): number | null => {
  const known = values.flatMap((value) => (value === null ? [] : [value]))
  return known.length === 0 ? null : Math.max(...known)
}

const sweepFigure = ({ sweeps, note }: Drawn, figure: SweepFigure): string | null => {
  const { setting, column, title, xLabel, xScale, published, sizes, x = Number } = figure
  const rows = sweeps.filter((row) => row.setting === setting)
  const series = groupBy(rows, (row) => row.rows).flatMap(([kind, ofKind]) => {
    const points = groupBy(ofKind, (row) => row.value).flatMap(([value, ofValue]) => {
      const at = x(value)
      const peaks = groupBy(ofValue, ({ seed }) => seed).map(([seed, points]) => ({
        seed,
        value: peakOf(points.map((point) => point[column])),
      }))
      const over = intervalOf(estimate(RATIO, peaks))
      return at === null || over === null ? [] : [{ x: at, value: over }]
    })
    return points.length === 0 || !isEstimator(kind) ? [] : [{ name: estimatorNames[kind], kind, points }]
  })
  if (series.length === 0) return null
  return sweep({
    title,
    xLabel,
    xScale,
    yLabel: `${column === "R1" ? "peak R₁" : "peak R̄"} (ratio)`,
    yScale: "log",
    series,
    published,
    caption: `add, ${sizes(rows)}. ${INTERVAL}.${note}`,
  })
}

const publishedValues = (claims: ReadonlyArray<ClaimRow>, prefix: string) =>
  claims.flatMap(({ id, paper }) =>
    id.startsWith(prefix) && "value" in paper
      ? [{ x: Number(id.slice(prefix.length)), value: paper.value }]
      : [],
  )

const multitaskFigure = ({ multitask, note }: Drawn): string | null => {
  const stride = Math.max(...multitask.map((row) => row.stride))
  const rows = multitask.filter((row) => row.stride === stride && row.range === "published")
  const drawn = curves(rows.map(({ estimator, ...row }) => ({ ...row, rows: estimator })))
  if (drawn.length === 0) return null
  return multitaskCoupling({
    title: "Several operations at once: coupling of updates, of gradients, and of unrelated gradients",
    coupling: drawn,
    caption: `${sizesText(rows)}; rows ${stride} ${stride === 1 ? "checkpoint" : "checkpoints"} apart.${note}`,
  })
}

const curvesFigure = (tables: Drawn, operation: string): string | null => {
  const outcomes = tables.interventions.filter((row) => row.operation === operation)
  const rows = tables["intervention-curves"].filter((row) => row.operation === operation)
  if (!rows.some(({ arm }) => arm !== "control")) return null
  return interventionCurves({
    title: `${operation}: test accuracy when attention may move only in, or out of, a few directions`,
    runs: groupByAll(rows, ({ seed, arm, version }) => [seed, arm, version]).map((group) => {
      const [{ seed, arm, version }] = group
      const outcome = outcomes.find((row) => row.seed === seed && row.arm === arm && row.version === version)
      return {
        operation,
        version,
        arm,
        seed,
        curve: group.map(({ step, testAccuracy }) => ({ step, test: testAccuracy })),
        stopStep: outcome?.stopStep ?? null,
      }
    }),
    caption: `Runs end with the stop rule, the paper's grok step, or at the cap.${tables.note}`,
  })
}

const definitions: ReadonlyArray<readonly [GrokDefinition, "firstHalf" | "firstThreshold" | "stopStep"]> = [
  ["first ≥ 0.5", "firstHalf"],
  ["first ≥ 0.98", "firstThreshold"],
  ["stop step", "stopStep"],
]

const publishedSpeedup = (
  claims: ReadonlyArray<ClaimRow>,
  operation: string,
  arm: string,
  version: string,
) => {
  const claim = claims.find(({ id }) => id === `intervention.${operation}.${arm}.${version}.speedup`)
  return claim !== undefined && "value" in claim.paper ? claim.paper.value : null
}

const speedups = ({ interventions, note }: Drawn, claims: ReadonlyArray<ClaimRow>): string | null => {
  const controls = interventions.filter(({ arm }) => arm === "control")
  const arms = interventions.filter(({ arm }) => arm !== "control")
  if (arms.length === 0) return null
  const rows = groupByAll(arms, ({ operation, arm, version }) => [operation, arm, version]).flatMap((group) =>
    definitions.map(([definition, field]) => {
      const [{ operation, arm, version }] = group
      const paired = group.flatMap((row) => {
        const control = controls.find((one) => one.operation === operation && one.seed === row.seed)
        return control === undefined
          ? []
          : [{ row, control: control[field], steps: row[field], longest: control.steps }]
      })
      const speedup = intervalOf(
        estimate(
          SPEEDUP,
          paired.map(({ row, control, steps }) => ({
            seed: row.seed,
            value: control === null || steps === null ? null : control / steps,
          })),
        ),
      )
      return {
        section: `${operation}, ${version} version`,
        arm,
        definition,
        speedup,
        censored: paired.flatMap(({ row, control, steps, longest }): ReadonlyArray<Censored> => {
          if (control !== null && steps === null) {
            return [{ side: "below", bound: control / row.steps }]
          }
          return control === null && steps !== null ? [{ side: "above", bound: longest / steps }] : []
        }),
        published: field === "stopStep" ? publishedSpeedup(claims, operation, arm, version ?? "") : null,
      }
    }),
  )
  return speedupDots({
    title: "Speed-up of grokking by arm, under three definitions of when a network grokked",
    speedups: rows,
    caption: `${INTERVAL}.${note}`,
  })
}

const spectraFigure = ({ spectra, note }: Drawn): string | null => {
  const found = groupByAll(spectra, ({ operation, seed, rows, phase }) => [operation, seed, rows, phase])
  if (found.length === 0) return null
  return singularSpectra({
    title: "Singular values of the first, middle and last window",
    spectra: found.flatMap((group) => {
      const [{ operation, seed, rows: kind, phase }] = group
      const values = group.toSorted((a, b) => a.index - b.index).map(({ sigma }) => sigma)
      return isEstimator(kind) ? [{ operation, seed, kind, phase, values }] : []
    }),
    caption: `${sizesText(spectra)}.${note}`,
  })
}

const fourierFigure = ({ harmonics, note }: Drawn, operation: string): string | null => {
  const ofOperation = harmonics.filter((row) => row.operation === operation)
  const [first] = ofOperation
  if (first === undefined) return null
  const rows = groupByAll(
    ofOperation.filter(({ seed }) => seed === first.seed),
    ({ pc, family }) => [pc, family],
  ).flatMap((group) => {
    const fit = group
      .toSorted((a, b) => a.frequency - b.frequency)
      .flatMap(({ r2 }) => (r2 === null ? [] : [r2]))
    // A component whose scores are constant has no R².
    return fit.length < group.length ? [] : [{ component: group[0].pc, family: group[0].family, fit }]
  })
  if (rows.length === 0) return null
  return fourierHeatMap({
    title: `${operation}: waves in the centroids' principal components`,
    rows,
    caption: `Seed ${first.seed}, step ${first.step}; centroids of all pairs of the table.${note}`,
  })
}

const publishedPhase = (claims: ReadonlyArray<ClaimRow>, phase: string) => {
  const claim = claims.find(({ id }) => id === `coupling.per-example.${phase}`)
  return claim !== undefined && "value" in claim.paper ? claim.paper.value : null
}

const perExampleFigure = (tables: Drawn, claims: ReadonlyArray<ClaimRow>): string | null => {
  const phases = groupByAll(tables["per-example"], ({ operation, phase }) => [operation, phase]).flatMap(
    (group) => {
      const [{ operation, phase }] = group
      const coupling = intervalOf(
        estimate(
          RATIO,
          group.map(({ seed, meanR }) => ({ seed, value: meanR })),
        ),
      )
      return coupling === null
        ? []
        : [{ operation, phase, coupling, published: publishedPhase(claims, phase) }]
    },
  )
  if (phases.length === 0) return null
  return perExample({
    title: "Coupling of the leading directions of single examples' gradients",
    phases,
    caption: `R̄, ${sizesText(tables["per-example"])}, of centred per-example gradients. ${INTERVAL}.${tables.note}`,
  })
}

/** Runs in which nothing generalises. */
const controls = ["non-grokking", "shuffled-labels"]

const controlNames: Readonly<Record<string, string>> = { "shuffled-labels": "shuffled labels" }

/** Nine arms in the order of the story, and what each is for. */
const overviewArms: ReadonlyArray<readonly [arm: string, name: string, role: ArmRole]> = [
  ["control", "natural run", "control"],
  ["keep-sed", "keep SED, published buffer", "kept"],
  ["natural-buffer-keep-sed", "keep SED, current gradients", "kept"],
  ["keep-random", "keep random", "kept"],
  ["keep-random-norm-matched", "keep random, natural norm", "kept"],
  ["noise", "noise", "null"],
  ["decay-only", "decay only", "null"],
  ["frozen", "frozen (rank 0)", "null"],
  ["remove-sed", "remove SED", "removed"],
]

/** Speed-up of an arm over all pairs of operation and seed whose natural run grokked; none without such pairs. */
const pooledSpeedup = (rows: Tables["interventions"], arm: string) => {
  const controlOf = ({ operation, seed }: Row<"interventions">) =>
    rows.find((row) => row.arm === "control" && row.operation === operation && row.seed === seed)
  const own = rows.filter((row) => row.arm === arm && (row.version === "gradient" || arm === "control"))
  const pairs = own.flatMap((row) => {
    const control = controlOf(row)?.stopStep ?? null
    return control === null
      ? []
      : [
          {
            seed: row.seed,
            operation: row.operation,
            value: row.stopStep === null ? null : control / row.stopStep,
          },
        ]
  })
  const never = pairs.filter(({ value }) => value === null).length
  return pairs.length === 0
    ? undefined
    : { value: intervalOf(estimate(SPEEDUP, pairs)), never, of: pairs.length }
}

const GAP = "gradient-over-update"

/** The gap in each cell of an ablation, by one field; other fields must be the base's. */
const gapsBy = (comparison: Comparison | undefined, field: string): Overview["decay"] => {
  if (comparison === undefined) return []
  const base = comparison.cells.find(({ isBase }) => isBase)
  return comparison.cells.flatMap(({ settings, measured }) => {
    const isAlong = Object.entries(settings).every(
      ([name, value]) => name === field || value === base?.settings[name],
    )
    const gap = measured[GAP]
    const value = gap === undefined ? null : intervalOf(gap)
    if (!isAlong || value === null) return []
    const steps = measured["grok-step"]?.perSeed ?? []
    const grokked = steps.every(({ value }) => value !== null)
    return [{ name: String(settings[field]), value, grokked }]
  })
}

const overviewData = (
  { coupling, runs, interventions, note }: Drawn,
  ablations: ReadonlyArray<Comparison>,
): Overview | null => {
  const rows = coupling.filter((row) => row.window === "published" && row.draw === 0)
  const single = rows.filter(({ experiment }) => experiment === "single")
  const drawn = curves(single).filter(({ kind }) => kind !== "permuted-labels")
  if (drawn.length === 0) return null
  const outside = groupByAll(
    rows.filter(({ experiment, rows }) => controls.includes(experiment) && rows === "gradient"),
    ({ experiment, operation, seed }) => [experiment, operation, seed],
  ).map((group) => ({
    name: controlNames[group[0].experiment] ?? group[0].operation,
    points: measured(group),
  }))
  const find = (name: string) => ablations.find((one) => one.name === name)
  const arms = overviewArms.flatMap(([arm, name, role]) => {
    const speedup = pooledSpeedup(interventions, arm)
    return speedup === undefined ? [] : [{ name, role, ...speedup }]
  })
  const notes = [...new Set(ablations.flatMap(({ note }) => (note === undefined ? [] : [note])))]
  return {
    coupling: drawn,
    outside,
    grokked: runs.flatMap(({ experiment, firstThreshold }) =>
      experiment === "single" && firstThreshold !== null ? [firstThreshold] : [],
    ),
    decay: gapsBy(find("weight-decay"), "train.weightDecay"),
    blocks: gapsBy(find("blocks"), "block"),
    // The natural run alone says nothing.
    arms: arms.length > 1 ? arms : [],
    caption: `${sizesText(single)}. ${INTERVAL}.${note}${notes.map((note) => ` Of the gap: ${note}`).join("")}`,
  }
}

const operationsOf = (rows: ReadonlyArray<{ readonly operation: string }>) => [
  ...new Set(rows.map(({ operation }) => operation)),
]

/**
 * SVG by name, in the order of the story.
 *
 * @param evidence what the numbers are worth; every caption says so
 * @param ablations those that the overview draws, as far as they were run
 */
export const figures = (
  tables: Tables,
  claims: ReadonlyArray<ClaimRow>,
  evidence: string,
  ablations: ReadonlyArray<Comparison>,
): ReadonlyMap<string, string> => {
  const drawn = { ...tables, note: ` (${evidence})` }
  const whole = overviewData(drawn, ablations)
  const found: ReadonlyArray<readonly [string, string | null]> = [
    ["overview", whole === null ? null : overview(whole)],
    ["overview-narrow", whole === null ? null : overview(whole, 1)],
    ["coupling-published", overTraining(drawn, "published")],
    ["coupling-backward", overTraining(drawn, "backward")],
    ["peaks", peaks(drawn, claims)],
    [
      "window",
      sweepFigure(drawn, {
        setting: "window",
        column: "R1",
        title: "The leading direction's coupling by window",
        xLabel: "W (rows in the window)",
        xScale: "log",
        published: publishedValues(claims, "coupling.window.add."),
        sizes: () => "K = 1",
      }),
    ],
    [
      "epsilon",
      sweepFigure(drawn, {
        setting: "epsilon",
        column: "R1",
        title: "The leading direction's coupling by displacement",
        xLabel: "ε (share of ‖θ_attn‖); the exact derivative, ε → 0, is drawn at 0.0001",
        xScale: "log",
        published: publishedValues(claims, "coupling.epsilon.add."),
        sizes: sizesText,
        x: (value) => (Number(value) === 0 ? 1e-4 : Number(value)),
      }),
    ],
    [
      "rank",
      sweepFigure(drawn, {
        setting: "rank",
        column: "meanR",
        title: "Coupling by the number of directions",
        xLabel: "K (directions averaged)",
        xScale: "linear",
        published: [],
        sizes: ([row]) => `W = ${row.windowRows}`,
      }),
    ],
    [
      "noise",
      sweepFigure(drawn, {
        setting: "noise",
        column: "meanR",
        title: "Coupling with white noise added to the gradients",
        xLabel: "variance of the noise (in units of the minibatch noise's)",
        xScale: "log",
        published: [],
        sizes: sizesText,
      }),
    ],
    ["multitask", multitaskFigure(drawn)],
    ...operationsOf(tables.interventions).map(
      (operation) => [`interventions-${operation}`, curvesFigure(drawn, operation)] as const,
    ),
    ["speedups", speedups(drawn, claims)],
    ["spectra", spectraFigure(drawn)],
    ...operationsOf(tables.harmonics).map(
      (operation) => [`fourier-${operation}`, fourierFigure(drawn, operation)] as const,
    ),
    ["per-example", perExampleFigure(drawn, claims)],
  ]
  return new Map(found.flatMap(([name, svg]) => (svg === null ? [] : [[name, svg] as const])))
}
