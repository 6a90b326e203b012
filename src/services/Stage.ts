/**
 * A stage: one step of a pipeline as a value. Its input and output are Schemas, so both can be stored, digested
 * and checked; large data is in them by reference (`ArtifactRef`).
 */
import type { Effect, Schema } from "effect"
import type { ArtifactStore, StoreError } from "./ArtifactStore.ts"
import type { Progress } from "./Progress.ts"
import type { TensorEngine } from "./TensorEngine.ts"

/** What stages may ask for. */
export type StageServices = ArtifactStore | Progress | TensorEngine

/** How far a resumable stage came under its identity. */
export interface Cursor {
  /** Entries committed so far, in order. */
  readonly entries: ReadonlyArray<unknown>
  /** Commits the entry at `position`. */
  readonly advance: (position: number, entry: unknown) => Effect.Effect<void, StoreError>
}

export interface Stage<Input, Output, E, R> {
  readonly name: string
  /** Raised by hand when the same code should mean something else. */
  readonly version: number
  /** `import.meta.url` of the stage's file, which exports it; its import closure is fingerprinted. */
  readonly module: string
  readonly input: Schema.ConstraintCodec<Input, unknown>
  readonly output: Schema.ConstraintCodec<Output, unknown>
  /** Whether the tensor engine computes it: then engine and version are part of the key. */
  readonly usesEngine: boolean
  /**
   * What names the stage's cursor: the part of the input that earlier entries depend on. A training asked for
   * 10,000 steps continues the one asked for 5,000.
   */
  readonly identity?: (input: Input) => unknown
  readonly run: (input: Input, cursor: Cursor) => Effect.Effect<Output, E, R>
}

/** Declares a stage; its types are inferred from its Schemas and its `run`. */
export const stage = <Input, Output, E, R>(
  definition: Stage<Input, Output, E, R>,
): Stage<Input, Output, E, R> => definition
