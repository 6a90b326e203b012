/** The engine `onnx-webgpu`: onnxruntime on any GPU that WebGPU reaches (by Vulkan, on Linux). */
import { Effect, Layer } from "effect"
import { f32, program } from "../../../model/Program.ts"
import { TensorEngine } from "../../TensorEngine.ts"
import { EngineUnavailable } from "../EngineUnavailable.ts"
import { narrow } from "./narrow.ts"
import { onnxEngine, versionOf } from "./session.ts"
import { isVulkanThere } from "./vulkan.ts"

const ID = "onnx-webgpu"

/** The least that needs a device. */
const probe = program({
  name: "probe",
  inputs: { x: f32(4) },
  outputs: { y: f32(4) },
  body: ({ x }) => ({ y: x.square() }),
})

const unavailable = (because: string) =>
  new EngineUnavailable({
    engine: ID,
    because,
    next: "install the GPU's Vulkan driver; vulkaninfo --summary lists what there is",
  })

export const OnnxWebgpuEngine = {
  /** @param threads of what the GPU leaves to the CPU */
  layer: ({ threads }: { readonly threads: number }) =>
    Layer.effect(
      TensorEngine,
      Effect.gen(function* () {
        if (!isVulkanThere()) return yield* unavailable("Vulkan is not installed")
        const version = yield* versionOf(import.meta.url, "webgpu")
        const engine = onnxEngine({ id: ID, provider: "webgpu", threads, prepare: narrow }, version)
        yield* engine.compile(probe).pipe(
          Effect.flatMap(({ run }) => run({ x: new Float32Array(4) })),
          Effect.scoped,
          Effect.mapError(({ message }) =>
            unavailable(
              /No supported adapters/.test(message) ? "there is no GPU that WebGPU reaches" : message,
            ),
          ),
        )
        return engine
      }),
    ),
}
