/** A tiny training, stage by stage: what the tests of the stages after it start from. */
import { Effect, Layer } from "effect"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../src/services/engine/onnx/OnnxEngine.ts"
import { Progress } from "../../src/services/Progress.ts"
import type { Cursor } from "../../src/services/Stage.ts"
import type { Dataset } from "../../src/stages/contracts.ts"
import { generateData } from "../../src/stages/generateData.ts"
import { train } from "../../src/stages/train.ts"
import { tiny } from "../pipelines/tiny.ts"
import { temporaryStore } from "../services/store/temporary.ts"

/** A cursor in memory that starts with `entries`; `advanced` are the positions committed to it. */
export const memoryCursor = (entries: ReadonlyArray<unknown> = []) => {
  const written = [...entries]
  const advanced: Array<number> = []
  const cursor: Cursor = {
    entries,
    advance: (position, entry) =>
      Effect.sync(() => {
        written[position] = entry
        advanced.push(position)
      }),
  }
  return { cursor, written, advanced }
}

export const seed = 42

/** Checkpoints 0 … `checkpoints` of a training on the operations, five steps apart. */
export const trainTiny = Effect.fn("trainTiny")(function* (
  operations: Dataset["operations"],
  checkpoints = 12,
) {
  const { trainFraction, labels } = tiny.data
  const data = yield* generateData.run(
    { operations, modulus: 7, trainFraction, labels, seed },
    memoryCursor().cursor,
  )
  const input = {
    data,
    model: tiny.model,
    train: { ...tiny.train, maxSteps: checkpoints * tiny.train.evaluateEvery },
    seed,
  }
  return { data, run: yield* train.run(input, memoryCursor().cursor) }
})

/** An empty store, the engine on one thread, and no progress. */
export const workbench = () =>
  Layer.mergeAll(
    temporaryStore(),
    OnnxEngine.layer({ threads: 1 }).pipe(Layer.provideMerge(CodeFingerprint.layer)),
    Progress.silent,
  )
