/**
 * One run of one operation, end to end: how strongly the directions of a rolling SVD of updates, and of one of
 * gradients, couple to the centroids while the network groks (experiment.md §1–5).
 */
import { Effect, Schema } from "effect"
import { type Block, blocks, problemOfBlock } from "../model/blocks.ts"
import { operations } from "../numerics/modular.ts"
import { CaptureConfig, captureGradients } from "../stages/captureGradients.ts"
import { Count, ModelConfig, ProbeConfig, Seed } from "../stages/contracts.ts"
import { MOST_DRAWS } from "../stages/directions.ts"
import { DataConfig, generateData, problemOf } from "../stages/generateData.ts"
import { SvdConfig } from "../stages/rollingSvd.ts"
import { train } from "../stages/train.ts"
import { TrainConfig } from "../stages/training.ts"
import { couplingOf, nullOf, sedOf, type Trained } from "./coupling.ts"
import { type Node, node } from "./Node.ts"

const { modulus, trainFraction, labels } = DataConfig.fields
const { window, rank, points, every } = SvdConfig.fields

/** A configuration's model has the block that it asks for. */
export const hasBlock = Schema.makeFilter(
  ({ block, model }: { readonly block: Block; readonly model: typeof ModelConfig.Type }) => {
    const issue = problemOfBlock(block, model)
    return issue === undefined ? true : { path: ["block"], issue }
  },
)

export const SingleConfig = Schema.Struct({
  seed: Seed,
  data: Schema.Struct({ operation: Schema.Literals(operations), modulus, trainFraction, labels }).check(
    Schema.makeFilter(({ operation, ...data }) => problemOf({ ...data, operations: [operation] })),
  ),
  model: ModelConfig,
  train: TrainConfig,
  /** The block of the parameters whose gradients and updates are looked at, and in which the model is perturbed. */
  block: Schema.Literals(blocks).pipe(Schema.withDecodingDefaultKey(Effect.succeed<Block>("attention"))),
  capture: CaptureConfig,
  svd: Schema.Struct({ window, rank, points, every }).check(
    Schema.makeFilter(({ window, rank }) =>
      rank <= window ? true : { path: ["rank"], issue: `Expected at most svd.window ${window}, got ${rank}` },
    ),
  ),
  probe: Schema.Struct({
    ...ProbeConfig.fields,
    draws: Count(MOST_DRAWS),
  }),
}).check(hasBlock)
export type SingleConfig = typeof SingleConfig.Type

const kinds = ["update", "gradient"] as const
const directions = ["forward", "backward"] as const

/** @param name tells it from others in the progress of a larger pipeline */
export const single = (config: SingleConfig, name = "") => {
  const { seed, data: dataConfig, model, train: trainConfig, block, capture, svd, probe } = config
  const { operation, ...splitting } = dataConfig
  const { draws, ...probing } = probe
  const data = node(generateData, { operations: [operation], ...splitting, seed }, name)
  const run = node(train, { data, model, train: trainConfig, seed }, name)
  const trained: Trained = { name, seed, data, run, block }
  const gradients = node(captureGradients, { data, run, capture, block, seed }, name)
  const reference = nullOf(trained, probing, { points: svd.points, every: svd.every, draws })
  const couplings = kinds.flatMap((kind) => {
    const rows = kind === "update" ? { kind, run, stride: 1, block } : { kind, run, gradients }
    return directions.map((direction) => {
      const sed = sedOf(trained, rows, { ...svd, direction }, `${kind} ${direction}`)
      const coupling = couplingOf(trained, rows, sed, reference, `${kind} ${direction}`)
      return { kind, direction, rows, sed, coupling }
    })
  })
  return { ...trained, config, gradients, reference, couplings }
}
export type Single = ReturnType<typeof single>

/** The nodes whose outputs a run of the pipeline ends with. */
export const targets = ({ run, couplings }: Single): ReadonlyArray<Node<unknown>> => [
  run,
  ...couplings.map(({ coupling }) => coupling),
]
