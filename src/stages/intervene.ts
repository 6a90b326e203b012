/**
 * Stage `intervene`: a training in which, after every backward pass, the gradient with respect to a block of the
 * parameters (or, in the update version, the optimiser's displacement of the block) is replaced by what an arm makes of it
 * (experiment.md §6). The paper's block is θ_attn.
 *
 * Initialisation and batches are those of the natural run of the same seed, so arms are paired with it; an arm that
 * changes nothing reproduces it bit for bit. Within a step: backward → clip all parameters → modify the block's
 * gradient → optimiser. Moments see the modified gradient; weight decay still acts on the block. In the update
 * version the optimiser steps naturally, then the displacement (decay included) is modified.
 *
 * Resumable like a training, from the newest evaluation block. Where the arm leaves the first steps alone for long, it
 * branches from the natural run instead of training them again.
 */
import { table } from "arquero"
import { Effect, Schema } from "effect"
import { blockOf, problemOfBlock, rangesOf, setBlock, sizeOfRanges } from "../model/blocks.ts"
import type { StepScalars } from "../model/optimizer.ts"
import { applyGradient, clippedGradient } from "../model/programs.ts"
import { dot, norm } from "../numerics/gram.ts"
import { ArtifactRef } from "../services/Artifact.ts"
import { ArtifactStore, type StoreError } from "../services/ArtifactStore.ts"
import { putTable } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { type Cursor, stage } from "../services/Stage.ts"
import { release, TensorEngine } from "../services/TensorEngine.ts"
import { type Arm, InterventionConfig, openArm } from "./arms.ts"
import { makeBeside } from "./beside.ts"
import {
  loadBlockState,
  type Passed,
  passedNaturally,
  resumable,
  type Block as StepBlock,
  type StepFigures,
  storeBlockState,
} from "./blocks.ts"
import { branchOf } from "./branch.ts"
import type { TrainingState } from "./checkpoints.ts"
import { Block, Dataset, ModelConfig, Outcome, Seed, TrainedRun } from "./contracts.ts"
import { openEvaluation } from "./evaluation.ts"
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
  /** What the arm acts on. */
  block: Block,
  seed: Seed,
  /**
   * The run of the same data, model, training and seed without intervention, to branch from where the warm-up is long;
   * null to train the warm-up here. The result is the same.
   */
  natural: Schema.NullOr(TrainedRun),
}).check(Schema.makeFilter(({ block, model }) => problemOfBlock(block, model) ?? true))

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
  /** Clipped gradient of all parameters. */
  readonly gradient: Float32Array
  readonly scalars: StepScalars<Float32Array>
}

