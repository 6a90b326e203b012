/** The tensor engines by name. What one needs is loaded when it is chosen. */
import { Effect, Layer } from "effect"
import { OnnxEngine } from "./onnx/OnnxEngine.ts"

export const engineNames = ["onnx", "tfjs-node", "tfjs-node-gpu"] as const
export type EngineName = (typeof engineNames)[number]

/** @param threads of the engine, on the CPU */
export const engineLayer = (name: EngineName, { threads }: { readonly threads: number }) =>
  name === "onnx"
    ? OnnxEngine.layer({ threads })
    : Layer.unwrap(
        Effect.map(
          Effect.promise(() => import("./tfjsNode/TfjsNodeEngine.ts")),
          ({ TfjsNodeEngine }) => TfjsNodeEngine.layer({ gpu: name === "tfjs-node-gpu", threads }),
        ),
      )
