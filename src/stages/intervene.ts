/**
 * Stage `intervene`: a training in which, after every backward pass, the flat attention gradient (or, in the update
 * version, the optimiser's displacement of θ_attn) is replaced by what an arm makes of it (experiment.md §6).
 *
 * Initialisation and batches are those of the natural run of the same seed, so arms are paired with it; an arm that
 * changes nothing reproduces it bit for bit. Within a step: backward → clip all parameters → modify the attention
 * gradient → optimiser. Moments see the modified gradient; weight decay still acts on attention. In the update
 * version the optimiser steps naturally, then the displacement (decay included) is modified.
 *
 * Resumable like a training, from the newest evaluation block.
 */
import { table } from "arquero"
import { Effect, Option, Schema } from "effect"
import type { StepScalars } from "../model/optimizer.ts"
import { applyGradient, clippedGradient } from "../model/programs.ts"
import { dot, norm } from "../numerics/gram.ts"
import { ArtifactRef } from "../services/Artifact.ts"
import { ArtifactStore } from "../services/ArtifactStore.ts"
import { f32Tensor, float32, getTensors, putTable, putTensors } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { type Cursor, stage } from "../services/Stage.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import { type Arm, InterventionConfig, openArm } from "./arms.ts"
import type { TrainingState } from "./checkpoints.ts"
import { Dataset, ModelConfig, Outcome, Seed } from "./contracts.ts"
import { Evaluation, openEvaluation } from "./evaluation.ts"
import { loadPairs } from "./pairs.ts"
import {
  curveTable,
  Diverged,
  endOf,
  initialState,
  layoutOf,
  noteOn,
  outcomeOf,
  stepInputs,
  TrainConfig,
} from "./training.ts"

const Input = Schema.Struct({
  data: Dataset,
  model: ModelConfig,
  train: TrainConfig,
  intervention: InterventionConfig,
  seed: Seed,
})

export const IntervenedRun = Schema.Struct({
  ...Outcome.fields,
  /** Parquet, a row per checkpoint: step, losses and accuracies on all training and all test pairs. */
  curve: ArtifactRef,
  /**
   * Parquet, a row per step: loss of its batch, gradient norm before clipping; ‖modified‖/‖natural‖ and the cosine
   * between them, null where nothing was modified or either is zero; share of the window's energy in its top directions,
   * null in the warm-up and for arms without a window.
   */
  steps: ArtifactRef,
  /** Means over the steps that were modified; null where there is none, or no such figure. */
  normRatio: Schema.NullOr(Schema.Finite),
  cosine: Schema.NullOr(Schema.Finite),
  energyShare: Schema.NullOr(Schema.Finite),
})
export type IntervenedRun = typeof IntervenedRun.Type

/** Figures of one step; null as in `IntervenedRun.steps`. */
const StepFigures = Schema.Struct({
  loss: Schema.Finite,
  gradientNorm: Schema.Finite,
  normRatio: Schema.NullOr(Schema.Finite),
  cosine: Schema.NullOr(Schema.Finite),
  energyShare: Schema.NullOr(Schema.Finite),
})
type StepFigures = typeof StepFigures.Type

/** An entry of the cursor: the state after `step`, kept for the newest entry and for step 0, and the block's figures. */
const Block = Schema.Struct({
  step: Schema.Int,
  state: ArtifactRef,
  figures: Schema.Array(StepFigures),
  evaluation: Evaluation,
})
type Block = typeof Block.Type

const storeBlockState = ({ theta, first, second }: TrainingState, rows: ReadonlyArray<Float32Array>) =>
  putTensors({
    theta: f32Tensor(theta),
    first: f32Tensor(first),
    second: f32Tensor(second),
    ...Object.fromEntries(rows.map((row, i) => [`row.${i}`, f32Tensor(row)])),
  })

const loadBlockState = Effect.fn("loadBlockState")(function* ({ state }: Block) {
  const tensors = yield* getTensors(state)
  const count = Object.keys(tensors).filter((name) => name.startsWith("row.")).length
  const training: TrainingState = {
    theta: yield* float32(tensors, "theta"),
    first: yield* float32(tensors, "first"),
    second: yield* float32(tensors, "second"),
  }
  const rows = yield* Effect.forEach(Array.from({ length: count }).keys(), (i) =>
    float32(tensors, `row.${i}`),
  )
  return { training, rows }
})