/** A function that takes step t from a state, with the arm's modification. The state that it is given is used up. */
const openStep = Effect.fn("openStep")(function* (input: typeof Input.Type, arm: Arm) {
  const { data, model, train: config } = input
  const engine = yield* TensorEngine
  const layout = layoutOf(data, model)
  const pairs = yield* loadPairs(data)
  const backward = yield* engine.compile(clippedGradient(layout, config, config.batchSize))
  const optimiser = yield* engine.compile(applyGradient(layout, config))
  const ranges = rangesOf(layout, input.block)

  /** The vector to modify, of the step at hand. */
  const natural = new Float32Array(sizeOfRanges(ranges))

  const optimise = ({ state, gradient, scalars }: Backward) =>
    optimiser.run({ ...state, gradient, ...scalars })

  /** Modifies the block's gradient, then lets the optimiser step. */
  const stepOnGradient = Effect.fnUntraced(function* (t: number, taken: Backward) {
    natural.set(blockOf(ranges, taken.gradient))
    const modification = arm.modify(t, natural)
    setBlock(ranges, taken.gradient, modification.vector)
    const next = yield* optimise(taken)
    if (arm.freezes(t)) setBlock(ranges, next.theta, blockOf(ranges, taken.state.theta))
    return { next, modification }
  })

  /** Lets the optimiser step, then modifies the displacement of the block. */
  const stepOnUpdate = Effect.fnUntraced(function* (t: number, taken: Backward) {
    const next = yield* optimise(taken)
    const [before, after] = [blockOf(ranges, taken.state.theta), blockOf(ranges, next.theta)]
    for (let i = 0; i < after.length; i++) natural[i] = after[i] - before[i]
    const modification = arm.modify(t, natural)
    if (modification.modified) {
      for (let i = 0; i < after.length; i++) after[i] = before[i] + modification.vector[i]
      setBlock(ranges, next.theta, after)
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
    release(gradient, state.theta, state.first, state.second)
    return { state: next, figures }
  })
})

/** Where a run goes on: what it has passed, and what it needs for the next step. */
const openRun = Effect.fn("openRun")(function* (input: typeof Input.Type, cursor: Cursor) {
  const { data, model, train: config, intervention, natural, seed } = input
  const every = config.evaluateEvery
  const branch = natural === null ? null : yield* branchOf(natural, intervention)
  const before = (branch?.blocks ?? []).map(passedNaturally)
  const first = before.length === 0 ? 0 : before[before.length - 1].step + every
  // A run that did not branch has entries from the beginning, which are as good.
  const fromStart = yield* resumable(cursor.entries, every, 0)
  const own = fromStart.length > 0 ? fromStart : yield* resumable(cursor.entries, every, first)
  const passed: Array<Passed> = fromStart.length > 0 ? [...own] : [...before, ...own]
  const last = own.at(-1)
  const { training, rows } =
    last === undefined
      ? { training: branch?.state ?? initialState(layoutOf(data, model), seed), rows: [] }
      : yield* loadBlockState(last)
  return { own, passed, training, rows }
})

/** All blocks up to the end of the run. */
const trainToEnd = Effect.fn("trainToEnd")(function* (input: typeof Input.Type, cursor: Cursor) {
  const { data, model, train: config, intervention, seed } = input
  const artifacts = yield* ArtifactStore
  const progress = yield* Progress
  const layout = layoutOf(data, model)
  const evaluate = yield* openEvaluation(layout, yield* loadPairs(data))
  const { own, passed, training, rows } = yield* openRun(input, cursor)
  // A kill between a commit and the deletion of the state before it leaves that state behind.
  yield* Effect.forEach(own.slice(1, -1), ({ state }) => artifacts.drop(state), { discard: true })
  const arm = openArm(intervention, sizeOfRanges(rangesOf(layout, input.block)), seed, rows)
  const step = yield* openStep(input, arm)
  /** Newest block that is stored. */
  let previous = own.at(-1)
  const storing = makeBeside<StoreError, ArtifactStore>()

  const store = Effect.fnUntraced(function* (
    state: TrainingState,
    window: ReadonlyArray<Float32Array>,
    block: Omit<StepBlock, "state">,
  ) {
    const stored: StepBlock = { ...block, state: yield* storeBlockState(state, window) }
    release(state.theta, state.first, state.second, ...window)
    yield* cursor.advance(block.step, stored)
    // The state before the first step is the same for every arm.
    if (previous !== undefined && previous.step > 0) yield* artifacts.drop(previous.state)
    previous = stored
    const losses = block.figures.map(({ loss }) => loss)
    const note = noteOn({ losses, evaluation: block.evaluation })
    yield* progress.step({ done: block.step, total: config.maxSteps, unit: "step", note })
  })

  /** Evaluates a state, then stores a copy of it while the next block is computed. */
  const commit = Effect.fnUntraced(function* (
    step: number,
    { theta, first, second }: TrainingState,
    figures: ReadonlyArray<StepFigures>,
  ) {
    const evaluation = yield* evaluate(theta)
    const numbers = [
      ...figures.flatMap(({ loss, gradientNorm }) => [loss, gradientNorm]),
      evaluation.trainLoss,
      evaluation.testLoss,
    ]
    if (!numbers.every(Number.isFinite)) return yield* Effect.andThen(storing.finish, new Diverged({ step }))
    passed.push({ step, figures, evaluation })
    const copy: TrainingState = { theta: theta.slice(), first: first.slice(), second: second.slice() }
    const window = arm.rows().map((row) => row.slice())
    yield* storing.start(store(copy, window, { step, figures, evaluation }))
  })

  let state = training
  if (passed.length === 0) yield* commit(0, state, [])
  while (passed[passed.length - 1].step < endOf(config, passed)) {
    const first = passed[passed.length - 1].step + 1
    const figures: Array<StepFigures> = []
    for (let t = first; t < first + config.evaluateEvery; t++) {
      const taken = yield* step(t, state)
      state = taken.state
      figures.push(taken.figures)
    }
    yield* commit(first + config.evaluateEvery - 1, state, figures)
  }
  yield* storing.finish
  const end = endOf(config, passed)
  return passed.filter(({ step }) => step <= end)
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
  identity: ({ train: { maxSteps: _, stop: __, ...train }, natural: ___, ...rest }) => ({ ...rest, train }),
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
