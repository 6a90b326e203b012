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
  blocksPerState,
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
  const isFromStart = fromStart.state !== null
  const { blocks: own, state } = isFromStart ? fromStart : yield* resumable(cursor.entries, every, first)
  const passed: Array<Passed> = isFromStart ? [...own] : [...before, ...own]
  const { training, rows } =
    state === null
      ? { training: branch?.state ?? initialState(layoutOf(data, model), seed), rows: [] }
      : yield* loadBlockState(state)
  return { own, state, passed, training, rows }
})

const copyOf = ({ theta, first, second }: TrainingState): TrainingState => ({
  theta: theta.slice(),
  first: first.slice(),
  second: second.slice(),
})

/** All blocks up to the end of the run. */
const trainToEnd = Effect.fn("trainToEnd")(function* (input: typeof Input.Type, cursor: Cursor) {
  const { data, model, train: config, intervention, seed } = input
  const artifacts = yield* ArtifactStore
  const progress = yield* Progress
  const layout = layoutOf(data, model)
  const evaluate = yield* openEvaluation(layout, yield* loadPairs(data))
  const { own, state: loaded, passed, training, rows } = yield* openRun(input, cursor)
  const drop = (state: ArtifactRef | null) => (state === null ? Effect.void : artifacts.drop(state))
  // A kill between a commit and the deletion of the state before it leaves that state behind.
  yield* Effect.forEach(own.slice(1, -1), ({ state }) => drop(state), { discard: true })
  const arm = openArm(intervention, sizeOfRanges(rangesOf(layout, input.block)), seed, rows)
  const step = yield* openStep(input, arm)
  /** The newest state that is stored, but for that before the first step, which is the same for every arm. */
  let newest = own.length > 1 || own[0]?.step !== 0 ? loaded : null
  const storing = makeBeside<StoreError, ArtifactStore>()

  const store = Effect.fnUntraced(function* (
    copied: { readonly state: TrainingState; readonly window: ReadonlyArray<Float32Array> } | null,
    figures: Omit<StepBlock, "state">,
  ) {
    const state = copied === null ? null : yield* storeBlockState(copied.state, copied.window)
    if (copied !== null) {
      release(copied.state.theta, copied.state.first, copied.state.second, ...copied.window)
    }
    const block: StepBlock = { ...figures, state }
    yield* cursor.advance(block.step, block)
    if (state !== null) {
      yield* drop(newest)
      newest = block.step === 0 ? null : state
    }
    const losses = block.figures.map(({ loss }) => loss)
    const note = noteOn({ losses, evaluation: block.evaluation })
    yield* progress.step({ done: block.step, total: config.maxSteps, unit: "step", note })
  })

  /** Evaluates a state, then stores the block, often with a copy of the state, while the next one is computed. */
  const commit = Effect.fnUntraced(function* (
    step: number,
    state: TrainingState,
    figures: ReadonlyArray<StepFigures>,
  ) {
    const evaluation = yield* evaluate(state.theta)
    const numbers = [
      ...figures.flatMap(({ loss, gradientNorm }) => [loss, gradientNorm]),
      evaluation.trainLoss,
      evaluation.testLoss,
    ]
    if (!numbers.every(Number.isFinite)) return yield* Effect.andThen(storing.finish, new Diverged({ step }))
    passed.push({ step, figures, evaluation })
    const window = arm.rows()
    const every = config.evaluateEvery
    const isStored = step % (every * blocksPerState(state, window, every)) === 0
    const copied = isStored ? { state: copyOf(state), window: window.map((row) => row.slice()) } : null
    yield* storing.start(store(copied, { step, figures, evaluation }))
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
