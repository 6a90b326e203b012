/**
 * A tensor program: a named pure function over TensorFlow.js tensors with a typed signature.
 *
 * Programs are values. They know nothing of how they run: an engine may trace one into an ONNX graph or
 * execute it eagerly. Shapes are static, so an engine can check every call against the signature.
 */
import type { Tensor } from "@tensorflow/tfjs"

export type DType = "float32" | "int32"

export interface TensorSpec<D extends DType = DType> {
  readonly dtype: D
  readonly shape: ReadonlyArray<number>
}

/** Names, element types and shapes of a program's inputs or outputs. */
export type Signature = Readonly<Record<string, TensorSpec>>

/** The symbolic or eager tensors that a program body sees. */
export type Tensors<S extends Signature> = { readonly [K in keyof S]: Tensor }

/** Host memory for one tensor, row-major. */
export type Value<D extends DType = DType> = D extends "int32" ? Int32Array : Float32Array

/** The host values that a caller passes in and gets back. */
export type Values<S extends Signature> = { readonly [K in keyof S]: Value<S[K]["dtype"]> }

export const f32 = (...shape: ReadonlyArray<number>): TensorSpec<"float32"> => ({ dtype: "float32", shape })
export const i32 = (...shape: ReadonlyArray<number>): TensorSpec<"int32"> => ({ dtype: "int32", shape })

export const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((n, d) => n * d, 1)

/** One value for each name of a signature. */
export const mapSignature = <S extends Signature, A>(
  signature: S,
  f: (key: keyof S & string, spec: S[keyof S]) => A,
): { readonly [K in keyof S]: A } => {
  const result: Partial<Record<keyof S, A>> = {}
  for (const key in signature) result[key] = f(key, signature[key])
  return result as { readonly [K in keyof S]: A }
}

export interface Program<I extends Signature, O extends Signature> {
  readonly name: string
  readonly inputs: I
  readonly outputs: O
  readonly body: (inputs: Tensors<I>) => Tensors<O>
}

/**
 * A loop over the leading axis of `xs` with a carry, in the sense of `jax.lax.scan`:
 * `(carry, x[i], constants) -> (carry, y[i])`. Signatures of `xs` and `ys` are those of one step.
 */
export interface Scan<C extends Signature, X extends Signature, K extends Signature, Y extends Signature> {
  readonly name: string
  readonly carry: C
  readonly xs: X
  readonly constants: K
  readonly ys: Y
  readonly step: (
    carry: Tensors<C>,
    x: Tensors<X>,
    constants: Tensors<K>,
  ) => { readonly carry: Tensors<C>; readonly y: Tensors<Y> }
}

/** Declares a program; its signature is inferred. */
export const program = <I extends Signature, O extends Signature>(definition: Program<I, O>): Program<I, O> =>
  definition

/** Declares a scan; its signature is inferred. */
export const scan = <C extends Signature, X extends Signature, K extends Signature, Y extends Signature>(
  definition: Scan<C, X, K, Y>,
): Scan<C, X, K, Y> => definition
