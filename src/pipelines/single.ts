/**
 * One run of one operation, end to end: how strongly the directions of a rolling SVD of updates, and of one of
 * gradients, couple to the centroids while the network groks (experiment.md §1–5).
 */
import { Schema } from "effect"
import { CaptureConfig, captureGradients } from "../stages/captureGradients.ts"
import { Count, ModelConfig, ProbeConfig, Seed } from "../stages/contracts.ts"
import { MOST_DRAWS } from "../stages/directions.ts"
import { DataConfig, generateData } from "../stages/generateData.ts"
import { measureCoupling } from "../stages/measureCoupling.ts"
import { measureNull } from "../stages/measureNull.ts"
import { rollingSvd, SvdConfig } from "../stages/rollingSvd.ts"
import { TrainConfig, train } from "../stages/train.ts"
import { type Node, node } from "./Node.ts"

const { window, rank, points } = SvdConfig.fields

export const SingleConfig = Schema.Struct({
  seed: Seed,
  data: DataConfig,
  model: ModelConfig,
  train: TrainConfig,
  capture: CaptureConfig,
  svd: Schema.Struct({ window, rank, points }).check(
    Schema.makeFilter(({ window, rank }) =>
      rank <= window ? true : { path: ["rank"], issue: `Expected at most svd.window ${window}, got ${rank}` },
    ),
  ),
  probe: Schema.Struct({
    ...ProbeConfig.fields,
    draws: Count(MOST_DRAWS),
  }),
})
export type SingleConfig = typeof SingleConfig.Type

/** The paper's sizes and hyper-parameters. */
export const paper: SingleConfig = {
  seed: 42,
  data: { operation: "add", modulus: 97, trainFraction: 0.5 },
  model: { width: 128, heads: 4, feedForward: 256, layers: 2 },
  train: {
    learningRate: 1e-3,
    beta1: 0.9,
    beta2: 0.98,
    epsilon: 1e-8,
    weightDecay: 1,
    clipNorm: 1,
    batchSize: 512,
    maxSteps: 8000,
    evaluateEvery: 25,
    stop: { accuracy: 0.98, count: 20, consecutive: false },
  },
  capture: { batch: "mixed", batchSize: 512 },
  svd: { window: 20, rank: 3, points: 40 },
  probe: { probes: 1024, epsilon: 0.005, draws: 20 },
}

/** Everything small: checks that the machinery runs, says nothing about grokking. */
export const smoke: SingleConfig = {
  ...paper,
  data: { operation: "add", modulus: 23, trainFraction: 0.5 },
  model: { width: 32, heads: 4, feedForward: 64, layers: 2 },
  train: { ...paper.train, batchSize: 128, maxSteps: 1000 },
  capture: { batch: "mixed", batchSize: 128 },
  svd: { window: 20, rank: 3, points: 10 },
  probe: { probes: 128, epsilon: 0.005, draws: 20 },
}

const kinds = ["update", "gradient"] as const
const directions = ["forward", "backward"] as const

export const single = ({
  seed,
  data: dataConfig,
  model,
  train: trainConfig,
  capture,
  svd,
  probe,
}: SingleConfig) => {
  const data = node(generateData, { ...dataConfig, seed })
  const run = node(train, { data, model, train: trainConfig, seed })
  const gradients = node(captureGradients, { data, run, capture, seed })
  const { draws, ...probing } = probe
  const reference = node(measureNull, { data, run, probe: probing, points: svd.points, draws, seed })
  const couplings = kinds.flatMap((kind) => {
    const rows = kind === "update" ? { kind, run } : { kind, run, gradients }
    return directions.map((direction) => {
      const qualifier = `${kind} ${direction}`
      const sed = node(rollingSvd, { rows, svd: { ...svd, direction } }, qualifier)
      const input = { data, rows, directions: sed, null: reference, seed }
      return { kind, direction, coupling: node(measureCoupling, input, qualifier) }
    })
  })
  return { data, run, couplings }
}

/** The nodes whose outputs a run of the pipeline ends with. */
export const targets = ({ run, couplings }: ReturnType<typeof single>): ReadonlyArray<Node<unknown>> => [
  run,
  ...couplings.map(({ coupling }) => coupling),
]
