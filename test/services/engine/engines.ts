/** The engines that suites run on: those that this machine has. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as tf from "@tensorflow/tfjs"
import { Effect, Exit, Layer, Option } from "effect"
import { CodeFingerprint } from "../../../src/services/CodeFingerprint.ts"
import { engineLayer } from "../../../src/services/engine/engines.ts"
import { findAddon, load } from "../../../src/services/engine/tfjsNode/binding.ts"
import { eager } from "../../model/samples.ts"

tf.env().set("IS_NODE", false) // or TensorFlow.js advertises its native backend

const here = Layer.merge(CodeFingerprint.layer, NodeServices.layer)
export const onnx = (threads: number) => Layer.provide(engineLayer("onnx", { threads }), here)
const tfjsNode = Layer.orDie(Layer.provide(engineLayer("tfjs-node", { threads: 2 }), here))

/** The addon, where `setup-engine tfjs-node-gpu` was run; without it, suites of the engines on TensorFlow are left out. */
export const addon = await Effect.runPromise(Effect.provide(findAddon, NodeServices.layer))

/** onnxruntime on a GPU, where WebGPU reaches one; a software driver counts (docs/engines.md says how to get one). */
const webgpu = Layer.orDie(Layer.provide(engineLayer("onnx-webgpu", { threads: 1 }), here))
const hasWebgpu = await Effect.runPromise(
  Effect.scoped(Layer.build(webgpu)).pipe(Effect.exit, Effect.map(Exit.isSuccess)),
)

const none = () => 0

export const engines = [
  { name: "onnx on one thread", engine: onnx(1), nativeTensors: none },
  { name: "onnx on two threads", engine: onnx(2), nativeTensors: none },
  { name: "eager", engine: eager, nativeTensors: none },
  ...(hasWebgpu ? [{ name: "onnx-webgpu", engine: webgpu, nativeTensors: none }] : []),
  ...Option.match(addon, {
    onNone: () => [],
    onSome: (path) => [
      { name: "tfjs-node", engine: tfjsNode, nativeTensors: () => load(path).binding.getNumOfTensors() },
    ],
  }),
]
