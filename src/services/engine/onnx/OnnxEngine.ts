/** The default engine: onnxruntime on the CPU. */
import { Effect, Layer } from "effect"
import { CodeFingerprint } from "../../CodeFingerprint.ts"
import { TensorEngine } from "../../TensorEngine.ts"
import { onnxEngine, runtimeVersion } from "./session.ts"

export const OnnxEngine = {
  /** @param threads intra-operator threads of each session */
  layer: ({ threads }: { readonly threads: number }) =>
    Layer.effect(
      TensorEngine,
      Effect.gen(function* () {
        const fingerprint = yield* CodeFingerprint
        const version = fingerprint
          .of(import.meta.url)
          .pipe(Effect.map((code) => `onnxruntime-node@${runtimeVersion()}+${code.slice(0, 16)}`))
        return onnxEngine({ id: "onnx", provider: "cpu", threads }, version)
      }),
    ),
}
