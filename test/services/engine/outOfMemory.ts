/**
 * A process of its own whose memory is limited for real: calls a program that needs 16 MB and more a member, 64 members at once, and
 * prints what became of it. Arguments: the engine; megabytes that it may take beyond what it has.
 */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as tf from "@tensorflow/tfjs"
import { Effect, Layer, Schema } from "effect"
import { f32, program } from "../../../src/model/Program.ts"
import { CodeFingerprint } from "../../../src/services/CodeFingerprint.ts"
import { Ensembles } from "../../../src/services/engine/Ensembles.ts"
import { engineLayer, engineNames } from "../../../src/services/engine/engines.ts"
import { Progress } from "../../../src/services/Progress.ts"
import { TensorEngine } from "../../../src/services/TensorEngine.ts"

const SIDE = 2048
const MEMBERS = 64

/** y_i = Σ_j exp(x_i x_j), by way of a matrix [SIDE, SIDE]. */
const outer = program({
  name: "outer",
  inputs: { x: f32(SIDE) },
  outputs: { y: f32(SIDE) },
  body: ({ x }) => ({
    y: tf.sum(tf.exp(tf.mul(tf.reshape(x, [SIDE, 1]), tf.reshape(x, [1, SIDE]))), 1),
  }),
})

const limitMemory = (megabytes: number): void => {
  const [, kilobytes] = /VmSize:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8")) ?? []
  const bytes = Number(kilobytes) * 1024 + megabytes * 2 ** 20
  execFileSync("prlimit", ["--pid", `${process.pid}`, `--as=${bytes}`])
}

const [name, megabytes] = process.argv.slice(2)
const said: Array<string> = []

const main = Effect.gen(function* () {
  const { compile } = yield* TensorEngine
  const opened = yield* Effect.forEach(Array.from({ length: MEMBERS }), () => compile(outer))
  const first = yield* opened[0].run({ x: new Float32Array(SIDE) })
  if (megabytes !== undefined) limitMemory(Number(megabytes))
  const results = yield* Effect.forEach(
    opened,
    ({ run }, i) => run({ x: new Float32Array(SIDE).fill(i / MEMBERS) }),
    { concurrency: "unbounded" },
  )
  const errors = results.map(({ y }, i) => Math.abs(y[0] / (SIDE * Math.exp((i / MEMBERS) ** 2)) - 1))
  return { first: first.y[0], largestError: Math.max(...errors), said }
}).pipe(
  Effect.scoped,
  Effect.matchEffect({
    onFailure: (error) => Effect.succeed({ failed: error._tag, message: error.message, said }),
    onSuccess: Effect.succeed,
  }),
)

const progress = Layer.succeed(
  Progress,
  Progress.of({
    running: (_, effect) => effect,
    step: () => Effect.void,
    cached: () => Effect.void,
    plan: () => Effect.void,
    say: (line) => Effect.sync(() => said.push(line)),
  }),
)

const services = Effect.map(Schema.decodeUnknownEffect(Schema.Literals(engineNames))(name), (engine) =>
  Ensembles.layer({ most: MEMBERS }).pipe(
    Layer.provide([engineLayer(engine, { threads: 1 }), progress]),
    Layer.provide(Layer.merge(CodeFingerprint.layer, NodeServices.layer)),
  ),
)

console.log(JSON.stringify(await Effect.runPromise(Effect.provide(main, Layer.unwrap(services)))))