/** The blocks to go on from: up to the last one whose state is there. */
const resumable = Effect.fn("resumable")(function* (entries: ReadonlyArray<unknown>, every: number) {
  const store = yield* ArtifactStore
  const blocks: Array<Block> = []
  for (const [i, entry] of entries.entries()) {
    const block = Schema.decodeUnknownOption(Block)(entry)
    if (Option.isNone(block) || block.value.step !== i * every) break
    blocks.push(block.value)
  }
  while (blocks.length > 0 && !(yield* store.has(blocks[blocks.length - 1].state))) blocks.pop()
  return blocks
})

/** What modifying `natural` to `modified` did to it. */
const compare = (natural: Float32Array, modified: Float32Array) => {
  const [before, after] = [norm(natural), norm(modified)]
  return {
    normRatio: before > 0 ? after / before : null,
    cosine: before > 0 && after > 0 ? dot(natural, modified) / (before * after) : null,
  }
}

const untouched = { normRatio: null, cosine: null }

/** What the backward pass of a step leaves. */
interface Backward {
  readonly state: TrainingState
  /** Clipped gradient of all parameters; θ_attn's is its prefix. */
  readonly gradient: Float32Array
  readonly scalars: StepScalars<Float32Array>
}

/** A function that takes step t from a state, with the arm's modification. */
const openStep = Effect.fn("openStep")(function* (input: typeof Input.Type, arm: Arm) {
  const { data, model, train: config } = input
  const engine = yield* TensorEngine
  const layout = layoutOf(data, model)
  const pairs = yield* loadPairs(data)
  const backward = yield* engine.compile(clippedGradient(layout, config, config.batchSize))
  const optimiser = yield* engine.compile(applyGradient(layout, config))
  const attention = (flat: Float32Array) => flat.subarray(0, layout.attentionSize)

  /** The vector to modify, of the step at hand. */
  const natural = new Float32Array(layout.attentionSize)

  const optimise = ({ state, gradient, scalars }: Backward) =>
    optimiser.run({ ...state, gradient, ...scalars })

  /** Modifies the attention gradient, then lets the optimiser step. */
  const stepOnGradient = Effect.fnUntraced(function* (t: number, taken: Backward) {
    natural.set(attention(taken.gradient))
    const modification = arm.modify(t, natural)
    attention(taken.gradient).set(modification.vector)
    const next = yield* optimise(taken)
    if (arm.freezes(t)) attention(next.theta).set(attention(taken.state.theta))
    return { next, modification }
  })

  /** Lets the optimiser step, then modifies the displacement of θ_attn. */
  const stepOnUpdate = Effect.fnUntraced(function* (t: number, taken: Backward) {
    const next = yield* optimise(taken)
    const [before, after] = [attention(taken.state.theta), attention(next.theta)]
    for (let i = 0; i < after.length; i++) natural[i] = after[i] - before[i]
    const modification = arm.modify(t, natural)
    if (modification.modified) {
      for (let i = 0; i < after.length; i++) after[i] = before[i] + modification.vector[i]
    }
    return { next, modification }
  })

  const stepOn = input.intervention.version === "gradient" ? stepOnGradient : stepOnUpdate

  return Effect.fnUntraced(function* (t: number, state: TrainingState) {
    const { stepSize, decay, denominatorScale, ...batch } = stepInputs(pairs, input, t, 1)
    const { loss, gradientNorm, gradient } = yield* backward.run({ theta: state.theta, ...batch })
    const scalars = { stepSize, decay, denominatorScale }
    const { next, modification } = yield* stepOn(t, { state, gradient, scalars })
    const figures: StepFigures = {
      loss: loss[0],
      gradientNorm: gradientNorm[0],
      ...(modification.modified ? compare(natural, modification.vector) : untouched),
      energyShare: modification.energyShare,
    }
    return { state: next, figures }
  })
})

