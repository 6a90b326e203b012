/**
 * How much the coupling of one run depends on choices that the paper makes, or makes silently: window, rank, ε, gradient
 * batch, draw of the probes, what a centroid is, and noise (experiment.md §4, §5, §7). Windows are placed as published;
 * fewer measurement points than the headline. Gradients of random logits stand beside those of the loss, so that the null
 * can be attacked by the same choices.
 */
import type { CaptureConfig } from "../stages/captureGradients.ts"
import { compareDirections } from "../stages/compareDirections.ts"
import type { ProbeConfig, RowSource } from "../stages/contracts.ts"
import type { Coupling } from "../stages/measureCoupling.ts"
import { measurePerExample } from "../stages/measurePerExample.ts"
import { train } from "../stages/train.ts"
import { couplingOf, drawSeedOf, gradientsOf, nullOf, type Points, sedOf, type Trained } from "./coupling.ts"
import { type Node, node, type Wired } from "./Node.ts"
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
  /** Seeds of other probes and random directions. */
  readonly probeSeeds: ReadonlyArray<number>
  /** Variances of added noise, in units of a batch's: the training minibatch's, and the mixed batch's that is captured. */
  readonly noise: ReadonlyArray<number>
  readonly perExample: { readonly examples: number; readonly rank: number }
}

const kinds = ["update", "gradient", "random-logits"] as const
type Kind = (typeof kinds)[number]

/** A value for each kind of row. */
const ofKinds = <A>(f: (kind: Kind) => A): Readonly<Record<Kind, A>> => ({
  update: f("update"),
  gradient: f("gradient"),
  "random-logits": f("random-logits"),
})

export const sensitivity = (base: Single, options: SensitivityConfig) => {
  const { config, name, seed, data, run, block } = base
  const { draws, ...probe } = config.probe
  const sampling: Points = { points: options.points, every: 1, draws }
  const { updates: _, ...sedConfig } = config.svd
  const at = { ...sedConfig, points: options.points, every: 1, placement: "published" } as const

  const updates: Wired<RowSource> = { kind: "update", run, stride: 1, block }
  const gradientRows = (gradients: ReturnType<typeof gradientsOf>) =>
    ({ kind: "gradient", run, gradients }) as const
  const rows = ofKinds((kind) => (kind === "update" ? updates : gradientRows(base.gradients[kind])))
  const sed = (kind: Kind, changes: Partial<typeof sedConfig> = {}, qualifier = "") =>
    sedOf(base, rows[kind], { ...at, ...changes }, `${kind} ${qualifier}`.trim())

  const reference = nullOf(base, probe, sampling, "sweep")
  const seds = ofKinds((kind) => sed(kind))

  const windows = options.windows.map((window) => ({
    window,
    ...ofKinds((kind) => {
      const qualifier = `W=${window}`
      const directions = sed(kind, { window, rank: Math.min(window, at.rank) }, qualifier)
      return couplingOf(base, rows[kind], directions, reference, `${kind} ${qualifier}`)
    }),
  }))

  const probed = (changes: Partial<typeof ProbeConfig.Type>, qualifier: string, trained: Trained = base) => {
    const against = nullOf(trained, { ...probe, ...changes }, sampling, qualifier)
    return ofKinds((kind) => couplingOf(trained, rows[kind], seds[kind], against, `${kind} ${qualifier}`))
  }
  const epsilons = options.epsilons.map((epsilon) => ({
    epsilon,
    ...probed({ epsilon }, epsilon === 0 ? "exact" : `ε=${epsilon}`),
  }))
  const logitSum = probed({ centroid: "logit-sum" }, "sum of logits")
  const probeSeeds = options.probeSeeds.map((drawSeed) => ({
    drawSeed,
    ...probed({}, `probe seed ${drawSeed}`, { ...base, drawSeed }),
  }))

  const rank = Math.max(...options.ranks)
  const ranked = ofKinds((kind) =>
    couplingOf(base, rows[kind], sed(kind, { rank }, `K=${rank}`), reference, `${kind} K=${rank}`),
  )

  const capturedAs = (changes: Partial<CaptureConfig>, qualifier: string) => {
    const captured = gradientsOf(base, { ...config.capture, ...changes }, qualifier)
    const own = gradientRows(captured)
    const directions = sedOf(base, own, at, `gradient ${qualifier}`)
    const coupling = couplingOf(base, own, directions, reference, `gradient ${qualifier}`)
    return { captured, rows: own, directions, coupling }
  }
  const batches = (["train", "mixed-full", "train-full", "step"] as const).map((batch) => {
    const batchSize = batch === "step" ? config.train.batchSize : config.capture.batchSize
    return { batch, ...capturedAs({ batch, batchSize }, batch) }
  })
  const [train512, wholeTable, full, step] = batches
  const mixed512 = { rows: rows.gradient, directions: seds.gradient }
  /** Random logits on another batch. */
  const otherBatch = capturedAs({ batch: "train", objective: "random-logits" }, "random-logits train")

  /** Batch, probes and random directions of this run's own. */
  const own: Trained = { ...base, name: `${name} own draws`, drawSeed: drawSeedOf("per-seed", seed) }
  const ownReference = nullOf(own, probe, sampling)
  const ownDraws = ofKinds((kind) => {
    const ownRows =
      kind === "update"
        ? updates
        : gradientRows(
            gradientsOf(own, { ...config.capture, objective: kind === "gradient" ? "loss" : kind }, kind),
          )
    return couplingOf(own, ownRows, sedOf(own, ownRows, at, kind), ownReference, kind)
  })

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
    { of: "mixed batch", full: wholeTable.captured, step: base.gradients.gradient },
  ] as const
  const noise = noises.flatMap(({ of, ...captures }) =>
    options.noise.map((multiple) => {
      const gradients = base.gradients.gradient
      const noisy = { kind: "noisy-gradient", run, gradients, ...captures, multiple, seed } as const
      const qualifier = `noise of ${of} ×${multiple}`
      const directions = sedOf(base, noisy, at, qualifier)
      return { of, multiple, coupling: couplingOf(base, noisy, directions, reference, qualifier) }
    }),
  )

  const perExample = node(
    measurePerExample,
    { data, run, probe, block, ...options.perExample, draws, seed: base.drawSeed },
    name,
  )
  return {
    ...base,
    /** The run itself at the points of the sweeps. */
    baseline: ofKinds((kind) => couplingOf(base, rows[kind], seds[kind], reference, `${kind} sweep`)),
    windows,
    epsilons,
    logitSum,
    probeSeeds,
    ownDraws,
    ranked,
    batches,
    otherBatch,
    alignments,
    noise,
    perExample,
  }
}
export type Sensitivity = ReturnType<typeof sensitivity>

