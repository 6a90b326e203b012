/**
 * Does the gap between gradient and update directions survive another optimiser, another weight decay and another
 * schedule, and is it there where there is nothing to generalise (experiment.md §7)?
 */
import type { TrainConfig } from "../stages/training.ts"
import { type SingleConfig, single } from "./single.ts"

/** What is changed; everything else is the paper's. */
export interface Variant {
  readonly id: string
  readonly description: string
  readonly train: Partial<TrainConfig>
}

/**
 * SGD's learning rate is the largest power of ten that trained in a first look at losses (never at couplings); its
 * decay per step is AdamW's, lr·wd = 1e-3. The cosine ends with the paper's 8000 steps.
 */
export const variants: ReadonlyArray<Variant> = [
  {
    id: "sgd",
    description: "SGD with momentum 0.9, lr 0.1, decay 1e-3 a step",
    train: { optimizer: "sgd", learningRate: 0.1, beta1: 0.9, weightDecay: 0.01 },
  },
  { id: "no-decay", description: "Adam without weight decay", train: { weightDecay: 0 } },
  { id: "decay-0.3", description: "AdamW with weight decay 0.3", train: { weightDecay: 0.3 } },
  {
    id: "cosine",
    description: "AdamW, 100 steps of warm-up, then a cosine to 0 at step 8000",
    train: { schedule: { kind: "warmup-cosine", warmup: 100, period: 8000 } },
  },
]

/** `config` under a variant, on fewer points. */
export const robust = (config: SingleConfig, { id, train }: Variant, points: number) =>
  single(
    { ...config, train: { ...config.train, ...train }, svd: { ...config.svd, points } },
    `${config.data.operation}/${config.seed} ${id}`,
  )

/** `config` with labels shuffled: the training set can be learned by heart, and nothing else. */
export const shuffled = (config: SingleConfig, points: number, maxSteps: number) =>
  single(
    {
      ...config,
      data: { ...config.data, labels: "shuffled" },
      train: { ...config.train, maxSteps },
      svd: { ...config.svd, points },
    },
    `${config.data.operation}/${config.seed} shuffled labels`,
  )
