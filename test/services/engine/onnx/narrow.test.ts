import { fromBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { clippedGradient, perturbationEnergies, trainSteps } from "../../../../src/model/programs.ts"
import { programModel, scanModel } from "../../../../src/services/engine/onnx/compile.ts"
import { narrow } from "../../../../src/services/engine/onnx/narrow.ts"
import {
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
} from "../../../../src/services/engine/onnx/proto/onnx_pb.js"
import { onnxEngine } from "../../../../src/services/engine/onnx/session.ts"
import { TensorEngine } from "../../../../src/services/TensorEngine.ts"
import { assertSameBits } from "../../../model/close.ts"
import { paperOptimiser, randomExamples, randomTheta, run, smallLayout } from "../../../model/samples.ts"

const layout = smallLayout(3)
const n = 8

const nodesOf = (graph: GraphProto | undefined): ReadonlyArray<NodeProto> =>
  (graph?.node ?? []).flatMap((node) => [node, ...node.attribute.flatMap(({ g }) => nodesOf(g))])

const nodes = (model: Uint8Array) => nodesOf(fromBinary(ModelProtoSchema, model).graph)

/** Tensors that a node reads or writes, whichever are more; a loop is run by no shader. */
const widest = (model: Uint8Array): number =>
  Math.max(
    ...nodes(model)
      .filter(({ opType }) => opType !== "Loop")
      .map(({ input, output }) => Math.max(input.length, output.length)),
  )

const onCpu = (prepare?: (model: Uint8Array) => Uint8Array) =>
  Effect.provideService(
    TensorEngine,
    onnxEngine(
      { id: "onnx", provider: "cpu", threads: 1, ...(prepare === undefined ? {} : { prepare }) },
      Effect.succeed("a test"),
    ),
  )

describe("a model for GPUs", () => {
  const models = {
    "a training": scanModel(trainSteps(layout, paperOptimiser, n)),
    "a gradient": programModel(clippedGradient(layout, paperOptimiser, n)),
    "perturbation energies": scanModel(perturbationEnergies(layout, n)),
  }

  it.each(Object.entries(models))("of %s has no node that a shader cannot bind", (_, model) => {
    assert.isAbove(widest(model), 7)
    assert.isAtMost(widest(narrow(model)), 7)
  })

  it.effect("computes the same, to the bit", () =>
    Effect.gen(function* () {
      const gradient = run(clippedGradient(layout, paperOptimiser, n), {
        theta: randomTheta(layout, 1),
        ...randomExamples(layout, n, 2),
      })
      const expected = yield* gradient.pipe(onCpu())
      const actual = yield* gradient.pipe(onCpu(narrow))
      assertSameBits(actual.gradient, expected.gradient)
      assertSameBits(actual.loss, expected.loss)
    }),
  )
})