/** All blocks up to the end of the run. */
const trainToEnd = Effect.fn("trainToEnd")(function* (input: typeof Input.Type, cursor: Cursor) {
  const { data, model, train: config, intervention, seed } = input
  const store = yield* ArtifactStore
  const progress = yield* Progress
  const layout = layoutOf(data, model)
  const evaluate = yield* openEvaluation(layout, yield* loadPairs(data))
  const blocks = yield* resumable(cursor.entries, config.evaluateEvery)
  const resumed = blocks.at(-1)
  // A kill between a commit and the deletion of the state before it leaves that state behind.
  yield* Effect.forEach(blocks.slice(1, -1), ({ state }) => store.drop(state), { discard: true })
  const start =
    resumed === undefined
      ? { training: initialState(layout, seed), rows: [] }
      : yield* loadBlockState(resumed)
  const arm = openArm(intervention, layout.attentionSize, seed, start.rows)
  const step = yield* openStep(input, arm)

  const commit = Effect.fnUntraced(function* (
    at: number,
    state: TrainingState,
    figures: ReadonlyArray<StepFigures>,
  ) {
    const evaluation = yield* evaluate(state.theta)
    const numbers = [
      ...figures.flatMap(({ loss, gradientNorm }) => [loss, gradientNorm]),
      evaluation.trainLoss,
      evaluation.testLoss,
    ]
    if (!numbers.every(Number.isFinite)) return yield* new Diverged({ step: at })
    const previous = blocks.at(-1)
    const block: Block = { step: at, state: yield* storeBlockState(state, arm.rows()), figures, evaluation }
    yield* cursor.advance(at, block)
    // The state before the first step is the same for every arm.
    if (previous !== undefined && previous.step > 0) yield* store.drop(previous.state)
    blocks.push(block)
    const note = noteOn({ losses: figures.map(({ loss }) => loss), evaluation })
    yield* progress.step({ done: at, total: config.maxSteps, unit: "step", note })
  })

  let state = start.training
  if (resumed === undefined) yield* commit(0, state, [])
  while (blocks[blocks.length - 1].step < endOf(config, blocks)) {
    const first = blocks[blocks.length - 1].step + 1
    const figures: Array<StepFigures> = []
    for (let t = first; t < first + config.evaluateEvery; t++) {
      const taken = yield* step(t, state)
      state = taken.state
      figures.push(taken.figures)
    }
    yield* commit(first + config.evaluateEvery - 1, state, figures)
  }
  const end = endOf(config, blocks)
  return blocks.filter(({ step }) => step <= end)
})

const stepTable = (figures: ReadonlyArray<StepFigures>) =>
  table({
    step: figures.map((_, i) => i + 1),
    loss: figures.map(({ loss }) => loss),
    gradientNorm: figures.map(({ gradientNorm }) => gradientNorm),
    normRatio: figures.map(({ normRatio }) => normRatio),
    cosine: figures.map(({ cosine }) => cosine),
    energyShare: figures.map(({ energyShare }) => energyShare),
  })

const meanOfKnown = (values: ReadonlyArray<number | null>): number | null => {
  const known = values.flatMap((value) => (value === null ? [] : [value]))
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length
}

export const intervene = stage({
  name: "intervene",
  version: 1,
  module: import.meta.url,
  input: Input,
  output: IntervenedRun,
  usesEngine: true,
  identity: ({ train: { maxSteps: _, stop: __, ...train }, ...rest }) => ({ ...rest, train }),
  run: (input, cursor) =>
    Effect.scoped(
      Effect.gen(function* () {
        const blocks = yield* trainToEnd(input, cursor)
        const figures = blocks.flatMap((block) => block.figures)
        const run: IntervenedRun = {
          ...outcomeOf(input.train, blocks),
          curve: yield* putTable(curveTable(blocks, input.data.operations)),
          steps: yield* putTable(stepTable(figures)),
          normRatio: meanOfKnown(figures.map(({ normRatio }) => normRatio)),
          cosine: meanOfKnown(figures.map(({ cosine }) => cosine)),
          energyShare: meanOfKnown(figures.map(({ energyShare }) => energyShare)),
        }
        return run
      }),
    ),
})
