/**
 * Stage `train`: one training until its stop rule (experiment.md §3), with full evaluation and a checkpoint every
 * `evaluateEvery` steps.
 *
 * The trajectory is a cursor: steps asked for and the stop rule are not part of its identity, so asking for more
 * continues it, and a killed run goes on from its last checkpoint with the same bits. Every checkpoint keeps its
 * parameters; the optimiser's moments are kept at every 500th step and at the newest checkpoint only.
 */
import { Effect, Schema } from "effect"
import { trainSteps } from "../model/programs.ts"
import type { ArtifactStore, StoreError } from "../services/ArtifactStore.ts"
import { putJson, putTable } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { type Cursor, stage } from "../services/Stage.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
import { makeBeside } from "./beside.ts"
import {
  type Checkpoint,
  dropMoments,
  isKeyframe,
  loadState,
  resumable,
  storeState,
  type TrainingState,
} from "./checkpoints.ts"
import { Dataset, ModelConfig, Seed, TrainedRun, Trajectory } from "./contracts.ts"
import { openEvaluation } from "./evaluation.ts"
import { loadPairs } from "./pairs.ts"
import {
  curveTable,
  Diverged,
  endOf,
  initialState,
  layoutOf,
  lossTable,
  noteOn,
  outcomeOf,
  stepInputs,
  TrainConfig,
} from "./training.ts"

export const TrainInput = Schema.Struct({
  data: Dataset,
  model: ModelConfig,
  train: TrainConfig,
  seed: Seed,
})
export type TrainInput = typeof TrainInput.Type

/** All checkpoints up to the end of the run: those that the cursor has, then newly trained ones. */
const trainToEnd = Effect.fn("trainToEnd")(function* (input: TrainInput, cursor: Cursor) {
  const { data, model, train: config, seed } = input
  const engine = yield* TensorEngine
  const progress = yield* Progress
  const layout = layoutOf(data, model)
  const pairs = yield* loadPairs(data)
  const evaluate = yield* openEvaluation(layout, pairs)
  const program = yield* engine.compileScan(trainSteps(layout, config, config.batchSize))

  const checkpoints = [...(yield* resumable(cursor.entries, config.evaluateEvery))]
  /** Those of `checkpoints`, and the one that is being stored. */
  const evaluated: Array<Pick<Checkpoint, "step" | "evaluation">> = [...checkpoints]
  const storing = makeBeside<StoreError, ArtifactStore>()

  const store = Effect.fnUntraced(function* (
    state: TrainingState,
    figures: Omit<Checkpoint, "theta" | "moments">,
  ) {
    const previous = checkpoints.at(-1)
    const checkpoint: Checkpoint = { ...figures, ...(yield* storeState(state)) }
    yield* cursor.advance(checkpoint.step, checkpoint)
    if (previous !== undefined) yield* dropMoments(previous)
    checkpoints.push(checkpoint)
    const note = noteOn(checkpoint)
    yield* progress.step({ done: checkpoint.step, total: config.maxSteps, unit: "step", note })
  })

  /** Evaluates a state, then stores it while the next block is computed. */
  const commit = Effect.fnUntraced(function* (
    step: number,
    state: TrainingState,
    block: Pick<Checkpoint, "losses" | "gradientNorms">,
  ) {
    const evaluation = yield* evaluate(state.theta)
    const figures = [...block.losses, ...block.gradientNorms, ...Object.values(evaluation).flat()]
    if (!figures.every(Number.isFinite)) return yield* Effect.andThen(storing.finish, new Diverged({ step }))
    evaluated.push({ step, evaluation })
    yield* storing.start(store(state, { step, ...block, evaluation }))
  })

  const newest = checkpoints.at(-1)
  let state =
    newest === undefined || newest.step === 0 ? initialState(layout, seed) : yield* loadState(newest)
  if (newest === undefined) yield* commit(0, state, { losses: [], gradientNorms: [] })
  const reached = () => evaluated[evaluated.length - 1].step
  while (reached() < endOf(config, evaluated)) {
    const { carry, ys } = yield* program.run({
      carry: state,
      xs: stepInputs(pairs, input, reached() + 1, config.evaluateEvery),
      constants: {},
    })
    state = carry
    yield* commit(reached() + config.evaluateEvery, state, {
      losses: Array.from(ys.loss),
      gradientNorms: Array.from(ys.gradientNorm),
    })
  }
  yield* storing.finish
  return checkpoints.filter(({ step }) => step <= endOf(config, evaluated))
})

export const train = stage({
  name: "train",
  version: 1,
  module: import.meta.url,
  input: TrainInput,
  output: TrainedRun,
  usesEngine: true,
  identity: ({ train: { maxSteps: _, stop: __, ...train }, ...rest }) => ({ ...rest, train }),
  run: (input, cursor) =>
    Effect.scoped(
      Effect.gen(function* () {
        const checkpoints = yield* trainToEnd(input, cursor)
        const { data, model, train: config } = input
        const trajectory = checkpoints.map(({ step, theta, moments, evaluation }) => ({
          step,
          theta,
          moments: isKeyframe({ step }) ? moments : null,
          evaluation,
        }))
        const run: TrainedRun = {
          model: { modulus: data.modulus, tasks: data.operations.length, ...model },
          trajectory: yield* putJson(Trajectory, trajectory),
          checkpoints: checkpoints.length,
          curve: yield* putTable(curveTable(checkpoints, data.operations)),
          losses: yield* putTable(lossTable(checkpoints)),
          ...outcomeOf(config, checkpoints),
        }
        return run
      }),
    ),
})
