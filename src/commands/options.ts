/** Flags that commands share, and the services they stand for. */
import { availableParallelism } from "node:os"
import { Effect, Layer, Schema } from "effect"
import { Flag } from "effect/cli"
import { type Scale, SMOKE_NOTE, scales } from "../pipelines/registry.ts"
import { ArtifactStore } from "../services/ArtifactStore.ts"
import { CodeFingerprint } from "../services/CodeFingerprint.ts"
import { OnnxEngine } from "../services/engine/onnx/OnnxEngine.ts"
import { Progress } from "../services/Progress.ts"
import { StageRunner } from "../services/StageRunner.ts"
import { BadInput } from "./BadInput.ts"

export const store = Flag.String("store").pipe(
  Flag.withMetavar("DIR"),
  Flag.withDescription("Directory of the artifact store"),
  Flag.withDefault("artifacts/store"),
)

export const scale = Flag.Literals("scale", scales).pipe(
  Flag.withDescription("paper: the full experiment; smoke: everything small, under a minute, not evidence"),
  Flag.withDefault("paper" as const),
)

export const set = Flag.String("set").pipe(
  Flag.withMetavar("FIELD=VALUE"),
  Flag.withDescription("Change one field of the configuration, such as train.learningRate=3e-4; repeatable"),
  Flag.atLeast(0),
)

export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print the result as JSON on standard output"),
  Flag.withDefault(false),
)

export const threads = Flag.Int("threads").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription("Threads of the tensor engine (default: all cores)"),
  Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1024 }))),
  Flag.withDefault(availableParallelism()),
)

export const storeLayer = (options: { readonly store: string }) => ArtifactStore.layer(options.store)

/** Everything that running stages takes. */
export const runnerLayer = (options: {
  readonly store: string
  readonly threads: number
  readonly scale: Scale
}) =>
  StageRunner.layer({ note: options.scale === "smoke" ? SMOKE_NOTE : undefined }).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        storeLayer(options),
        Progress.layer(process.stderr),
        OnnxEngine.layer(options).pipe(Layer.provideMerge(CodeFingerprint.layer)),
      ),
    ),
  )

/** Fails early, and leaves nothing behind, where the store cannot be written. */
export const requireWritable = Effect.flatMap(ArtifactStore, (store) => store.requireWritable).pipe(
  Effect.mapError(({ message }) => new BadInput({ message })),
)
