/** What `export-twin` writes is what PyTorch needs to replay: names, shapes, and numbers that belong together. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Result } from "effect"
import { evaluator, node } from "../../src/pipelines/Node.ts"
import { smoke } from "../../src/pipelines/sizes.ts"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { OnnxEngine } from "../../src/services/engine/onnx/OnnxEngine.ts"
import { Executor } from "../../src/services/executor/Executor.ts"
import { decode } from "../../src/services/formats/safetensors.ts"
import { Progress } from "../../src/services/Progress.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { generateData } from "../../src/stages/generateData.ts"
import { train } from "../../src/stages/train.ts"
import { tiny } from "../pipelines/tiny.ts"
import { cli } from "./process.ts"

const STEPS = 30

describe("export-twin", () => {
  it.live(
    "writes initial and final weights, batches, losses and a coupling check",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped({ prefix: "grokscope-test-" })
        const out = join(directory, "twin")
        const args = ["--scale", "smoke", "--steps", String(STEPS), "--out", out]
        const { code, stdout, stderr } = yield* cli([
          "export-twin",
          ...args,
          "--store",
          join(directory, "store"),
        ])
        assert.strictEqual(code, 0, stderr)
        assert.include(stdout, out)
        assert.include(stderr, "smoke: not evidence")

        const tensors = (name: string) =>
          Result.getOrThrow(decode(readFileSync(join(out, `${name}.safetensors`)))).tensors
        const initial = tensors("init")
        const final = tensors("final")
        assert.deepStrictEqual(Object.keys(initial), Object.keys(final))
        assert.deepStrictEqual(initial["encoder.layers.1.self_attn.in_proj_weight"].shape, [
          3 * smoke.model.width,
          smoke.model.width,
        ])
        assert.deepStrictEqual(initial["head.weight"].shape, [smoke.data.modulus, smoke.model.width])
        const { pairs, labels } = tensors("batches")
        assert.deepStrictEqual([pairs.dtype, ...pairs.shape], ["I64", STEPS, smoke.train.batchSize, 2])
        assert.deepStrictEqual([labels.dtype, ...labels.shape], ["I64", STEPS, smoke.train.batchSize])
        for (let i = 0; i < labels.data.length; i++) {
          const sum = Number(pairs.data[2 * i]) + Number(pairs.data[2 * i + 1])
          assert.strictEqual(Number(labels.data[i]), sum % smoke.data.modulus)
        }
        const { evidence, losses, hyperparameters } = JSON.parse(
          readFileSync(join(out, "losses.json"), "utf8"),
        )
        assert.strictEqual(evidence, "smoke: not evidence")
        assert.strictEqual(losses.length, STEPS)
        assert.strictEqual(hyperparameters.heads, smoke.model.heads)
        assert.deepStrictEqual(tensors("theta")["head.bias"].data, final["head.bias"].data)
        assert.strictEqual(tensors("expected").energy.data.length, tensors("directions").directions.shape[0])
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000,
  )

  it.live(
    "refuses a stored training of several operations",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped({ prefix: "grokscope-test-" })
        const { operation: _, ...pairs } = tiny.data
        const data = node(generateData, { ...pairs, operations: ["add", "sub"], seed: 1 })
        const config = { ...tiny.train, maxSteps: 5 }
        const run = yield* evaluator()(node(train, { data, model: tiny.model, train: config, seed: 1 })).pipe(
          Effect.provide(StageRunner.layer().pipe(Layer.provide(Executor.inProcess()))),
          Effect.provide(Progress.silent),
          Effect.provide(OnnxEngine.layer({ threads: 1 })),
          Effect.provide(CodeFingerprint.layer),
          Effect.provide(ArtifactStore.layer(join(directory, "store"))),
        )
        const { code, stderr } = yield* cli([
          "export-twin",
          ...["--run", run.trajectory.digest.slice(0, 12)],
          ...["--out", join(directory, "twin"), "--store", join(directory, "store")],
        ])
        assert.strictEqual(code, 2, stderr)
        assert.include(stderr, "only a training of one operation by adamw at a constant learning rate")
        assert.include(stderr, "not one of 2 by adamw")
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000,
  )

  it.live.each([
    ["train.optimizer=sgd", "sgd"],
    ["train.schedule.kind=warmup-cosine train.schedule.warmup=10 train.schedule.period=99", "warmup-cosine"],
  ])(
    "refuses %s, which its replay would not follow, before it computes anything",
    ([settings, named]) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped({ prefix: "grokscope-test-" })
        const set = settings.split(" ").flatMap((setting) => ["--set", setting])
        const out = join(directory, "twin")
        const { code, stderr } = yield* cli([
          "export-twin",
          ...["--scale", "smoke", "--out", out, "--store", join(directory, "store"), ...set],
        ])
        assert.strictEqual(code, 2, stderr)
        assert.include(stderr, "only a training of one operation by adamw at a constant learning rate")
        assert.include(stderr, named)
        assert.isFalse(yield* fs.exists(out))
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000,
  )
})
