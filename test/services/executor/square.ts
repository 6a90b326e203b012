/** A stage that computes with the tensor engine, apart from the others because TensorFlow.js takes long to load. */
import { threadId } from "node:worker_threads"
import * as tf from "@tensorflow/tfjs"
import { Effect, Schema } from "effect"
import { f32, program } from "../../../src/model/Program.ts"
import { ArtifactRef } from "../../../src/services/Artifact.ts"
import { ArtifactStore } from "../../../src/services/ArtifactStore.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { stage } from "../../../src/services/Stage.ts"
import { TensorEngine } from "../../../src/services/TensorEngine.ts"

const SIZE = 700

/** Takes some ten milliseconds. */
const largeProduct = program({
  name: "large-product",
  inputs: { a: f32(SIZE, SIZE) },
  outputs: { aa: f32(SIZE, SIZE) },
  body: ({ a }) => ({ aa: tf.matMul(a, a) }),
})

const squares = program({
  name: "squares",
  inputs: { x: f32(3) },
  outputs: { y: f32(3) },
  body: ({ x }) => ({ y: tf.mul(x, x) }),
})

/** Never leaves the tensor engine for long. */
export const squareForever = stage({
  version: 1,
  module: import.meta.url,
  name: "square-forever",
  usesEngine: true,
  input: Schema.Struct({}),
  output: Schema.Void,
  run: () =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* TensorEngine
        const progress = yield* Progress
        const executable = yield* engine.compile(largeProduct)
        const a = new Float32Array(SIZE * SIZE)
        while (true) {
          yield* executable.run({ a })
          yield* progress.step({ done: 0, total: 1, unit: "product" })
        }
      }),
    ),
})

/** Squares three numbers with the tensor engine and stores the result. */
export const square = stage({
  version: 1,
  module: import.meta.url,
  name: "square",
  usesEngine: true,
  input: Schema.Struct({ x: Schema.Array(Schema.Finite) }),
  output: Schema.Struct({ stored: ArtifactRef, at: Schema.DateFromString, thread: Schema.Int }),
  run: ({ x }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* TensorEngine
        const store = yield* ArtifactStore
        const executable = yield* engine.compile(squares)
        const { y } = yield* executable.run({ x: Float32Array.from(x) })
        const text = new TextEncoder().encode(JSON.stringify([...y]))
        return { stored: yield* store.put("json", text), at: new Date(0), thread: threadId }
      }),
    ),
})
