/** The part of a stage's key that depends on code: the stage's own, that of the codecs and that of the engine. */
import { Effect } from "effect"
import { CodeFingerprint } from "./CodeFingerprint.ts"
import type { Stage } from "./Stage.ts"
import { TensorEngine } from "./TensorEngine.ts"

/** What of a stage its code is found by. */
export type StageCode = Pick<
  Stage<unknown, unknown, unknown, unknown>,
  "name" | "version" | "module" | "usesEngine"
>

/** The codecs of artifacts: what they read and write is part of every stage's meaning. */
const FORMATS = ["safetensors", "parquet"].map(
  (format) => new URL(`./formats/${format}.ts`, import.meta.url).href,
)

export const stageCode = Effect.fnUntraced(function* ({ name, version, module, usesEngine }: StageCode) {
  const fingerprint = yield* CodeFingerprint
  const engine = yield* TensorEngine
  return {
    stage: name,
    version,
    code: yield* fingerprint.of(module),
    formats: yield* Effect.forEach(FORMATS, fingerprint.of),
    engine: usesEngine ? { id: engine.id, version: yield* engine.version } : null,
  }
})
