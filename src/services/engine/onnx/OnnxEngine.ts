/** The default engine: onnxruntime on the CPU. */
import { Effect, Layer } from "effect"
import { TensorEngine } from "../../TensorEngine.ts"
import { onnxEngine, versionOf } from "./session.ts"

export const OnnxEngine = {
  /** @param threads intra-operator threads of each session */
  layer: ({ threads }: { readonly threads: number }) =>
    Layer.effect(
      TensorEngine,
      Effect.map(versionOf(import.meta.url), (version) =>
        onnxEngine({ id: "onnx", provider: "cpu", threads }, version),
      ),
    ),
}
