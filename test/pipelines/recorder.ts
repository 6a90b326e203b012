/** Evaluates a pipeline without computing: a runner that notes every input and makes up outputs that fit the Schemas. */
import { createHash } from "node:crypto"
import { Effect, Exit, Layer, Schema } from "effect"
import { isStage } from "../../src/pipelines/derive.ts"
import { closure, evaluator, type Node } from "../../src/pipelines/Node.ts"
import type { ArtifactRef } from "../../src/services/Artifact.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { Block, CapturedSteps, RowSource } from "../../src/stages/contracts.ts"
import { generateData } from "../../src/stages/generateData.ts"
import { blockOfRows } from "../../src/stages/rows.ts"
import { train } from "../../src/stages/train.ts"
import { idle } from "./idle.ts"

/** What a node asked the runner for. `key` is the same for the same stage and input. */
export interface Asked {
  readonly label: string
  readonly stage: string
  readonly key: string
  readonly input: Readonly<Record<string, unknown>>
  /** What it was given; undefined where nothing builds on it. */
  readonly output: unknown
}

const digestOf = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex")

const Captured = Schema.Struct({ capture: Schema.Struct({ stride: Schema.Int }), block: Block })
const { points, every, window, placement } = CapturedSteps.fields
const Steps = Schema.Struct({ block: Block, points, every, window, placement })
const Svd = Schema.Struct({ rows: RowSource, svd: Schema.Struct({ rank: Schema.Int }) })
const Probing = Schema.Struct({ probe: Schema.Unknown, block: Block })

/** An output of the stages that others build on; undefined for the rest. */
const madeUp = (stage: string, input: unknown, key: string): unknown => {
  const ref = (name: string): ArtifactRef => ({ digest: digestOf([key, name]), format: "parquet", bytes: 1 })
  const as = <T>(schema: Schema.ConstraintDecoder<T>) => Schema.decodeUnknownSync(schema)(input)
  switch (stage) {
    case "generate-data": {
      const { operations, labels, modulus } = as(generateData.input)
      const pairCount = modulus ** 2
      return { operations, labels, modulus, pairs: ref("pairs"), pairCount, trainCount: pairCount >> 1 }
    }
    case "train": {
      const { data, model } = as(train.input)
      const { modulus, operations } = data
      return {
        model: { modulus, tasks: operations.length, ...model },
        trajectory: ref("trajectory"),
        checkpoints: 133,
        curve: ref("curve"),
        losses: ref("losses"),
        firstHalf: 2650,
        firstThreshold: 2825,
        stopStep: 3300,
        finalTestAccuracy: 1,
        finalTrainAccuracy: 1,
      }
    }
    case "capture-gradients": {
      const { capture, block } = as(Captured)
      return { stride: capture.stride, block, gradients: ref("gradients") }
    }
    case "capture-steps": {
      const { block, points, every, window, placement } = as(Steps)
      return { block, points, every, window, placement, windows: ref("windows") }
    }
    case "rolling-svd": {
      const { rows, svd } = as(Svd)
      const block = blockOfRows(rows)
      return { block, rank: svd.rank, spectrum: ref("spectrum"), vectors: ref("vectors") }
    }
    case "measure-null": {
      const { block, probe } = as(Probing)
      return { block, probe, energies: ref("energies") }
    }
    default:
      return undefined
  }
}

/**
 * Everything that these nodes ask for; fails where an input is not one that its stage takes. What is `given` for a label is
 * that node's output, whatever it asks for.
 */
export const askedBy = (
  targets: ReadonlyArray<Node<unknown>>,
  given: ReadonlyMap<string, unknown> = new Map(),
) =>
  Effect.gen(function* () {
    const asked: Array<Asked> = []
    const runner = Layer.succeed(StageRunner, {
      workers: 1,
      run: (stage, input, label = "") => {
        const key = digestOf([stage.name, input])
        const output = given.get(label) ?? madeUp(stage.name, input, key)
        asked.push({ label, stage: stage.name, key, input: Object(input), output })
        return output === undefined
          ? Effect.die("nothing builds on it")
          : Effect.map(Schema.decodeUnknownEffect(Schema.toType(stage.output))(output), (output) => ({
              output,
              key,
              cached: false,
            }))
      },
      history: Effect.succeed([]),
    })
    const resolve = evaluator()
    for (const node of closure(targets).filter(isStage)) {
      const exit = yield* Effect.exit(Effect.provide(resolve(node), runner))
      if (Exit.isFailure(exit) && !String(exit.cause).includes("nothing builds on it")) yield* exit
    }
    return asked
  }).pipe(Effect.provide(idle()))
