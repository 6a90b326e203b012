/** `doctor`, `setup-engine` and `--engine` where no TensorFlow is set up. */
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Schema } from "effect"
import { Doctor } from "../../src/commands/checked.ts"
import { SetUp } from "../../src/commands/setupEngine.ts"
import { temporaryDirectory } from "../services/store/temporary.ts"
import { cli } from "./process.ts"

/** An empty cache, so that what this machine has set up does not count. */
const elsewhere = Effect.map(temporaryDirectory, (cache) => ({ cache, env: { XDG_CACHE_HOME: cache } }))

const decoded = <A>(schema: Schema.ConstraintCodec<A, unknown>, text: string) =>
  Schema.decodeUnknownSync(Schema.fromJsonString(schema), { onExcessProperty: "error" })(text)

describe("doctor", () => {
  it.live("finds that onnx works, and says of the others what to do next", () =>
    Effect.gen(function* () {
      const { env } = yield* elsewhere
      const { code, stdout } = yield* cli(["doctor", "--json"], { env })
      assert.strictEqual(code, 0)
      const [onnx, webgpu, ...others] = decoded(Doctor, stdout).engines
      assert.isTrue(onnx.usable, onnx.because ?? "")
      assert.isAbove(onnx.products ?? 0, 1)
      assert.isBelow(onnx.error ?? 1, 1e-5)
      assert.isAbove(onnx.step ?? 0, 1)
      // Whether there is a GPU is the machine's affair.
      assert.strictEqual(webgpu.engine, "onnx-webgpu")
      if (!webgpu.usable) assert.include(webgpu.next, "Vulkan driver")
      assert.deepStrictEqual(
        others.map(({ engine }) => engine),
        ["tfjs-node", "tfjs-node-gpu"],
      )
      for (const { usable, because, next } of others) {
        assert.isFalse(usable)
        assert.strictEqual(because, "it is not set up")
        assert.include(next, "pnpm pipeline setup-engine tfjs-node-gpu")
      }
      const auto = yield* cli(["plan", "single", "--scale", "smoke", "--engine", "auto"], { env })
      assert.strictEqual(auto.code, 0)
      assert.match(auto.stderr, /^--engine auto takes onnx[^;]*; a training step of the paper's size: onnx/)
      const text = yield* cli(["doctor", "--engine", "tfjs-node"], { env })
      assert.match(text.stdout, /^tfjs-node +cannot be used: it is not set up\n +pip install tensorflow/m)
    }).pipe(Effect.provide(NodeServices.layer)),
  )
})

describe("--engine", () => {
  it.live("is refused in one line where it is not set up, and nothing is written", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { cache, env } = yield* elsewhere
      const store = join(cache, "store")
      const args = ["run", "single", "--scale", "smoke", "--engine", "tfjs-node", "--store", store]
      const { code, stdout, stderr } = yield* cli(args, { env })
      assert.notStrictEqual(code, 0)
      assert.strictEqual(stdout, "")
      assert.match(stderr, /^error: engine tfjs-node cannot be used: it is not set up; pip install [^\n]+\n$/)
      assert.isFalse(yield* fs.exists(store))
    }).pipe(Effect.provide(NodeServices.layer)),
  )
})

describe("--workers", () => {
  it.live("is refused where two stages would share a GPU", () =>
    Effect.gen(function* () {
      for (const command of [["run", "heads"], ["reproduce-all"], ["plan", "heads"]]) {
        const { code, stderr } = yield* cli([...command, "--engine", "tfjs-node-gpu", "--workers", "2"])
        assert.strictEqual(code, 2, stderr)
        assert.match(
          stderr,
          /^error: --workers 2: tfjs-node-gpu has one device, which runs one stage at a time/,
        )
      }
    }).pipe(Effect.provide(NodeServices.layer)),
  )
})

describe("--ensemble", () => {
  it.live("is refused beside --workers, and beyond its bounds", () =>
    Effect.gen(function* () {
      const both = yield* cli(["run", "heads", "--ensemble", "8", "--workers", "2"])
      assert.strictEqual(both.code, 2, both.stderr)
      assert.match(both.stderr, /^error: --workers 2 --ensemble 8: [^\n]+ leave one of them out\n$/)
      const none = yield* cli(["reproduce-all", "--ensemble", "0"])
      assert.notStrictEqual(none.code, 0)
      assert.match(none.stderr, /ensemble/)
    }).pipe(Effect.provide(NodeServices.layer)),
  )
})

describe("setup-engine", () => {
  it.live("names what is missing in one line, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { cache, env } = yield* elsewhere
      const says = Effect.fnUntraced(function* (message: RegExp, tensorflow: string, more = {}) {
        const args = ["setup-engine", "tfjs-node-gpu", "--tensorflow", tensorflow]
        const { code, stdout, stderr } = yield* cli(args, { env: { ...env, ...more } })
        assert.notStrictEqual(code, 0)
        assert.strictEqual(stdout, "")
        assert.match(stderr.split("\n").at(-2) ?? "", message)
        assert.isFalse(
          yield* fs.exists(join(cache, "grokscope", "engines", "tfjs-node-gpu", "tfjs_binding.node")),
        )
      })
      yield* says(/^error: .*nowhere does not start; give a Python interpreter/, join(cache, "nowhere"))
      yield* says(/^error: .*none\.whl: there is no such file/, join(cache, "none.whl"))

      const tensorflow = join(cache, "tensorflow")
      const headers = join(tensorflow, "include", "tensorflow", "c", "eager")
      yield* fs.makeDirectory(headers, { recursive: true })
      yield* fs.writeFileString(join(tensorflow, "libtensorflow_cc.so.2"), "")
      yield* says(/^error: .* has no libtensorflow_framework\.so\.2: expected TensorFlow 2\.10/, tensorflow)
      yield* fs.writeFileString(join(tensorflow, "libtensorflow_framework.so.2"), "")
      yield* fs.writeFileString(join(headers, "c_api.h"), "")
      yield* says(/^error: there is no C\+\+ compiler \(no-such-compiler\)/, tensorflow, {
        CXX: "no-such-compiler",
      })
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  it.live("can be undone, also where there is nothing", () =>
    Effect.gen(function* () {
      const { env } = yield* elsewhere
      const { code, stdout } = yield* cli(["setup-engine", "tfjs-node", "--undo", "--json"], { env })
      assert.strictEqual(code, 0)
      assert.isFalse(Object(decoded(SetUp, stdout)).undone)
    }).pipe(Effect.provide(NodeServices.layer)),
  )
})
