/** Every leaf of a configuration of `single`: another value, the stages that read it, and those that are run again for it. */
import { Schema } from "effect"
import { SingleConfig } from "../../src/pipelines/single.ts"
import { labels, tiny } from "./tiny.ts"

export interface Leaf {
  readonly value: unknown
  /** Matches the labels of nodes whose own input it is. */
  readonly readers: RegExp
  /** Matches those that are computed again: the readers, and what comes after them as far as outputs change. */
  readonly again: RegExp
}

const all = /./
const data = /^generate-data/
const training = { readers: /^train/, again: /^(?!generate-data)/ }
/** The rule never holds in so short a training: the trajectory is the same, and so is everything after it. */
const stopping = { readers: /^train/, again: /^train/ }
const capturing = { readers: /^capture-gradients/, again: /gradient|random-logits|permuted-labels/ }
const windowing = { readers: /^rolling-svd/, again: /svd|coupling/ }
const placing = { readers: /^(rolling-svd|measure-null)/, again: /svd|null|coupling/ }
const probing = { readers: /^measure-null/, again: /null|coupling/ }

export const leaves: Readonly<Record<string, Leaf>> = {
  // What runs are measured with is drawn under a key of its own.
  seed: { value: 43, readers: /^(generate-data|train)/, again: all },
  "data.operation": { value: "sub", readers: data, again: all },
  "data.modulus": { value: 11, readers: data, again: all },
  "data.trainFraction": { value: 0.6, readers: data, again: all },
  "data.labels": { value: "shuffled", readers: data, again: all },
  "model.width": { value: 16, ...training },
  "model.heads": { value: 4, ...training },
  "model.feedForward": { value: 16, ...training },
  "model.layers": { value: 1, ...training },
  "train.optimizer": { value: "sgd", ...training },
  "train.schedule.kind": { value: "warmup-cosine", ...training },
  "train.learningRate": { value: 2e-3, ...training },
  "train.beta1": { value: 0.8, ...training },
  "train.beta2": { value: 0.9, ...training },
  "train.epsilon": { value: 1e-6, ...training },
  "train.weightDecay": { value: 0.5, ...training },
  "train.clipNorm": { value: 0.01, ...training },
  "train.batchSize": { value: 9, ...training },
  "train.maxSteps": { value: 40, ...training },
  "train.evaluateEvery": { value: 10, ...training },
  "train.stop.accuracy": { value: 0.99, ...stopping },
  "train.stop.count": { value: 21, ...stopping },
  "train.stop.consecutive": { value: true, ...stopping },
  "train.stop.every": { value: 10, ...stopping },
  "train.stop.latched": { value: true, ...stopping },
  block: {
    value: "mlp",
    // Gradient rows are of the block that was captured.
    readers: /^(capture-gradients|measure-null|(rolling-svd|measure-coupling) update)/,
    again: /^(?!generate-data|train)/,
  },
  sampling: {
    value: "per-seed",
    readers: /^(capture-gradients|measure-null|measure-coupling)/,
    again: /^(?!generate-data|train|rolling-svd update)/,
  },
  "capture.batch": { value: "train", ...capturing },
  "capture.batchSize": { value: 9, ...capturing },
  "capture.task": { value: 0, ...capturing },
  "capture.stride": { value: 2, ...capturing },
  // Captured anew, the gradients of the loss are the same.
  "capture.objectiveDraw": {
    value: 1,
    readers: /^capture-gradients/,
    again: /^capture-gradients|random-logits|permuted-labels/,
  },
  "svd.window": { value: 3, ...windowing },
  "svd.rank": { value: 3, ...windowing },
  "svd.points": { value: 2, ...placing },
  "svd.every": { value: 2, ...placing },
  "probe.probes": { value: 9, ...probing },
  "probe.epsilon": { value: 0.004, ...probing },
  "probe.centroid": { value: "logit-sum", ...probing },
  "probe.from": { value: "grid", ...probing },
  "probe.draws": { value: 4, ...probing },
}

/** Leaves with tests of their own: one operation has one task; the others change which nodes there are. */
export const APART = ["probe.task", "capture.objective", "svd.updates"]

/** A schedule of another kind has more fields. */
const beside: Readonly<Record<string, object>> = {
  "train.schedule.kind": { warmup: 10, period: 50 },
}

const changed = (
  value: unknown,
  [field, ...rest]: ReadonlyArray<string>,
  leaf: unknown,
  more: object,
): unknown => ({
  ...Object(value),
  ...(rest.length === 0 ? more : {}),
  [field]: rest.length === 0 ? leaf : changed(Object(value)[field], rest, leaf, more),
})

/** The tiny configuration with one leaf changed. */
export const withLeaf = (path: string): SingleConfig =>
  Schema.decodeUnknownSync(SingleConfig)(
    changed(tiny, path.split("."), leaves[path].value, beside[path] ?? {}),
  )

export const matching = (pattern: RegExp): ReadonlyArray<string> =>
  labels.filter((label) => pattern.test(label))
