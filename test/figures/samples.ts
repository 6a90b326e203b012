/** Made-up data with the shapes of the paper's results, the same at every call. */

import { comparisonDots } from "../../src/figures/comparisonDots.ts"
import type { CouplingCurve } from "../../src/figures/coupling.ts"
import { type AccuracyCurve, couplingOverTraining } from "../../src/figures/couplingOverTraining.ts"
import { fourierHeatMap } from "../../src/figures/fourierHeatMap.ts"
import type { Interval } from "../../src/figures/Interval.ts"
import { type InterventionRun, interventionCurves } from "../../src/figures/interventionCurves.ts"
import { multitaskCoupling } from "../../src/figures/multitaskCoupling.ts"
import { type ArmRole, type Overview, overview } from "../../src/figures/overview.ts"
import { peakBars } from "../../src/figures/peakBars.ts"
import { perExample } from "../../src/figures/perExample.ts"
import { phases, singularSpectra } from "../../src/figures/singularSpectra.ts"
import { grokDefinitions, type Speedup, speedupDots } from "../../src/figures/speedupDots.ts"
import { sweep } from "../../src/figures/sweep.ts"
import type { Estimator } from "../../src/figures/theme.ts"

const seeds = [42, 137, 2024]
const operations = ["add", "sub", "mul", "x2_y2"]

/** In [-1, 1], a function of its arguments alone. */
const jitter = (...keys: ReadonlyArray<number>): number => {
  const phase = keys.reduce((sum, key, i) => sum + key * (12.9898 + 78.233 * i), 0.5)
  const x = Math.sin(phase) * 43758.5453
  return 2 * (x - Math.floor(x)) - 1
}

const interval = (mean: number, spread: number, key: number, count = 3): Interval => {
  const perSeed = seeds.slice(0, count).map((seed) => mean * Math.exp(spread * jitter(seed, key)))
  const average = perSeed.reduce((a, b) => a + b, 0) / count
  return count < 2
    ? { mean: average, low: null, high: null, perSeed }
    : { mean: average, low: average * Math.exp(-spread), high: average * Math.exp(spread), perSeed }
}

const lastStep = (operation: number, seed: number) =>
  2600 + 500 * operation + 25 * Math.round(12 * jitter(seed, operation))

const coupling = (
  operation: number,
  seed: number,
  kind: Estimator,
  height: number,
  last = lastStep(operation, seed),
): CouplingCurve => ({
  operation: operations[operation] ?? "",
  seed,
  kind,
  points: Array.from({ length: 40 }, (_, i) => {
    const step = Math.round((last * i) / 39 / 25) * 25
    const rise = 1 / (1 + Math.exp(-(i - 20) / 4))
    return {
      step,
      value: (1 + height * (0.15 + 0.85 * rise)) * Math.exp(0.25 * jitter(seed, i, operation, height)),
    }
  }),
})

const accuracyAt = (step: number, middle: number) => 0.99 / (1 + Math.exp(-(step - middle) / 140)) + 0.01

const accuracy = (operation: number, seed: number): AccuracyCurve => ({
  operation: operations[operation] ?? "",
  seed,
  curve: Array.from({ length: 60 }, (_, i) => {
    const step = Math.round((lastStep(operation, seed) * i) / 59 / 25) * 25
    return { step, train: accuracyAt(step, 350), test: accuracyAt(step, lastStep(operation, seed) - 700) }
  }),
})

const perOperation = <A>(make: (operation: number, seed: number) => ReadonlyArray<A>): ReadonlyArray<A> =>
  operations.flatMap((_, operation) => seeds.flatMap((seed) => make(operation, seed)))

export const couplingData = {
  title: "Coupling of update and gradient directions over training",
  coupling: perOperation((operation, seed) => [
    coupling(operation, seed, "update", operation === 0 ? 7 : 2.5),
    coupling(operation, seed, "gradient", 180),
  ]),
  accuracy: perOperation((operation, seed) => [accuracy(operation, seed)]),
  caption: "Window of W = 20 checkpoints, placed as published; K = 3 directions; 20 random directions.",
}

