/** The engines `tfjs-node` and `tfjs-node-gpu`: programs run eagerly on TensorFlow's kernels. */
import * as tf from "@tensorflow/tfjs"
import { Effect, Layer } from "effect"
import { CodeFingerprint } from "../../CodeFingerprint.ts"
import { EagerEngine } from "../eager/EagerEngine.ts"
import { openBinding } from "./binding.ts"

const BACKEND = "tensorflow"
/** Below that of TensorFlow.js's own, which stays the one that is selected where nothing is said. */
const PRIORITY = 0

export const TfjsNodeEngine = {
  /**
   * @param gpu whether it has to run on a GPU; without, it does not, even where there is one
   * @param threads of TensorFlow, on the CPU
   */
  layer: ({ gpu, threads }: { readonly gpu: boolean; readonly threads: number }) =>
    Layer.unwrap(
      Effect.gen(function* () {
        const id = gpu ? "tfjs-node-gpu" : "tfjs-node"
        const { binding, version, makeBackend } = yield* openBinding(id, { gpu, threads })
        if (tf.findBackendFactory(BACKEND) === null) tf.registerBackend(BACKEND, makeBackend, PRIORITY)
        const fingerprint = yield* CodeFingerprint
        const code = yield* fingerprint.of(import.meta.url)
        return EagerEngine.layer({
          backend: BACKEND,
          id,
          onGpu: gpu,
          version: `tfjs-node-gpu@${version}+tensorflow@${binding.TF_Version}+${code.slice(0, 16)}`,
        })
      }),
    ),
}
