/** A stage of no work, and the services of a process that has it: what dispatching itself takes. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Schema } from "effect"
import { ArtifactStore } from "../../src/services/ArtifactStore.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import type { Executor } from "../../src/services/executor/Executor.ts"
import { Leases } from "../../src/services/Leases.ts"
import { Progress } from "../../src/services/Progress.ts"
import { stage } from "../../src/services/Stage.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { quickFiles } from "../../src/services/store/quickFiles.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"

export const tiny = stage({
  name: "tiny",
  version: 1,
  module: import.meta.url,
  input: Schema.Struct({ n: Schema.Int }),
  output: Schema.Struct({ square: Schema.Int }),
  usesEngine: false,
  run: ({ n }) => Effect.succeed({ square: n * n }),
})

const noEngine = Layer.succeed(
  TensorEngine,
  TensorEngine.of({
    id: "none",
    version: Effect.succeed("0"),
    compile: () => Effect.die("no engine"),
    compileScan: () => Effect.die("no engine"),
  }),
)

/** Everything that running stages on a store takes. */
export const servicesOn = <E, R>(store: string, command: string, executor: Layer.Layer<Executor, E, R>) => {
  const leases = Leases.layer(command)
  return StageRunner.layer({ command, leases }).pipe(
    Layer.provide(executor),
    Layer.provideMerge(leases),
    Layer.provideMerge(
      Layer.mergeAll(ArtifactStore.layer(store), Progress.silent, CodeFingerprint.layer, noEngine),
    ),
    Layer.provideMerge(quickFiles.pipe(Layer.provideMerge(NodeServices.layer))),
  )
}
