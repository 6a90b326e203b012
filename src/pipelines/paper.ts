/**
 * The whole paper (arXiv 2604.25143) as nodes, with the controls that its claims need. What is run, at what size and
 * for which seeds, is all on this page; `claims.ts` says what is concluded from it.
 */
import type { Operation } from "../numerics/modular.ts"
import type { Coupling } from "../stages/measureCoupling.ts"
import { readFeatures } from "../stages/readFeatures.ts"
import type { TrainConfig } from "../stages/training.ts"
import { couplingOf, gradientsOf, sedOf } from "./coupling.ts"
import { interventions } from "./interventions.ts"
import { type MultitaskConfig, multitask } from "./multitask.ts"
import { type Node, node } from "./Node.ts"
import { robust, shuffled, variants } from "./robustness.ts"
import { fineSensitivity, type SensitivityConfig, sensitivity, sweptOf } from "./sensitivity.ts"
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
  /** Further draws of the random logits, first seed only: what one draw may do. */
  readonly objectiveDraws: ReadonlyArray<number>
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

/** The rule of the multitask trainer's neighbours (experiment.md §3): every 100 steps, each task for itself. */
const latched: TrainConfig["stop"] = {
  accuracy: 0.98,
  count: 3,
  consecutive: true,
  every: 100,
  latched: true,
}

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
    probeSeeds: [1, 2],
    noise: [1, 4, 16, 64],
    perExample: { examples: 512, rank: 3 },
  },
  fourierPoints: 5,
  multitask: {
    operations: ["add", "sub", "mul", "x2_y2"],
    train: { ...singlePaper.train, maxSteps: 30_000, stop: latched },
    points: 30,
    strides: [1, 8],
  },
  objectiveDraws: [1, 2],
  interventions: { operations: ["add", "mul"], window: 20, rank: 3, warmup: 20 },
}

/** Everything small, yet it groks, within two minutes: shows the phenomenon, says nothing about the paper. */
export const smokeScale: PaperConfig = {
  ...paperScale,
  seeds: seedsOf(1),
  single: singleSmoke,
  operations: ["add", "mul"],
  nonGrokking: ["x3_xy"],
  controlPoints: 5,
  shuffledSteps: 500,
  sensitivity: {
    points: 5,
    windows: [1, 20, 30],
    fine: { windows: [40], evaluateEvery: 5 },
    epsilons: [0.001, 0.005, 0],
    ranks: [1, 3],
    probeSeeds: [1],
    noise: [1],
    perExample: { examples: 32, rank: 3 },
  },
  fourierPoints: 2,
  multitask: {
    operations: ["add", "mul"],
    train: { ...singleSmoke.train, stop: latched },
    points: 5,
    strides: [1, 2],
  },
  objectiveDraws: [1],
  interventions: { operations: ["add"], window: 5, rank: 3, warmup: 5 },
}

const featuresOf = ({ name, drawSeed, data, run, config }: Single, fourierPoints: number) => {
  const { draws: _, ...probe } = config.probe
  const { points, every } = config.svd
  return node(readFeatures, { data, run, probe, points, fourierPoints, every, seed: drawSeed }, name)
}

/** The coupling of the gradients of another draw of random logits. */
const otherDraw = (one: Single, objectiveDraw: number): Node<Coupling> => {
  const { config, run, reference } = one
  const { updates: _, ...svd } = config.svd
  const qualifier = `random-logits draw ${objectiveDraw}`
  const gradients = gradientsOf(
    one,
    { ...config.capture, objective: "random-logits", objectiveDraw },
    qualifier,
  )
  const rows = { kind: "gradient", run, gradients } as const
  const directions = sedOf(one, rows, { ...svd, placement: "published" }, qualifier)
  return couplingOf(one, rows, directions, reference, qualifier)
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
    // The other range of gradient batches and probes: first seed only.
    multitasks: seeds.map((seed, i) =>
      multitask(config.single, config.multitask, seed, i === 0 ? ["published", "trained"] : ["published"]),
    ),
    objectiveDraws: singles
      .filter(({ seed }) => seed === firstSeed)
      .flatMap((run) => config.objectiveDraws.map((draw) => ({ run, draw, coupling: otherDraw(run, draw) }))),
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
    // What the variants are compared with: the paper's own optimiser at their points.
    baseline: single(controlOf("add", firstSeed), `add/${firstSeed} control points`),
    robustness: variants.map((variant) => ({
      variant,
      run: robust(configOf("add", firstSeed), variant, config.controlPoints),
    })),
    shuffled: shuffled(configOf("add", firstSeed), config.controlPoints, config.shuffledSteps),
  }
}
export type Paper = ReturnType<typeof paper>

/** A run of one operation, and the experiment that tables file it under. */
export interface Run {
  readonly experiment: string
  readonly run: Single
}

/** Every run of one operation. */
export const runsOf = ({
  singles,
  nonGrokking,
  baseline,
  robustness,
  shuffled,
}: Paper): ReadonlyArray<Run> => [
  ...singles.map((run) => ({ experiment: "single", run })),
  ...nonGrokking.map((run) => ({ experiment: "non-grokking", run })),
  { experiment: "baseline", run: baseline },
  ...robustness.map(({ variant, run }) => ({ experiment: variant.id, run })),
  { experiment: "shuffled-labels", run: shuffled },
]

/** The couplings of these runs that tables hold: backward windows, too, where a claim is about the run. */
export const couplingsOf = (paper: Paper) => [
  ...runsOf(paper).flatMap(({ experiment, run }) =>
    run.couplings
      .filter(({ placement }) => placement === "published" || experiment === "single")
      .map(({ kind, placement, coupling }) => ({
        experiment,
        run,
        rows: kind,
        window: placement,
        draw: 0,
        coupling,
      })),
  ),
  ...paper.objectiveDraws.map(({ run, draw, coupling }) => ({
    experiment: "single",
    run,
    rows: "random-logits" as const,
    window: "published" as const,
    draw,
    coupling,
  })),
]

/** What tables hold beside the numbers of claims. */
export const tabled = (paper: Paper): ReadonlyArray<Node<unknown>> => [
  ...couplingsOf(paper).map(({ coupling }) => coupling),
  ...paper.multitasks.flatMap(({ couplings }) => couplings.map(({ coupling }) => coupling)),
  ...paper.sensitivities.flatMap(sweptOf).map(({ node }) => node),
  ...paper.features.map(({ features }) => features),
]
