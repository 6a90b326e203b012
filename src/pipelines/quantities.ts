/** Numbers that claims are made of, as nodes. */
import type { ColumnTable } from "arquero"
import { mean } from "../numerics/statistics.ts"
import { numbers } from "../services/formats/parquet.ts"
import type { Coupling } from "../stages/measureCoupling.ts"
import type { Quantity } from "./Claim.ts"
import { map } from "./derive.ts"
import type { Node } from "./Node.ts"
import type { PaperConfig } from "./paper.ts"
import type { Single } from "./single.ts"

/** Where a published number stands. */
export const text = "published text"
export const code = "published numbers"
export const review = "a reviewer's simulated rebuttal"

export type Kind = "update" | "gradient"
export type Direction = "forward" | "backward"
export type Points = "all" | "fullWindows"

export const where: Record<Points, string> = { all: "all points", fullWindows: "points with full windows" }

/** What a peak depends on by itself: rows in a window, directions, and at how many points of a run it was looked for. */
export const sizes = (of: {
  readonly window: number
  readonly rank?: number
  readonly points: number
}): string => `W = ${of.window}, ${of.rank === undefined ? "" : `K = ${of.rank}, `}${of.points} points`

/** A number for each seed. */
export const quantity = (definition: string, unit: string, perSeed: Quantity["perSeed"]): Quantity => ({
  definition,
  unit,
  perSeed,
})

export const couplingNode = (
  { couplings }: Pick<Single, "couplings">,
  kind: Kind,
  direction: Direction,
): Node<Coupling> => {
  const found = couplings.find((one) => one.kind === kind && one.direction === direction)
  if (found === undefined) throw new Error(`single has no ${direction} coupling of ${kind} rows`)
  return found.coupling
}

/** Peak of R̄ over the run. */
export const peak = (coupling: Node<Coupling>, points: Points = "all"): Node<number | null> =>
  map(coupling, (measured) => measured[points].peak)

/** Peak of the mean of R₁…R_k over a coupling's series, where all k are known; null where they nowhere are. */
export const peakOfMeans = (series: ColumnTable, k: number, points: Points = "all"): number | null => {
  const columns = Array.from({ length: k }, (_, i) => numbers(series, `R${i + 1}`))
  const isFull = series.array("fullWindow")
  const means = Array.from(columns[0], (_, point) => mean(columns.map((column) => column[point])))
  const known = means.filter((value, point) => Number.isFinite(value) && (points === "all" || isFull[point]))
  return known.length === 0 ? null : Math.max(...known)
}

/** Peak of R₁ over the run. */
export const firstPeak = (coupling: Node<Coupling>, points: Points = "all"): Node<number | null> =>
  map(coupling, ({ first }) => first[points].peak)

/** What every peak of the sensitivity analyses depends on by itself. */
export const sweepSizes = (
  { single, sensitivity: { points } }: PaperConfig,
  window = single.svd.window,
): string => sizes({ window, rank: Math.min(window, single.svd.rank), points })
