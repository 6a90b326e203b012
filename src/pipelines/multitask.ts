/**
 * One trunk trained on several operations at once, each with a head of its own (experiment.md §3–5): do the shared
 * updates couple to an operation's centroids, do the gradients of its own loss, do those of the summed loss?
 */
import type { Operation } from "../numerics/modular.ts"
import { captureGradients } from "../stages/captureGradients.ts"
import { generateData } from "../stages/generateData.ts"
import { train } from "../stages/train.ts"
import type { TrainConfig } from "../stages/training.ts"
import { couplingOf, nullOf, sedOf, type Trained } from "./coupling.ts"
import { node } from "./Node.ts"
import type { SingleConfig } from "./single.ts"

export interface MultitaskConfig {
  readonly operations: readonly [Operation, ...Array<Operation>]
  readonly train: TrainConfig
  readonly points: number
  /** Checkpoints from one row to the next; the largest is also the grid of measurement points. */
  readonly strides: ReadonlyArray<number>
}

export const estimators = ["update", "per-op-gradient", "aggregated-gradient"] as const
export type Estimator = (typeof estimators)[number]

/**
 * @param from what probes are drawn from: the trained pairs, which leave 0 out, or all pairs; the latter at the coarsest
 * stride only
 */
export const multitask = (
  { model, data: { modulus, trainFraction, labels }, block, capture, svd, probe }: SingleConfig,
  { operations, train: training, points, strides }: MultitaskConfig,
  seed: number,
  from: ReadonlyArray<"table" | "grid">,
) => {
  const name = `multitask/${seed}`
  const data = node(generateData, { operations, modulus, trainFraction, labels, seed }, name)
  const run = node(train, { data, model, train: training, seed }, name)
  const trained: Trained = { name, seed, data, run, block }
  const { draws, ...probing } = probe
  const every = Math.max(...strides)
  const config = { window: svd.window, rank: svd.rank, points, every, direction: "forward" } as const

  const gradientRows = (stride: number, task: number | null) => {
    const qualifier = `${name} ${task === null ? "summed" : operations[task]} stride ${stride}`
    const gradients = node(
      captureGradients,
      { data, run, capture: { ...capture, stride, task }, block, seed },
      qualifier,
    )
    return { kind: "gradient", run, gradients } as const
  }
  /** Rows and directions of each estimator, at one stride. */
  const sources = strides.map((stride) => {
    const update = { kind: "update", run, stride, block } as const
    const summed = gradientRows(stride, null)
    const own = operations.map((_, task) => gradientRows(stride, task))
    const directions = (rows: typeof update | typeof summed, qualifier: string) => ({
      rows,
      directions: sedOf(trained, rows, config, `${qualifier} stride ${stride}`),
    })
    return {
      stride,
      update: directions(update, "update"),
      aggregated: directions(summed, "summed gradient"),
      own: own.map((rows, task) => directions(rows, `${operations[task]} gradient`)),
    }
  })

  const couplings = from.flatMap((range) =>
    operations.flatMap((operation, task) => {
      const of = range === "table" ? operation : `${operation} with 0`
      const reference = nullOf(trained, { ...probing, from: range, task }, { points, every, draws }, of)
      return sources.flatMap(({ stride, update, aggregated, own }) => {
        if (range === "grid" && stride !== every) return []
        const estimated = { update, "per-op-gradient": own[task], "aggregated-gradient": aggregated }
        return estimators.map((estimator) => {
          const { rows, directions } = estimated[estimator]
          const qualifier = `${of} ${estimator} stride ${stride}`
          return {
            range,
            operation,
            stride,
            estimator,
            coupling: couplingOf(trained, rows, directions, reference, qualifier),
          }
        })
      })
    }),
  )
  return { ...trained, operations, couplings }
}
export type Multitask = ReturnType<typeof multitask>
