/**
 * The tensor engine: compiles tensor programs (`src/model/Program.ts`) and runs them on host values.
 *
 * Everything that an engine acquires (sessions, device memory) lives in the caller's Scope.
 * Which engine runs is a Layer: `OnnxEngine` (default) or `EagerEngine` (the reference for tests).
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { Program, Scan, Signature, Values } from "../model/Program.ts"
import type { FingerprintError } from "./CodeFingerprint.ts"

/** A traced program used an operation that the engine has no kernel for. */
export class UnsupportedOp extends Schema.TaggedError<UnsupportedOp>()("UnsupportedOp", {
  op: Schema.String,
  program: Schema.String,
  engine: Schema.String,
}) {
  override get message() {
    return `engine ${this.engine} has no kernel for op ${this.op}, which program ${this.program} uses; add it to the engine's kernels or write the program without it`
  }
}

/** A tensor that was passed in or returned does not match the program's signature. */
export class SignatureMismatch extends Schema.TaggedError<SignatureMismatch>()("SignatureMismatch", {
  program: Schema.String,
  tensor: Schema.String,
  wanted: Schema.String,
  given: Schema.String,
}) {
  override get message() {
    return `program ${this.program}: tensor ${this.tensor} should be ${this.wanted} but is ${this.given}`
  }
}

/** The engine failed to build or execute a program; `cause` is the engine's own error. */
export class EngineFailure extends Schema.TaggedError<EngineFailure>()("EngineFailure", {
  program: Schema.String,
  engine: Schema.String,
  cause: Schema.Defect(),
}) {
  override get message() {
    const cause = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `engine ${this.engine} could not run program ${this.program}: ${cause}`
  }
}

const megabytes = (bytes: number | null): string =>
  bytes === null ? "an unknown amount" : `${(bytes / 1e6).toFixed(0)} MB`

/** The memory of the engine's device does not hold what a program needs. */
export class OutOfMemory extends Schema.TaggedError<OutOfMemory>()("OutOfMemory", {
  program: Schema.String,
  engine: Schema.String,
  /** Bytes of the allocation that failed, and bytes that were free; null where the engine does not tell. */
  wanted: Schema.NullOr(Schema.Finite),
  free: Schema.NullOr(Schema.Finite),
  /** The largest ensemble of the program that fits, where it ran in one. */
  largest: Schema.optionalKey(Schema.Int),
}) {
  override get message() {
    const shortage = `engine ${this.engine} is out of memory in program ${this.program}: it wanted ${megabytes(this.wanted)} where ${megabytes(this.free)} is free`
    return this.largest === undefined
      ? `${shortage}; end what else uses the memory, or take fewer workers, a smaller model or a smaller batch`
      : `${shortage}; going on with ${this.largest} at a time, which fit`
  }
}

export type EngineError = UnsupportedOp | SignatureMismatch | EngineFailure | OutOfMemory

export interface Executable<I extends Signature, O extends Signature> {
  readonly run: (inputs: Values<I>) => Effect.Effect<Values<O>, EngineError>
}

export interface ScanExecutable<
  C extends Signature,
  X extends Signature,
  K extends Signature,
  Y extends Signature,
> {
  /** Runs as many steps as the leading axis of `xs` has entries; `ys` are stacked along a new leading axis. */
  readonly run: (inputs: {
    readonly carry: Values<C>
    readonly xs: Values<X>
    readonly constants: Values<K>
  }) => Effect.Effect<{ readonly carry: Values<C>; readonly ys: Values<Y> }, EngineError>
}

/**
 * Gives the memory of arrays back at once; they are empty afterwards, and so is every other view of their buffers.
 *
 * *When to use*: for results of a program that runs thousands of times. Garbage collection notices megabytes outside of its
 * own heap, and takes a fifth of the processor's time to find out that they can go.
 */
export const release = (...arrays: ReadonlyArray<Float32Array | Int32Array>): void => {
  for (const { buffer } of arrays) if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0)
}

export class TensorEngine extends Context.Service<
  TensorEngine,
  {
    /** Name of the engine, part of every key of a stage that computes with it. */
    readonly id: string
    /** Version of engine and tracer, part of the key too. */
    readonly version: Effect.Effect<string, FingerprintError>
    readonly compile: <I extends Signature, O extends Signature>(
      program: Program<I, O>,
    ) => Effect.Effect<Executable<I, O>, EngineError, Scope.Scope>
    readonly compileScan: <
      C extends Signature,
      X extends Signature,
      K extends Signature,
      Y extends Signature,
    >(
      scan: Scan<C, X, K, Y>,
    ) => Effect.Effect<ScanExecutable<C, X, K, Y>, EngineError, Scope.Scope>
  }
>()("grokscope/services/TensorEngine") {}
