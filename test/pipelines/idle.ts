/** Services for nodes that run no stage: using one is a failure of the test. */
import { Effect, Layer } from "effect"
import { all, map } from "../../src/pipelines/derive.ts"
import { Node } from "../../src/pipelines/Node.ts"
import type { ArtifactRef } from "../../src/services/Artifact.ts"
import { CodeFingerprint } from "../../src/services/CodeFingerprint.ts"
import { Executor } from "../../src/services/executor/Executor.ts"
import { Progress } from "../../src/services/Progress.ts"
import { StageRunner } from "../../src/services/StageRunner.ts"
import { TensorEngine } from "../../src/services/TensorEngine.ts"
import { temporaryStore } from "../services/store/temporary.ts"

/** An empty store, and no engine. */
export const idle = () =>
  StageRunner.layer().pipe(
    Layer.provide(Executor.inProcess()),
    Layer.provideMerge([
      Progress.silent,
      Layer.succeed(CodeFingerprint, { of: Effect.succeed }),
      Layer.succeed(TensorEngine, {
        id: "idle",
        version: Effect.succeed("1"),
        compile: () => Effect.die("compiled a program"),
        compileScan: () => Effect.die("compiled a scan"),
      }),
      temporaryStore(),
    ]),
  )

/** A derived node with this output. */
export const constant = <A>(value: A): Node<A> => map(all([]), () => value)

/** A node that counts as a stage's, with this output. */
export const stageWith = <A>(
  label: string,
  output: A,
  upstream: ReadonlyArray<Node<unknown>> = [],
): Node<A> => new Node(label, "stage", upstream, () => Effect.succeed(output))

/** A reference to an artifact whose digest is this digit, 64 times. */
export const artifact = (digit: string): ArtifactRef => ({
  digest: digit.repeat(64),
  format: "parquet",
  bytes: 1,
})
