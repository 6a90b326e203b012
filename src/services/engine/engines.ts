/** The tensor engines by name. What one needs is loaded when it is chosen. */
import { Effect, Layer } from "effect"
import { OnnxEngine } from "./onnx/OnnxEngine.ts"

export const engineNames = ["onnx", "onnx-webgpu", "tfjs-node", "tfjs-node-gpu"] as const
export type EngineName = (typeof engineNames)[number]

/** Whether an engine has one device for all workers. */
export const isOnGpu = (name: EngineName): boolean => name === "onnx-webgpu" || name === "tfjs-node-gpu"

/** @param threads of the engine, on the CPU */
export const engineLayer = (name: EngineName, { threads }: { readonly threads: number }) => {
  switch (name) {
    case "onnx":
      return OnnxEngine.layer({ threads })
    case "onnx-webgpu":
      return Layer.unwrap(
        Effect.map(
          Effect.promise(() => import("./onnx/OnnxWebgpuEngine.ts")),
          ({ OnnxWebgpuEngine }) => OnnxWebgpuEngine.layer({ threads }),
        ),
      )
    default:
      return Layer.unwrap(
        Effect.map(
          Effect.promise(() => import("./tfjsNode/TfjsNodeEngine.ts")),
          ({ TfjsNodeEngine }) => TfjsNodeEngine.layer({ gpu: name === "tfjs-node-gpu", threads }),
        ),
      )
  }
}
