/**
 * One trunk trained on several operations at once, each with a head of its own (experiment.md §3–5): do the shared
 * updates couple to an operation's centroids, do the gradients of its own loss, do those of the summed loss, and do those
 * of a null objective on its head?
 */
import { needsInverse, type Operation } from "../numerics/modular.ts"
import type { CaptureConfig } from "../stages/captureGradients.ts"
import { generateData } from "../stages/generateData.ts"
import { train } from "../stages/train.ts"
import type { TrainConfig } from "../stages/training.ts"
import { couplingOf, drawSeedOf, gradientsOf, nullOf, sedOf, type Trained } from "./coupling.ts"
import { node } from "./Node.ts"
import type { SingleConfig } from "./single.ts"

export interface MultitaskConfig {
  readonly operations: readonly [Operation, ...Array<Operation>]
  readonly train: TrainConfig
  readonly points: number
  /** Checkpoints from one row to the next; the largest is the published cadence and the grid of measurement points. */
  readonly strides: ReadonlyArray<number>
}

export const estimators = [
  "update",
  "per-op-gradient",
  "aggregated-gradient",
  "random-logits",
  "permuted-labels",
] as const
export type Estimator = (typeof estimators)[number]

/**
 * What gradient batches and probes are drawn from. `published`: all p² pairs, those with a 0 included, which are never
 * trained on; without them where the operation excludes 0. `trained`: the pairs of the table.
 */
export type Range = "published" | "trained"

export const multitask = (
  { model, data: { modulus, trainFraction, labels }, block, sampling, capture, svd, probe }: SingleConfig,
  { operations, train: training, points, strides }: MultitaskConfig,
  seed: number,
  ranges: ReadonlyArray<Range>,
) => {
  const name = `multitask/${seed}`
  const data = node(generateData, { operations, modulus, trainFraction, labels, seed }, name)
  const run = node(train, { data, model, train: training, seed }, name)
  const trained: Trained = { name, seed, drawSeed: drawSeedOf(sampling, seed), data, run, block }
  const { draws, ...probing } = probe
  const every = Math.max(...strides)
  const config = { window: svd.window, rank: svd.rank, points, every, placement: "published" } as const
  const isGrid = (range: Range, operation: Operation) => range === "published" && !needsInverse(operation)

  const directionsOf = (rows: Parameters<typeof sedOf>[1], qualifier: string) => ({
    rows,
    directions: sedOf(trained, rows, config, qualifier),
  })
  const gradientRows = (changes: Partial<CaptureConfig>, qualifier: string) => {
    const gradients = gradientsOf(trained, { ...capture, ...changes }, qualifier)
    return directionsOf({ kind: "gradient", run, gradients }, qualifier)
  }
  /** Rows and directions that the operations share, by stride. */
  const shared = strides.map((stride) => ({
    stride,
    update: directionsOf({ kind: "update", run, stride, block }, `update stride ${stride}`),
    "aggregated-gradient": gradientRows({ stride, task: null }, `summed gradient stride ${stride}`),
  }))

  const couplings = ranges.flatMap((range) =>
    operations.flatMap((operation, task) => {
      const grid = isGrid(range, operation)
      const of = range === "published" ? operation : `${operation} trained pairs`
      const reference = nullOf(
        trained,
        { ...probing, from: grid ? "grid" : "table", task },
        { points, every, draws },
        of,
      )
      const ownRows = (stride: number, objective: CaptureConfig["objective"]) =>
        gradientRows(
          { stride, task, objective, batch: grid ? "grid" : capture.batch },
          `${of} ${objective} stride ${stride}`,
        )
      return shared.flatMap(({ stride, ...rows }) => {
        const isCoarse = stride === every
        // The other range is looked at with the published cadence alone.
        if (range === "trained" && !isCoarse) return []
        const own = {
          "per-op-gradient": ownRows(stride, "loss"),
          // Null objectives, too.
          ...(isCoarse
            ? {
                "random-logits": ownRows(stride, "random-logits"),
                "permuted-labels": ownRows(stride, "permuted-labels"),
              }
            : {}),
        }
        return estimators.flatMap((estimator) => {
          const found = { ...rows, ...own }[estimator]
          if (found === undefined) return []
          const qualifier = `${of} ${estimator} stride ${stride}`
          const coupling = couplingOf(trained, found.rows, found.directions, reference, qualifier)
          return [{ range, operation, stride, estimator, directions: found.directions, coupling }]
        })
      })
    }),
  )
  return { ...trained, operations, couplings }
}
export type Multitask = ReturnType<typeof multitask>
