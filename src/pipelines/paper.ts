/**
 * The whole paper (arXiv 2604.25143) as nodes, with the controls that its claims need. What is run, at what size and
 * for which seeds, is all on this page; `claims.ts` says what is concluded from it.
 */
import type { Operation } from "../numerics/modular.ts"
import { readFeatures } from "../stages/readFeatures.ts"
import { interventions } from "./interventions.ts"
import { type MultitaskConfig, multitask } from "./multitask.ts"
import { node } from "./Node.ts"
import { robust, shuffled, variants } from "./robustness.ts"
import { fineSensitivity, type SensitivityConfig, sensitivity } from "./sensitivity.ts"
import { type Single, type SingleConfig, single } from "./single.ts"
import { paper as singlePaper, smoke as singleSmoke } from "./sizes.ts"

export interface PaperConfig {
  readonly seeds: ReadonlyArray<number>
  /** Everything but operation and seed. */
  readonly single: SingleConfig
  readonly operations: ReadonlyArray<Operation>
  /** Operations that do not grok: negative controls, first seed only. */
  readonly nonGrokking: ReadonlyArray<Operation>
  /** Measurement points of controls and variants. */
  readonly controlPoints: number
  /** Steps given to shuffled labels. */
  readonly shuffledSteps: number
  readonly sensitivity: SensitivityConfig
  /** Points of each single run at which the whole table's centroids are read for frequencies. */
  readonly fourierPoints: number
  readonly multitask: MultitaskConfig
  readonly interventions: {
    readonly operations: ReadonlyArray<Operation>
    readonly window: number
    readonly rank: number
    readonly warmup: number
  }
}

export const PAPERS_SEEDS = [42, 137, 2024] as const

/** The seeds of the paper, then 1, 2, … */
export const seedsOf = (count: number): ReadonlyArray<number> =>
  [
    ...PAPERS_SEEDS,
    ...Array.from({ length: count }, (_, i) => i + 1).filter(
      (seed) => !PAPERS_SEEDS.some((papers) => papers === seed),
    ),
  ].slice(0, count)

export const paperScale: PaperConfig = {
  seeds: seedsOf(3),
  single: singlePaper,
  operations: ["add", "sub", "mul", "x2_y2"],
  nonGrokking: ["x2_xy_y2", "x3_xy"],
  controlPoints: 20,
  shuffledSteps: 4000,
  sensitivity: {
    points: 20,
    windows: [1, 2, 5, 10, 20, 40, 100],
    fine: { windows: [100, 200], evaluateEvery: 10 },
    epsilons: [0.001, 0.005, 0.05, 0],
    ranks: [1, 3, 5, 10],
    noise: [1, 4, 16, 64],
    perExample: { examples: 512, rank: 3 },
  },
  fourierPoints: 5,
  multitask: {
    operations: ["add", "sub", "mul", "x2_y2"],
    train: { ...singlePaper.train, maxSteps: 30_000, stop: { accuracy: 0.98, count: 3, consecutive: true } },
    points: 30,
    strides: [1, 8],
  },
  interventions: { operations: ["add", "mul"], window: 20, rank: 3, warmup: 20 },
}

/** Everything small: checks that the machinery runs, says nothing about the paper. */
export const smokeScale: PaperConfig = {
  ...paperScale,
  seeds: seedsOf(2),
  single: {
    ...singleSmoke,
    train: { ...singleSmoke.train, maxSteps: 150 },
    svd: { ...singleSmoke.svd, window: 4 },
  },
  operations: ["add", "mul"],
  nonGrokking: ["x3_xy"],
  controlPoints: 3,
  shuffledSteps: 100,
  sensitivity: {
    points: 3,
    windows: [1, 2],
    fine: { windows: [10], evaluateEvery: 5 },
    epsilons: [0.001, 0.005, 0],
    ranks: [1, 3],
    noise: [1],
    perExample: { examples: 32, rank: 3 },
  },
  fourierPoints: 2,
  multitask: {
    operations: ["add", "mul"],
    train: { ...singleSmoke.train, maxSteps: 100, stop: { accuracy: 0.98, count: 3, consecutive: true } },
    points: 3,
    strides: [1, 2],
  },
  interventions: { operations: ["add", "mul"], window: 5, rank: 3, warmup: 5 },
}

const featuresOf = ({ name, seed, data, run, config }: Single, fourierPoints: number) => {
  const { draws: _, ...probe } = config.probe
  const { points, every } = config.svd
  return node(readFeatures, { data, run, probe, points, fourierPoints, every, seed }, name)
}

export const paper = (config: PaperConfig) => {
  const { seeds } = config
  const [firstSeed] = seeds
  const configOf = (operation: Operation, seed: number): SingleConfig => ({
    ...config.single,
    seed,
    data: { ...config.single.data, operation },
  })
  const named = (operation: Operation, seed: number) =>
    single(configOf(operation, seed), `${operation}/${seed}`)

  const singles = config.operations.flatMap((operation) => seeds.map((seed) => named(operation, seed)))
  const singleOf = (operation: Operation, seed: number) =>
    singles.find((run) => run.config.data.operation === operation && run.seed === seed) ??
    named(operation, seed)

  const controlOf = (operation: Operation, seed: number): SingleConfig => {
    const base = configOf(operation, seed)
    return { ...base, svd: { ...base.svd, points: config.controlPoints } }
  }

  return {
    config,
    singles,
    features: singles.map((one) => ({ of: one, features: featuresOf(one, config.fourierPoints) })),
    nonGrokking: config.nonGrokking.map((operation) =>
      single(controlOf(operation, firstSeed), `${operation}/${firstSeed}`),
    ),
    sensitivities: seeds.map((seed) => sensitivity(singleOf("add", seed), config.sensitivity)),
    // A second training, with twice the checkpoints: first seed only.
    fine: fineSensitivity(singleOf("add", firstSeed), config.sensitivity),
    // The finest stride takes 1.6 GB of gradients a run: first seed only. So is the other probe range.
    multitasks: seeds.map((seed, i) => {
      const { strides } = config.multitask
      const coarse = { ...config.multitask, strides: [Math.max(...strides)] }
      return i === 0
        ? multitask(config.single, config.multitask, seed, ["table", "grid"])
        : multitask(config.single, coarse, seed, ["table"])
    }),
    interventions: config.interventions.operations.flatMap((operation) =>
      seeds.map((seed) => {
        const control = singleOf(operation, seed)
        return {
          operation,
          seed,
          control,
          arms: interventions(control.config, control, config.interventions),
        }
      }),
    ),
    robustness: variants.map((variant) => ({
      variant,
      run: robust(configOf("add", firstSeed), variant, config.controlPoints),
    })),
    shuffled: shuffled(configOf("add", firstSeed), config.controlPoints, config.shuffledSteps),
  }
}
export type Paper = ReturnType<typeof paper>
