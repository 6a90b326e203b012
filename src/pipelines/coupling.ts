/** The measurement that most experiments share: rows → rolling SVD → coupling to the centroids, against one null. */
import type { Block } from "../model/blocks.ts"
import type { Dataset, NullEnergies, ProbeConfig, RowSource, TrainedRun } from "../stages/contracts.ts"
import { type Coupling, measureCoupling } from "../stages/measureCoupling.ts"
import { measureNull } from "../stages/measureNull.ts"
import { rollingSvd, type SvdConfig } from "../stages/rollingSvd.ts"
import { type Node, node, type Wired } from "./Node.ts"

/** A trained run with its data, by a name that progress shows, and the block of its parameters that is looked at. */
export interface Trained {
  readonly name: string
  readonly seed: number
  readonly data: Node<Dataset>
  readonly run: Node<TrainedRun>
  readonly block: Block
}

/** Where along a run is measured, and against how many random directions. */
export interface Sampling {
  readonly points: number
  readonly every: number
  readonly draws: number
}

export const nullOf = (
  { name, seed, data, run, block }: Trained,
  probe: typeof ProbeConfig.Type,
  { points, every, draws }: Sampling,
  qualifier = "",
): Node<typeof NullEnergies.Type> =>
  node(measureNull, { data, run, probe, block, points, every, draws, seed }, `${name} ${qualifier}`.trim())

export const sedOf = (
  { name }: Trained,
  rows: Wired<RowSource>,
  svd: typeof SvdConfig.Type,
  qualifier: string,
) => node(rollingSvd, { rows, svd }, `${name} ${qualifier}`.trim())

export const couplingOf = (
  { name, seed, data }: Trained,
  rows: Wired<RowSource>,
  directions: ReturnType<typeof sedOf>,
  reference: Node<typeof NullEnergies.Type>,
  qualifier: string,
): Node<Coupling> =>
  node(measureCoupling, { data, rows, directions, null: reference, seed }, `${name} ${qualifier}`.trim())
