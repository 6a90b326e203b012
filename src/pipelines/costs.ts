/**
 * What the cost of each stage goes with: rough laws, which only scale the time of a stored run of another size. They read the
 * few fields that matter, so that records of other versions count too.
 */
import { Option, Schema } from "effect"
import type { Law, Work } from "../services/forecast.ts"

const Sizes = Schema.Struct({
  width: Schema.Finite,
  feedForward: Schema.Finite,
  layers: Schema.Finite,
})
const Model = Schema.Struct({ ...Sizes.fields, modulus: Schema.Finite, tasks: Schema.Finite })
const Data = Schema.Struct({
  modulus: Schema.Finite,
  pairCount: Schema.Finite,
  operations: Schema.Array(Schema.Unknown),
})
const Training = Schema.Struct({
  data: Data,
  model: Sizes,
  train: Schema.Struct({ batchSize: Schema.Finite, maxSteps: Schema.Finite, evaluateEvery: Schema.Finite }),
})
const Ended = Schema.Struct({ stopStep: Schema.NullOr(Schema.Finite) })
const Run = Schema.Struct({ model: Model, checkpoints: Schema.Finite })
const Draws = Schema.Struct({ points: Schema.Finite, draws: Schema.Finite })

const read = <A>(schema: Schema.ConstraintDecoder<A>) => {
  const decode = Schema.decodeUnknownOption(schema)
  return (value: unknown): A | undefined => Option.getOrUndefined(decode(value))
}

/** Multiplications for one example, forward: three tokens, and the heads. */
const perExample = ({ width, feedForward, layers, modulus, tasks }: typeof Model.Type): number =>
  3 * layers * (4 * width ** 2 + 2 * width * feedForward) + width * modulus * tasks

const parameters = ({ width, feedForward, layers, modulus, tasks }: typeof Model.Type): number =>
  layers * (4 * width ** 2 + 2 * width * feedForward) + width * modulus * (tasks + 1)

const readTraining = read(Training)
const readData = read(Data)
const readEnd = read(Ended)

const modelOf = ({ data, model }: typeof Training.Type): typeof Model.Type => ({
  ...model,
  modulus: data.modulus,
  tasks: data.operations.length,
})

/** Steps of a training that ended so. */
const stepsOf = ({ train }: typeof Training.Type, output: unknown): number =>
  Math.min(readEnd(output)?.stopStep ?? train.maxSteps, train.maxSteps)

/** The output of `input`, if it ends at `stopStep`; null for at maxSteps. */
const ending = (input: unknown, output: unknown, stopStep: number | null): unknown => {
  const training = readTraining(input)
  if (training === undefined) return output
  const end = { ...Object(output), stopStep }
  const checkpoints = Math.ceil(stepsOf(training, end) / training.train.evaluateEvery) + 1
  return { ...end, checkpoints, model: { ...Object(output).model, ...modelOf(training) } }
}

const readDecay = read(
  Schema.Struct({
    train: Schema.Struct({
      optimizer: Schema.String,
      learningRate: Schema.Finite,
      weightDecay: Schema.Finite,
    }),
  }),
)

/**
 * Steps to grok go with this power of how much weights decay in a step, lr·wd: our own run with 0.3 of the paper's decay
 * took 2.4 times the steps.
 */
const DECAY_POWER = -0.7

/** How many times as many steps a training is likely to take to grok as its neighbour. */
const stepsTimes = (input: unknown, before: unknown): number => {
  const [asked, known] = [readDecay(input)?.train, readDecay(before)?.train]
  if (asked === undefined || known === undefined || asked.optimizer !== known.optimizer) return 1
  const times = (asked.learningRate * asked.weightDecay) / (known.learningRate * known.weightDecay)
  return Number.isFinite(times) && times > 0 ? times ** DECAY_POWER : 1
}

/** Where a training is likely to end, judged by its neighbour; null: at maxSteps. One that never grokked would have taken longer. */
const likelyEnd = (input: unknown, output: unknown, before: unknown): number | null => {
  const times = stepsTimes(input, before)
  const end = readEnd(output)?.stopStep ?? (times < 1 ? readTraining(before)?.train.maxSteps : undefined)
  return end === undefined ? null : end * times
}

const training: Law = {
  work: (input, output) => {
    const read = readTraining(input)
    if (read === undefined) return undefined
    const { batchSize, evaluateEvery } = read.train
    // A backward pass costs two forward ones; all pairs are evaluated at every checkpoint.
    const perStep = 3 * batchSize + read.data.pairCount / evaluateEvery
    return { count: stepsOf(read, output), size: perStep * perExample(modelOf(read)) }
  },
  size: (input, output) => {
    const read = readTraining(input)
    if (read === undefined) return undefined
    return (stepsOf(read, output) / read.train.evaluateEvery + 1) * parameters(modelOf(read))
  },
  likely: (input, output, before) => ending(input, output, likelyEnd(input, output, before)),
  costliest: (input, output) => ending(input, output, null),
  left: (input, output, entries) => {
    const read = readTraining(input)
    if (read === undefined) return 1
    const steps = stepsOf(read, output)
    return Math.max(0, 1 - ((entries - 1) * read.train.evaluateEvery) / steps)
  },
}

