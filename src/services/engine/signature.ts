/** Checks of host values and results against a program's signature, shared by the engines. */
import type * as tf from "@tensorflow/tfjs"
import { Effect } from "effect"
import { type Signature, sizeOf, type TensorSpec } from "../../model/Program.ts"
import { SignatureMismatch } from "../TensorEngine.ts"

export const describeSpec = (dtype: string, shape: ReadonlyArray<number>): string =>
  `${dtype}[${shape.join()}]`

const describeValue = (value: unknown): string =>
  ArrayBuffer.isView(value) ? `${value.constructor.name} of ${value.byteLength / 4} entries` : typeof value

const holds = ({ dtype, shape }: TensorSpec, value: unknown): boolean =>
  dtype === "int32"
    ? value instanceof Int32Array && value.length === sizeOf(shape)
    : value instanceof Float32Array && value.length === sizeOf(shape)

/** Fails where a host value's element type or length is not that of its spec. */
export const checkValues = (
  program: string,
  signature: Signature,
  values: Readonly<Record<string, unknown>>,
) =>
  Effect.forEach(
    Object.entries(signature),
    ([tensor, spec]) =>
      holds(spec, values[tensor])
        ? Effect.void
        : Effect.fail(
            new SignatureMismatch({
              program,
              tensor,
              wanted: describeSpec(spec.dtype, spec.shape),
              given: describeValue(values[tensor]),
            }),
          ),
    { discard: true },
  )

/** The common length of the leading axis of a scan's `xs`; fails where they disagree or do not divide. */
export const scanLength = (program: string, xs: Signature, values: Readonly<Record<string, unknown>>) =>
  Effect.gen(function* () {
    const [[firstKey, firstSpec]] = Object.entries(xs)
    const first = values[firstKey]
    const length = ArrayBuffer.isView(first) ? first.byteLength / 4 / sizeOf(firstSpec.shape) : Number.NaN
    const stacked = Object.fromEntries(
      Object.entries(xs).map(([key, spec]) => [key, { ...spec, shape: [length, ...spec.shape] }]),
    )
    if (!Number.isInteger(length)) {
      return yield* new SignatureMismatch({
        program,
        tensor: firstKey,
        wanted: `${firstSpec.dtype}[steps,${firstSpec.shape.join()}]`,
        given: describeValue(first),
      })
    }
    yield* checkValues(program, stacked, values)
    return length
  })

/** Throws (inside a trace or an eager run) where a body's result is not what the signature says. */
export const checkResult = (
  program: string,
  signature: Signature,
  key: string,
  result: { readonly dtype: string; readonly shape: ReadonlyArray<number> } | undefined,
): void => {
  const wanted = describeSpec(signature[key].dtype, signature[key].shape)
  const given = result === undefined ? "missing" : describeSpec(result.dtype, result.shape)
  if (given !== wanted) throw new SignatureMismatch({ program, tensor: key, wanted, given })
}

export type Results = Readonly<Record<string, tf.Tensor>>