const armsOf = {
  control: 3300,
  "remove-sed": 3250,
  "keep-sed": 1500,
  "remove-random": 3320,
  "keep-random": 1425,
  "keep-random-norm-matched": 1900,
  frozen: 1350,
  "frozen-after-warmup": 1400,
  "decay-only": 1450,
  noise: 5600,
  "natural-buffer-remove-sed": 3290,
  "natural-buffer-keep-sed": 1700,
}

const cap = 8000

const run = (
  operation: number,
  version: string | null,
  arm: string,
  middle: number,
  seed: number,
): InterventionRun => {
  const never = arm === "noise" && seed !== 42
  const grok = middle * (1 + 0.08 * operation) * Math.exp(0.09 * jitter(seed, middle))
  const last = never ? cap : Math.round((grok + 600) / 25) * 25
  return {
    operation: operations[operation] ?? "",
    version,
    arm,
    seed,
    stopStep: never ? null : last,
    curve: Array.from({ length: last / 100 + 1 }, (_, i) => ({
      step: i * 100,
      test: never ? 0.35 + 0.1 * jitter(seed, i) : accuracyAt(i * 100, grok),
    })),
  }
}

const speedups = (section: string, shift: number): ReadonlyArray<Speedup> =>
  Object.entries(armsOf).flatMap(([arm, middle], i) =>
    arm === "control"
      ? []
      : grokDefinitions.map((definition, d): Speedup => {
          const never = arm === "noise"
          return {
            section,
            arm,
            definition,
            speedup: never && d > 0 ? null : interval((armsOf.control / middle) * shift, 0.08, 10 * i + d),
            censored: never
              ? (d > 0 ? [0.41, 0.44, 0.42] : [0.43]).map((bound) => ({ side: "below", bound }))
              : [],
            published: d < 2 ? null : arm === "keep-sed" ? 2.2 : arm === "keep-random" ? 2.36 : null,
          }
        }),
  )

const families = [
  "a + b",
  "a",
  "b",
  "a and b",
  "y",
  "log a + log b",
  "log a",
  "log b",
  "log a and log b",
  "log y",
]

const overviewArms: ReadonlyArray<readonly [name: string, role: ArmRole, speedup: number, never: number]> = [
  ["natural run", "control", 1, 0],
  ["keep SED, published buffer", "kept", 2.2, 0],
  ["keep SED, current gradients", "kept", 1.3, 0],
  ["keep random", "kept", 2.3, 0],
  ["keep random, natural norm", "kept", 1.7, 0],
  ["noise", "null", 0.6, 2],
  ["decay only", "null", 2.2, 6],
  ["frozen (rank 0)", "null", 2.4, 0],
  ["remove SED", "removed", 1.02, 0],
]

const couplesAs = (kind: Estimator): number => (kind === "update" ? 3 : kind === "gradient" ? 190 : 150)

const overviewData: Overview = {
  coupling: perOperation((operation, seed) =>
    (["gradient", "random-logits", "update"] as const).map((kind) =>
      coupling(operation, seed, kind, couplesAs(kind)),
    ),
  ),
  outside: ["x2_xy_y2", "shuffled labels"].map((name, i) => ({
    name,
    points: coupling(i, 42, "gradient", 100 + 60 * i, 8000).points,
  })),
  grokked: perOperation((operation, seed) => [lastStep(operation, seed) - 475]),
  decay: [0.1, 0.3, 1, 3].map((decay, i) => ({
    name: String(decay),
    value: interval(20 * decay ** 0.8, 0.3, i),
    grokked: decay > 0.2,
  })),
  blocks: ["attention", "layer-0", "layer-1", "Q", "K", "V", "O", "mlp"].map((name, i) => ({
    name,
    value: interval(5 + 9 * i, 0.3, 30 + i),
    grokked: true,
  })),
  arms: overviewArms.map(([name, role, speedup, never], i) => ({
    name,
    role,
    value: never === 6 ? null : interval(speedup, 0.15, i),
    never,
    of: 6,
  })),
  caption: "W = 20, K = 3. Whiskers: 95 % by Student's t.",
}

