/**
 * How much the coupling of one run depends on choices that the paper makes, or makes silently: window, rank, ε,
 * gradient batch, what a centroid is, and noise (experiment.md §4, §5, §7). Forward windows throughout, as in the
 * published code; fewer measurement points than the headline.
 */
import { captureGradients } from "../stages/captureGradients.ts"
import { compareDirections } from "../stages/compareDirections.ts"
import type { ProbeConfig } from "../stages/contracts.ts"
import { measurePerExample } from "../stages/measurePerExample.ts"
import { train } from "../stages/train.ts"
import { couplingOf, nullOf, type Sampling, sedOf, type Trained } from "./coupling.ts"
import { node } from "./Node.ts"
import type { Single } from "./single.ts"

export interface SensitivityConfig {
  /** Measurement points of every sweep. */
  readonly points: number
  /** W on the run's own checkpoints. */
  readonly windows: ReadonlyArray<number>
  /** W on checkpoints every `evaluateEvery` steps of a run trained again with that cadence. */
  readonly fine: { readonly windows: ReadonlyArray<number>; readonly evaluateEvery: number }
  /** Displacements; 0 is the exact derivative. */
  readonly epsilons: ReadonlyArray<number>
  /** K; measured once for the largest. */
  readonly ranks: ReadonlyArray<number>
  /** Variances of added noise, in units of a batch's: the training minibatch's, and the mixed batch's that is captured. */
  readonly noise: ReadonlyArray<number>
  readonly perExample: { readonly examples: number; readonly rank: number }
}

const kinds = ["update", "gradient"] as const
type Kind = (typeof kinds)[number]

/** A value for each kind of row. */
const ofKinds = <A>(f: (kind: Kind) => A): Readonly<Record<Kind, A>> => ({
  update: f("update"),
  gradient: f("gradient"),
})

export const sensitivity = (base: Single, options: SensitivityConfig) => {
  const { config, name, seed, data, run, block, gradients } = base
  const { draws, ...probe } = config.probe
  const sampling: Sampling = { points: options.points, every: 1, draws }
  const svd = { ...config.svd, ...sampling, direction: "forward" } as const
  const at = {
    window: svd.window,
    rank: svd.rank,
    points: svd.points,
    every: svd.every,
    direction: svd.direction,
  }

  const rowsOf = (kind: Kind) =>
    kind === "update" ? ({ kind, run, stride: 1, block } as const) : ({ kind, run, gradients } as const)
  const sed = (kind: Kind, changes: Partial<typeof at> = {}, qualifier = "") =>
    sedOf(base, rowsOf(kind), { ...at, ...changes }, `${kind} ${qualifier}`.trim())

  const reference = nullOf(base, probe, sampling, "sweep")
  const seds = ofKinds((kind) => sed(kind))

  const windows = options.windows.map((window) => ({
    window,
    ...ofKinds((kind) => {
      const qualifier = `W=${window}`
      const directions = sed(kind, { window, rank: Math.min(window, at.rank) }, qualifier)
      return couplingOf(base, rowsOf(kind), directions, reference, `${kind} ${qualifier}`)
    }),
  }))

  const probed = (changes: Partial<typeof ProbeConfig.Type>, qualifier: string) => {
    const against = nullOf(base, { ...probe, ...changes }, sampling, qualifier)
    return ofKinds((kind) => couplingOf(base, rowsOf(kind), seds[kind], against, `${kind} ${qualifier}`))
  }
  const epsilons = options.epsilons.map((epsilon) => ({
    epsilon,
    ...probed({ epsilon }, epsilon === 0 ? "exact" : `ε=${epsilon}`),
  }))
  const logitSum = probed({ centroid: "logit-sum" }, "sum of logits")

  const rank = Math.max(...options.ranks)
  const ranked = ofKinds((kind) =>
    couplingOf(base, rowsOf(kind), sed(kind, { rank }, `K=${rank}`), reference, `${kind} K=${rank}`),
  )

  const batches = (["train", "mixed-full", "train-full", "step"] as const).map((batch) => {
    const capture = {
      ...config.capture,
      batch,
      batchSize: batch === "step" ? config.train.batchSize : config.capture.batchSize,
    }
    const captured = node(captureGradients, { data, run, capture, block, seed }, `${name} ${batch}`)
    const rows = { kind: "gradient", run, gradients: captured } as const
    const directions = sedOf(base, rows, at, `gradient ${batch}`)
    return {
      batch,
      captured,
      rows,
      directions,
      coupling: couplingOf(base, rows, directions, reference, `gradient ${batch}`),
    }
  })
  const [train512, wholeTable, full, step] = batches
  const mixed512 = { rows: rowsOf("gradient"), directions: seds.gradient }

  const alignments = (
    [
      ["mixed batch and whole table", mixed512, wholeTable],
      ["training batch and training set", train512, full],
      ["mixed batch and training set", mixed512, full],
    ] as const
  ).map(([between, left, right]) => ({
    between,
    comparison: node(
      compareDirections,
      {
        left: { rows: left.rows, directions: left.directions },
        right: { rows: right.rows, directions: right.directions },
      },
      `${name} ${between}`,
    ),
  }))

  const noises = [
    { of: "training batch", full: full.captured, step: step.captured },
    { of: "mixed batch", full: wholeTable.captured, step: gradients },
  ] as const
  const noise = noises.flatMap(({ of, ...batches }) =>
    options.noise.map((multiple) => {
      const rows = { kind: "noisy-gradient", run, gradients, ...batches, multiple, seed } as const
      const qualifier = `noise of ${of} ×${multiple}`
      const directions = sedOf(base, rows, at, qualifier)
      return { of, multiple, coupling: couplingOf(base, rows, directions, reference, qualifier) }
    }),
  )

  const perExample = node(
    measurePerExample,
    { data, run, probe, block, ...options.perExample, draws, seed },
    name,
  )
  return {
    ...base,
    windows,
    epsilons,
    logitSum,
    ranked,
    batches,
    alignments,
    noise,
    perExample,
  }
}
export type Sensitivity = ReturnType<typeof sensitivity>

/** Long windows need more checkpoints than a run has: the same run with a finer cadence, and its coupling. */
export const fineSensitivity = (base: Single, { fine, points }: SensitivityConfig) => {
  const { config, name, seed, data, block } = base
  const { draws, ...probe } = config.probe
  const sampling: Sampling = { points, every: 1, draws }
  const { evaluateEvery } = fine
  const { stop } = config.train
  const training = {
    ...config.train,
    evaluateEvery,
    // The rule counts evaluations: the same span of steps has more of them.
    stop: { ...stop, count: (stop.count * config.train.evaluateEvery) / evaluateEvery },
  }
  const label = `${name} every ${evaluateEvery}`
  const run = node(train, { data, model: config.model, train: training, seed }, label)
  const trained: Trained = { name: label, seed, data, run, block }
  const gradients = node(captureGradients, { data, run, capture: config.capture, block, seed }, label)
  const reference = nullOf(trained, probe, sampling)
  const windows = fine.windows.map((window) => ({
    window,
    ...ofKinds((kind) => {
      const rows =
        kind === "update" ? ({ kind, run, stride: 1, block } as const) : ({ kind, run, gradients } as const)
      const svd = { window, rank: config.svd.rank, points, every: 1, direction: "forward" } as const
      const directions = sedOf(trained, rows, svd, `${kind} W=${window}`)
      return couplingOf(trained, rows, directions, reference, `${kind} W=${window}`)
    }),
  }))
  return { ...trained, windows }
}