const Captured = Schema.Struct({
  run: Run,
  capture: Schema.Struct({ batchSize: Schema.Finite, stride: Schema.Finite }),
})
const readCaptured = read(Captured)
const readRows = read(
  Schema.Struct({
    rows: Schema.Struct({ run: Run }),
    svd: Schema.Struct({ window: Schema.Finite, points: Schema.Finite }),
  }),
)
const readDraws = read(
  Schema.Struct({ run: Run, probe: Schema.Struct({ probes: Schema.Finite }), ...Draws.fields }),
)
const readCoupling = read(
  Schema.Struct({
    rows: Schema.Struct({ run: Run }),
    directions: Schema.Struct({ rank: Schema.Finite }),
    null: Schema.Struct({ probe: Schema.Struct({ probes: Schema.Finite }) }),
  }),
)
const readExamples = read(Schema.Struct({ run: Run, examples: Schema.Finite, draws: Schema.Finite }))
const readSpectrum = read(
  Schema.Struct({ data: Data, run: Run, points: Schema.Finite, fourierPoints: Schema.Finite }),
)
const readPoints = read(Schema.Struct({ points: Schema.Finite }))

const capturedCount = ({ run, capture }: typeof Captured.Type): number => run.checkpoints / capture.stride

/** Of a stage whose work follows from its input alone. */
const proportional = <A>(readInput: (input: unknown) => A | undefined, work: (input: A) => Work): Law => ({
  work: (input) => {
    const known = readInput(input)
    return known === undefined ? undefined : work(known)
  },
})

const readProblem = read(Schema.Struct({ operations: Schema.Array(Schema.Unknown), modulus: Schema.Finite }))

/** The pairs of a data set are about as many as its modulus squared. */
const pairing: Law = {
  ...proportional(readProblem, ({ modulus }) => ({ count: modulus ** 2, size: 1 })),
  likely: (input, output) => {
    const [problem, known] = [readProblem(input), readData(output)]
    if (problem === undefined || known === undefined) return output
    const pairCount = known.pairCount * (problem.modulus / known.modulus) ** 2
    return { ...Object(output), ...problem, pairCount }
  },
}

/** By stage; the time of other stages is that of their neighbours. */
export const laws: Readonly<Record<string, Law>> = {
  "generate-data": pairing,
  train: training,
  // Its blocks keep one state, not one each.
  intervene: { ...training, size: () => undefined },
  "capture-gradients": {
    ...proportional(readCaptured, (input) => ({
      count: capturedCount(input),
      size: input.capture.batchSize * perExample(input.run.model),
    })),
    size: (input) => {
      const known = readCaptured(input)
      return known === undefined ? undefined : capturedCount(known) * parameters(known.run.model)
    },
  },
  "rolling-svd": proportional(readRows, ({ rows, svd }) => ({
    count: Math.min(svd.points, rows.run.checkpoints),
    size: svd.window * parameters(rows.run.model),
  })),
  "measure-null": {
    ...proportional(readDraws, ({ run, probe, points, draws }) => ({
      count: Math.min(points, run.checkpoints) * draws,
      size: probe.probes * perExample(run.model),
    })),
    left: (input, _, entries) => Math.max(0, 1 - entries / (readPoints(input)?.points ?? entries)),
  },
  "measure-coupling": proportional(readCoupling, (input) => ({
    count: input.directions.rank,
    size: input.null.probe.probes * perExample(input.rows.run.model),
  })),
  "measure-per-example": proportional(readExamples, ({ run, examples, draws }) => ({
    count: draws,
    size: examples * perExample(run.model),
  })),
  "read-features": proportional(readSpectrum, ({ data, run, points, fourierPoints }) => ({
    count: Math.min(points, run.checkpoints) + fourierPoints,
    size: data.pairCount * perExample(run.model),
  })),
}

/**
 * Seconds of each stage in a run of the whole paper, on average, on one core of 2025. Only their ratios matter: they tell what
 * had better begin early, also where nothing was computed before.
 */
export const typicalSeconds: Readonly<Record<string, number>> = {
  "generate-data": 0.05,
  train: 108,
  "rolling-svd": 2,
  "measure-null": 24,
  "measure-coupling": 6,
  "capture-gradients": 8,
  "capture-steps": 60,
  intervene: 49,
  "measure-per-example": 46,
  "compare-directions": 2,
  "read-features": 8,
}

/** What people call computations of a stage. */
export type Group = "training" | "intervention" | "data set" | "analysis"

export const groupOf = (stage: string): Group => {
  switch (stage) {
    case "train":
      return "training"
    case "intervene":
      return "intervention"
    case "generate-data":
      return "data set"
    default:
      return "analysis"
  }
}