/** Every figure, drawn. */
export const samples: Readonly<Record<string, () => string>> = {
  couplingOverTraining: () => couplingOverTraining(couplingData),
  couplingOneSeed: () =>
    couplingOverTraining({
      title: "Coupling of update and gradient directions over training, one seed and two operations",
      coupling: couplingData.coupling.filter(
        ({ seed, operation }) => seed === 42 && operation.length === 3 && operation !== "mul",
      ),
      accuracy: couplingData.accuracy.filter(
        ({ seed, operation }) => seed === 42 && operation.length === 3 && operation !== "mul",
      ),
      caption: couplingData.caption,
    }),
  overview: () => overview(overviewData),
  overviewNarrow: () => overview(overviewData, 1),
  overviewWithoutAblations: () => overview({ ...overviewData, decay: [], blocks: [] }),
  overviewOfOneRun: () =>
    overview({
      ...overviewData,
      coupling: overviewData.coupling.filter(({ seed, operation }) => seed === 42 && operation === "add"),
      grokked: overviewData.grokked.slice(0, 1),
      arms: overviewData.arms.map((arm) => ({
        ...arm,
        value:
          arm.value === null
            ? null
            : { mean: arm.value.mean, low: null, high: null, perSeed: [arm.value.mean] },
      })),
      outside: [],
      blocks: [],
    }),
  peakBars: () =>
    peakBars({
      title: "Peak coupling by operation",
      peaks: operations.flatMap((operation, i) => [
        {
          operation,
          kind: "update" as const,
          peak: interval(i === 0 ? 8 : 3.2, 0.2, i),
          published: i === 0 ? { low: 9, high: 9 } : { low: 3, high: 3.5 },
        },
        {
          operation,
          kind: "gradient" as const,
          peak: interval(200, 0.3, i),
          published: { low: 100, high: 330 },
        },
      ]),
      caption: "95 % interval of Student's t over seeds. W = 20, K = 3.",
    }),
  peakBarsMultitask: () =>
    peakBars({
      title: "Peak coupling by operation, multitask",
      peaks: operations.flatMap((operation, i) => [
        { operation, kind: "update" as const, peak: interval(0.6, 0.3, i), published: null },
        {
          operation,
          kind: "per-op-gradient" as const,
          peak: interval(30, 0.2, i),
          published: { low: 31.5, high: 31.5 },
        },
        { operation, kind: "aggregated-gradient" as const, peak: interval(21, 0.2, i, 1), published: null },
      ]),
      caption: "95 % interval of Student's t over seeds. W = 20, K = 3.",
    }),
  sweepWindow: () =>
    sweep({
      title: "Coupling falls with the length of the window",
      xLabel: "window W (checkpoints)",
      xScale: "log",
      yLabel: "peak coupling of the first direction, R₁",
      yScale: "log",
      series: [
        {
          name: "gradient",
          kind: "gradient",
          points: [1, 2, 5, 10, 20, 40].map((x) => ({ x, value: interval(640 / x ** 0.4, 0.25, x) })),
        },
        {
          name: "update",
          kind: "update",
          points: [1, 2, 5, 10, 20, 40].map((x) => ({ x, value: interval(9 / x ** 0.2, 0.2, x + 1) })),
        },
      ],
      published: [
        { x: 1, value: 648 },
        { x: 20, value: 212 },
        { x: 40, value: 140 },
      ],
      caption: "Operation add. 95 % interval of Student's t.",
    }),
  sweepNoise: () =>
    sweep({
      title: "Coupling with noise added to the gradient rows",
      xLabel: "noise variance (multiples of the batch variance)",
      xScale: "linear",
      yLabel: "peak coupling R̄",
      yScale: "linear",
      series: operations.map((name, i) => ({
        name,
        kind: null,
        points: [0, 0.25, 0.5, 1, 2, 4].map((x) => ({
          x,
          value: interval((220 - 3 * i) * Math.exp(-x / 4), 0.2, x + i),
        })),
      })),
      published: [],
      caption: "W = 20, K = 3.",
    }),
  multitaskCoupling: () =>
    multitaskCoupling({
      title: "Multitask coupling over training",
      coupling: perOperation((operation, seed) => [
        coupling(operation, seed, "update", 0.2, 13_000 + 200 * (seed % 11)),
        coupling(operation, seed, "per-op-gradient", 30, 13_000 + 200 * (seed % 11)),
        coupling(operation, seed, "aggregated-gradient", 18, 13_000 + 200 * (seed % 11)),
      ]).map((curve) => ({
        ...curve,
        points: curve.points.map((point) => ({
          ...point,
          value: curve.kind === "update" ? point.value / 3 : point.value,
        })),
      })),
      caption: "W = 20, K = 3, stride 200.",
    }),
  interventionCurves: () =>
    interventionCurves({
      title: "Test accuracy under interventions on the attention gradient",
      runs: [0, 2].flatMap((operation) =>
        ["gradient", "update"]
          .flatMap((version) =>
            Object.entries(armsOf).flatMap(([arm, middle]) =>
              arm === "control" || (version === "update" && !arm.includes("sed"))
                ? []
                : seeds.map((seed) => run(operation, version, arm, middle, seed)),
            ),
          )
          .concat(seeds.map((seed) => run(operation, null, "control", armsOf.control, seed))),
      ),
      caption: "Stop rule: test accuracy ≥ 0.98 seen 20 times; cap at 8,000 steps.",
    }),
  speedupDots: () =>
    speedupDots({
      title: "How much sooner the arms grok",
      speedups: [
        ...speedups("add, gradient version", 1),
        ...speedups("add, update version", 1.1),
        ...speedups("mul, gradient version", 0.95),
      ],
      caption: "95 % interval of Student's t over seeds; cap at 8,000 steps.",
    }),
  singularSpectra: () =>
    singularSpectra({
      title: "Singular values of the windows",
      spectra: operations.slice(0, 2).flatMap((operation, o) =>
        phases.flatMap((phase, p) =>
          seeds.flatMap((seed) =>
            (["update", "gradient"] as const).map((kind, k) => ({
              operation,
              seed,
              kind,
              phase,
              values: Array.from(
                { length: 10 },
                (_, i) =>
                  3 * Math.exp(-i * (0.2 + 0.15 * k + 0.1 * p) + (i > 0 ? 0.1 * jitter(seed, i, o) : 0)),
              ),
            })),
          ),
        ),
      ),
      caption: "W = 20, windows as published.",
    }),
  fourierHeatMap: () =>
    fourierHeatMap({
      title: "Which frequencies the centroid components follow",
      rows: families.flatMap((family, f) =>
        [1, 2, 3, 4, 5].map((component) => ({
          component,
          family,
          fit: Array.from({ length: 48 }, (_, k) =>
            (k * 7 + component * 3) % 41 === f ? 0.9 - 0.1 * component : 0.03 * (1 + jitter(k, component, f)),
          ),
        })),
      ),
      caption: "Operation mul, seed 42, step 3,100; all 9,216 pairs.",
    }),
  perExample: () =>
    perExample({
      title: "Coupling of per-example gradient directions",
      phases: (["initial", "middle", "last"] as const).map((phase, i) => ({
        operation: "add",
        phase,
        coupling: interval([27, 92, 431][i] ?? 0, 0.25, i),
        published: [27, 92, 431][i] ?? null,
      })),
      caption: "512 centred per-example gradients; 95 % interval of Student's t.",
    }),
  comparisonDots: () =>
    comparisonDots({
      title: "heads: Attention heads, at the same width",
      label: "gradient-peak, log axis",
      scale: "log",
      cells: [1, 2, 4, 8].map((heads, i) => ({
        name: `heads=${heads}`,
        isBase: heads === 4,
        value: heads === 8 ? null : interval(100 + 20 * heads, 0.2, i),
        beside: heads === 1 ? {} : { "random subspace": interval(9 + heads, 0.1, i) },
      })),
      everywhere: { frozen: interval(20, 0.05, 5) },
      caption: "Intervals: the smallest and largest seed.",
    }),
}