/** One measurement of a sweep, as tables have it. */
export interface Swept {
  readonly setting: string
  readonly value: string
  readonly rows: Kind
  readonly seed: number
  /** W. */
  readonly window: number
  readonly node: Node<Coupling>
}

/** One value of a setting, for every kind of rows that it was measured for. */
const sweptAs = (
  setting: string,
  value: string | number,
  nodes: Readonly<Partial<Record<Kind, Node<Coupling>>>>,
  of: Pick<Swept, "seed" | "window">,
): ReadonlyArray<Swept> =>
  kinds.flatMap((rows) => {
    const node = nodes[rows]
    return node === undefined ? [] : [{ setting, value: String(value), rows, ...of, node }]
  })

/** Everything that was swept on a run, but for the rank, which is one measurement. */
export const sweptOf = (run: Sensitivity): ReadonlyArray<Swept> => {
  const { seed } = run
  const usual = { seed, window: run.config.svd.window }
  const as = (setting: string, value: string | number, nodes: Parameters<typeof sweptAs>[2]) =>
    sweptAs(setting, value, nodes, usual)
  return [
    ...as("baseline", "baseline", run.baseline),
    ...run.windows.flatMap(({ window, ...nodes }) => sweptAs("window", window, nodes, { seed, window })),
    ...run.epsilons.flatMap((at) => as("epsilon", at.epsilon, at)),
    ...as("centroid", "logit-sum", run.logitSum),
    ...as("draws", "own", run.ownDraws),
    ...run.probeSeeds.flatMap((at) => as("probe-seed", at.drawSeed, at)),
    ...run.batches.flatMap((at) => as("batch", at.batch, { gradient: at.coupling })),
    ...as("batch", "train", { "random-logits": run.otherBatch.coupling }),
    ...run.noise.flatMap((at) =>
      as(at.of === "training batch" ? "noise" : "mixed-noise", at.multiple, { gradient: at.coupling }),
    ),
  ]
}

/** Long windows need more checkpoints than a run has: the same run with a finer cadence, and its coupling. */
export const fineSensitivity = (base: Single, { fine, points }: SensitivityConfig) => {
  const { config, name, seed, drawSeed, data, block } = base
  const { draws, ...probe } = config.probe
  const sampling: Points = { points, every: 1, draws }
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
  const trained: Trained = { name: label, seed, drawSeed, data, run, block }
  const gradients = gradientsOf(trained, config.capture)
  const reference = nullOf(trained, probe, sampling)
  const windows = fine.windows.map((window) => {
    const couplingFor = (kind: "update" | "gradient") => {
      const rows =
        kind === "update" ? ({ kind, run, stride: 1, block } as const) : ({ kind, run, gradients } as const)
      const svd = { window, rank: config.svd.rank, points, every: 1, placement: "published" } as const
      const directions = sedOf(trained, rows, svd, `${kind} W=${window}`)
      return couplingOf(trained, rows, directions, reference, `${kind} W=${window}`)
    }
    return { window, update: couplingFor("update"), gradient: couplingFor("gradient") }
  })
  return { ...trained, windows }
}
export type FineSensitivity = ReturnType<typeof fineSensitivity>

/** The windows of the finer cadence, as tables have them. */
export const finelySweptOf = ({ seed, windows }: FineSensitivity): ReadonlyArray<Swept> =>
  windows.flatMap(({ window, ...nodes }) => sweptAs("fine-window", window, nodes, { seed, window }))
