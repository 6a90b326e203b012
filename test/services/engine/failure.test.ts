import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { failureOf } from "../../../src/services/engine/failure.ts"
import { EngineFailure, OutOfMemory } from "../../../src/services/TensorEngine.ts"
import { addon } from "./engines.ts"

const of = (message: string) =>
  failureOf({ engine: "some", program: "train-steps x64", onGpu: false }, new Error(message))

describe("memory that is short", () => {
  it.each([
    {
      what: "onnxruntime",
      message:
        "Non-zero status code returned while running Mul node. Name:'Mul_4' Status Message: bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 1073741824",
      wanted: 2 ** 30,
    },
    {
      what: "TensorFlow",
      message:
        "Invalid TF_Status: 8\nMessage: OOM when allocating tensor with shape[64,2048,2048] and type float on /job:localhost/replica:0/task:0/device:CPU:0 by allocator cpu",
      wanted: 2 ** 30,
    },
    {
      what: "WebGPU",
      message:
        'WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n - While calling [Device].CreateBindGroup([BindGroupDescriptor ""Mul""]).',
      wanted: null,
    },
  ])("is told from what $what says", ({ message, wanted }) => {
    const error = of(message)
    assert.instanceOf(error, OutOfMemory)
    assert.strictEqual(error.wanted, wanted)
    assert.isAbove(error.free ?? 0, 0)
  })

  it("is not what other failures are", () => {
    assert.instanceOf(of("Invalid dimension"), EngineFailure)
  })
})

const script = fileURLToPath(new URL("./outOfMemory.ts", import.meta.url))
const Outcome = Schema.fromJsonString(
  Schema.Struct({
    first: Schema.Finite,
    largestError: Schema.Finite,
    said: Schema.Array(Schema.String),
  }),
)

const engines = ["onnx", ...(Option.isSome(addon) ? ["tfjs-node"] : [])]

layer(NodeServices.layer)("a process whose memory is limited", (it) => {
  it.effect.each(engines)(
    "computes everything in ensembles that fit, on %s",
    (engine) =>
      Effect.gen(function* () {
        const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
        const text = yield* spawner.string(ChildProcess.make(process.execPath, [script, engine, "300"]))
        const { first, largestError, said } = yield* Schema.decodeEffect(Outcome)(text)
        assert.strictEqual(first, 2048)
        assert.isBelow(largestError, 1e-5)
        assert.lengthOf(said, 1)
        const [, members, free, fit] =
          /program outer x(\d+): it wanted \d+ MB where (\d+) MB is free; going on with (\d+) at a time/.exec(
            said[0],
          ) ?? []
        assert.strictEqual(Number(fit), Number(members) / 2)
        assert.isAtMost(Number(free), 320)
      }),
    60_000,
  )
})
