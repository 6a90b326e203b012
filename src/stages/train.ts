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
import { putJson, putTable } from "../services/artifacts.ts"
import { Progress } from "../services/Progress.ts"
import { type Cursor, stage } from "../services/Stage.ts"
import { TensorEngine } from "../services/TensorEngine.ts"
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

  const commit = Effect.fnUntraced(function* (
    step: number,
    state: TrainingState,
    block: Pick<Checkpoint, "losses" | "gradientNorms">,
  ) {
    const evaluation = yield* evaluate(state.theta)
    const figures = [...block.losses, ...block.gradientNorms, ...Object.values(evaluation).flat()]
    if (!figures.every(Number.isFinite)) return yield* new Diverged({ step })
    const previous = checkpoints.at(-1)
    const checkpoint: Checkpoint = { step, ...(yield* storeState(state)), ...block, evaluation }
    yield* cursor.advance(step, checkpoint)
    if (previous !== undefined) yield* dropMoments(previous)
    checkpoints.push(checkpoint)
    yield* progress.step({ done: step, total: config.maxSteps, unit: "step", note: noteOn(checkpoint) })
    return checkpoint
  })

  const initial = initialState(layout, seed)
  let newest = checkpoints.at(-1) ?? (yield* commit(0, initial, { losses: [], gradientNorms: [] }))
  let state = newest.step === 0 ? initial : yield* loadState(newest)
  while (newest.step < endOf(config, checkpoints)) {
    const { carry, ys } = yield* program.run({
      carry: state,
      xs: stepInputs(pairs, input, newest.step + 1, config.evaluateEvery),
      constants: {},
    })
    state = carry
    newest = yield* commit(newest.step + config.evaluateEvery, state, {
      losses: Array.from(ys.loss),
      gradientNorms: Array.from(ys.gradientNorm),
    })
  }
  return checkpoints.filter(({ step }) => step <= endOf(config, checkpoints))
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
