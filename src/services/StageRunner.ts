/**
 * Runs stages through the store: the same key returns the stored output, anything else is computed and committed.
 * Running again is resuming; there is no flag for it. Knows no particular stage.
 */
import { arch, cpus, platform } from "node:os"
import { Clock, Context, DateTime, Effect, Layer, Option, Predicate, Schema } from "effect"
import { ArtifactRef } from "./Artifact.ts"
import { ArtifactStore, type StoreError } from "./ArtifactStore.ts"
import { CodeFingerprint, type FingerprintError } from "./CodeFingerprint.ts"
import { Progress } from "./Progress.ts"
import type { Stage } from "./Stage.ts"
import { digestOf } from "./store/canonical.ts"
import { TensorEngine } from "./TensorEngine.ts"

/** The codecs of artifacts: what they read and write is part of every stage's meaning. */
const FORMATS = ["safetensors", "parquet"].map(
  (format) => new URL(`./formats/${format}.ts`, import.meta.url).href,
)

export interface StageResult<Output> {
  readonly output: Output
  readonly key: string
  readonly cached: boolean
}

/** Every artifact that encoded data refers to. */
export const referencesOf = (value: unknown): ReadonlyArray<ArtifactRef> => {
  if (Schema.is(ArtifactRef)(value)) return [value]
  if (Array.isArray(value)) return value.flatMap(referencesOf)
  return Predicate.isObject(value) ? Object.values(value).flatMap(referencesOf) : []
}

export class StageRunner extends Context.Service<
  StageRunner,
  {
    readonly run: <Input, Output, E, R>(
      stage: Stage<Input, Output, E, R>,
      input: Input,
      /** What progress calls it. */
      label?: string,
    ) => Effect.Effect<StageResult<Output>, E | StoreError | FingerprintError | Schema.SchemaError, R>
  }
>()("grokscope/services/StageRunner") {
  /** @param note stored with everything that is computed, outside of its key */
  static readonly layer = ({ note }: { readonly note?: string | undefined } = {}) =>
    Layer.effect(
      StageRunner,
      Effect.gen(function* () {
        const store = yield* ArtifactStore
        const fingerprint = yield* CodeFingerprint
        const engine = yield* TensorEngine
        const progress = yield* Progress

        const preimageOf = Effect.fnUntraced(function* <Input, Output, E, R>(
          { name, version, module, usesEngine }: Stage<Input, Output, E, R>,
          input: unknown,
        ) {
          return {
            stage: name,
            version,
            code: yield* fingerprint.of(module),
            formats: yield* Effect.forEach(FORMATS, fingerprint.of),
            engine: usesEngine ? { id: engine.id, version: yield* engine.version } : null,
            input,
          }
        })

        /** Whether every artifact that encoded data names is there, and every one that its JSON artifacts name. */
        const isWhole = (value: unknown): Effect.Effect<boolean, StoreError> =>
          Effect.gen(function* () {
            for (const ref of referencesOf(value)) {
              if (!(yield* store.has(ref))) return false
              if (ref.format !== "json") continue
              const text = yield* Effect.map(store.get(ref), (bytes) => new TextDecoder().decode(bytes))
              const named = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))(text)
              if (Option.isSome(named) && !(yield* isWhole(named.value))) return false
            }
            return true
          }).pipe(Effect.catchTag("DamagedArtifact", () => Effect.succeed(false)))

        /** The stored output under a key, if everything that it leads to is there. */
        const lookup = Effect.fnUntraced(function* <Input, Output, E, R>(
          stage: Stage<Input, Output, E, R>,
          key: string,
        ) {
          const record = yield* store.record(stage.name, key)
          if (Option.isNone(record)) return Option.none<Output>()
          if (!(yield* isWhole(record.value.output))) return Option.none<Output>()
          return Schema.decodeUnknownOption(stage.output)(record.value.output)
        })

        return StageRunner.of({
          run: Effect.fn("StageRunner.run")(function* (stage, input, label = stage.name) {
            const encodedInput = yield* Schema.encodeEffect(stage.input)(input)
            const preimage = yield* preimageOf(stage, encodedInput)
            const key = digestOf(preimage)
            const stored = yield* lookup(stage, key)
            if (Option.isSome(stored)) {
              yield* progress.cached(label)
              return { output: stored.value, key, cached: true }
            }
            const identity = stage.identity === undefined ? encodedInput : stage.identity(input)
            const cursorKey = digestOf({ ...preimage, input: identity })
            const started = yield* Clock.currentTimeMillis
            const output = yield* progress.running(
              label,
              Effect.gen(function* () {
                const entries = yield* store.cursor(stage.name, cursorKey)
                return yield* stage.run(input, {
                  entries,
                  advance: (position, entry) => store.advance(stage.name, cursorKey, position, entry),
                })
              }),
            )
            const finished = yield* Clock.currentTimeMillis
            yield* store.commitRecord({
              stage: stage.name,
              key,
              preimage,
              output: yield* Schema.encodeEffect(stage.output)(output),
              provenance: {
                committedAt: DateTime.formatIso(yield* DateTime.now),
                seconds: (finished - started) / 1000,
                machine: `${cpus()[0]?.model ?? "unknown"} x${cpus().length}, ${platform()} ${arch()}`,
                node: process.version,
                ...(note === undefined ? {} : { note }),
              },
            })
            return { output, key, cached: false }
          }),
        })
      }),
    )
}
