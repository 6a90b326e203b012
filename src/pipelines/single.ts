/**
 * One run of one operation, end to end: how strongly the directions of a rolling SVD of updates, and of one of
 * gradients, couple to the centroids while the network groks (experiment.md §1–5).
 */
import { Effect, Schema } from "effect"
import { type Block, blocks, problemOfBlock } from "../model/blocks.ts"
import { operations } from "../numerics/modular.ts"
import { CaptureConfig } from "../stages/captureGradients.ts"
import { captureSteps } from "../stages/captureSteps.ts"
import { Count, ModelConfig, ProbeConfig, type RowSource, Seed } from "../stages/contracts.ts"
import { MOST_DRAWS } from "../stages/directions.ts"
import { DataConfig, generateData, problemOf } from "../stages/generateData.ts"
import { SvdConfig } from "../stages/rollingSvd.ts"
import { train } from "../stages/train.ts"
import { TrainConfig } from "../stages/training.ts"
import {
  couplingOf,
  drawSeedOf,
  gradientsOf,
  nullOf,
  type Sampling,
  samplings,
  sedOf,
  type Trained,
} from "./coupling.ts"
import { type Node, node, type Wired } from "./Node.ts"

const { modulus, trainFraction, labels } = DataConfig.fields
const { window, rank, points, every } = SvdConfig.fields

const updates = ["checkpoint", "step", "expanding"] as const
type UpdateRows = (typeof updates)[number]

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
  /** Whether the gradient batch, the probes and the random directions are the same for all seeds (`Sampling` of coupling.ts). */
  sampling: Schema.Literals(samplings).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed<Sampling>("published")),
  ),
  capture: CaptureConfig,
  svd: Schema.Struct({
    window,
    rank,
    /**
     * The rows of the update SED: `checkpoint`, the ways from one checkpoint to the next; `step`, the updates of single
     * training steps; `expanding`, the displacements from the initialisation to every checkpoint so far, centred.
     */
    updates: Schema.Literals(updates).pipe(
      Schema.withDecodingDefaultKey(Effect.succeed<UpdateRows>("checkpoint")),
    ),
    points,
    every,
  }).check(
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

/** What the directions of a run are those of: its updates, its gradients, or the gradients of a null objective. */
export const kinds = ["update", "gradient", "random-logits", "permuted-labels"] as const
export type Kind = (typeof kinds)[number]

/** The placements that a run is measured with; `published` is that of the paper's claims. */
export const measuredPlacements = ["published", "backward"] as const
export type MeasuredPlacement = (typeof measuredPlacements)[number]

/** @param name tells it from others in the progress of a larger pipeline */
export const single = (config: SingleConfig, name = "") => {
  const { seed, data: dataConfig, model, train: trainConfig, block, sampling, capture, svd, probe } = config
  const { operation, ...splitting } = dataConfig
  const { draws, ...probing } = probe
  const { updates, ...sedConfig } = svd
  const data = node(generateData, { operations: [operation], ...splitting, seed }, name)
  const run = node(train, { data, model, train: trainConfig, seed }, name)
  const trained: Trained = { name, seed, drawSeed: drawSeedOf(sampling, seed), data, run, block }
  const reference = nullOf(trained, probing, { points: svd.points, every: svd.every, draws })

  const gradientsBy = (objective: CaptureConfig["objective"]) =>
    gradientsOf(trained, { ...capture, objective }, objective === "loss" ? "" : objective)
  const gradients = {
    gradient: gradientsBy(capture.objective),
    "random-logits": gradientsBy("random-logits"),
    "permuted-labels": gradientsBy("permuted-labels"),
  }

  const updateRows = (placement: MeasuredPlacement): Wired<RowSource> => {
    if (updates === "expanding") return { kind: "displacement", run, stride: 1, block }
    if (updates === "checkpoint") return { kind: "update", run, stride: 1, block }
    const { window, points, every } = svd
    const steps = node(
      captureSteps,
      { data, run, train: trainConfig, points, every, window, placement, block, seed },
      `${name} ${placement}`.trim(),
    )
    return { kind: "step-update", run, steps }
  }

  const couplings = kinds.flatMap((kind) => {
    const isExpanding = kind === "update" && updates === "expanding"
    // An expanding window is already one that looks back.
    const placements = isExpanding ? (["published"] as const) : measuredPlacements
    return placements.map((placement) => {
      const rows: Wired<RowSource> =
        kind === "update" ? updateRows(placement) : { kind: "gradient", run, gradients: gradients[kind] }
      const qualifier = `${kind} ${isExpanding ? "expanding" : placement}`
      const sed = sedOf(
        trained,
        rows,
        { ...sedConfig, placement: isExpanding ? "expanding" : placement },
        qualifier,
      )
      return { kind, placement, rows, sed, coupling: couplingOf(trained, rows, sed, reference, qualifier) }
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
