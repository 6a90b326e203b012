/** The measurement that most experiments share: rows → rolling SVD → coupling to the centroids, against one null. */
import type { Block } from "../model/blocks.ts"
import { type CaptureConfig, captureGradients } from "../stages/captureGradients.ts"
import type { Dataset, NullEnergies, ProbeConfig, RowSource, TrainedRun } from "../stages/contracts.ts"
import { type Coupling, measureCoupling } from "../stages/measureCoupling.ts"
import { measureNull } from "../stages/measureNull.ts"
import { rollingSvd, type SvdConfig } from "../stages/rollingSvd.ts"
import { type Node, node, type Wired } from "./Node.ts"

/**
 * Where the gradient batch, the probes and the random directions are drawn from. `published`: one draw for all training
 * seeds, as in the published scripts. `per-seed`: each run has its own, so that seeds differ in the draw, too.
 */
export const samplings = ["published", "per-seed"] as const
export type Sampling = (typeof samplings)[number]

/** The seed of what is drawn to measure a run with. */
export const drawSeedOf = (sampling: Sampling, seed: number): number => (sampling === "published" ? 0 : seed)

/** A trained run with its data, by a name that progress shows, and the block of its parameters that is looked at. */
export interface Trained {
  readonly name: string
  /** Of the training. */
  readonly seed: number
  /** Of what is drawn to measure it with. */
  readonly drawSeed: number
  readonly data: Node<Dataset>
  readonly run: Node<TrainedRun>
  readonly block: Block
}

/** Where along a run is measured, and against how many random directions. */
export interface Points {
  readonly points: number
  readonly every: number
  readonly draws: number
}

export const nullOf = (
  { name, drawSeed, data, run, block }: Trained,
  probe: typeof ProbeConfig.Type,
  { points, every, draws }: Points,
  qualifier = "",
): Node<typeof NullEnergies.Type> =>
  node(
    measureNull,
    { data, run, probe, block, points, every, draws, seed: drawSeed },
    `${name} ${qualifier}`.trim(),
  )

/** The captured gradients of a run: of a fixed batch, or of the training's own minibatches. */
export const gradientsOf = (
  { name, seed, drawSeed, data, run, block }: Trained,
  capture: CaptureConfig,
  qualifier = "",
) =>
  node(
    captureGradients,
    { data, run, capture, block, seed: capture.batch === "step" ? seed : drawSeed },
    `${name} ${qualifier}`.trim(),
  )

export const sedOf = (
  { name }: Trained,
  rows: Wired<RowSource>,
  svd: typeof SvdConfig.Type,
  qualifier: string,
) => node(rollingSvd, { rows, svd }, `${name} ${qualifier}`.trim())

export const couplingOf = (
  { name, drawSeed, data }: Trained,
  rows: Wired<RowSource>,
  directions: ReturnType<typeof sedOf>,
  reference: Node<typeof NullEnergies.Type>,
  qualifier: string,
): Node<Coupling> =>
  node(
    measureCoupling,
    { data, rows, directions, null: reference, seed: drawSeed },
    `${name} ${qualifier}`.trim(),
  )
