/** Typed contents of the store: tensors as safetensors, tables as Parquet, anything with a Schema as JSON. */
import type { ColumnTable } from "arquero"
import { Effect, Schema } from "effect"
import type { ArtifactRef } from "./Artifact.ts"
import { ArtifactStore } from "./ArtifactStore.ts"
import { parseJsonBytes } from "./formats/json.ts"
import { decodeTable, encodeTable } from "./formats/parquet.ts"
import { checkTable } from "./formats/parquetLimits.ts"
import { decode, encodeParts, type HostTensor, MalformedTensors } from "./formats/safetensors.ts"
import { checkTensors } from "./formats/safetensorsLimits.ts"

export type Tensors = Readonly<Record<string, HostTensor>>

/** Stores tensors; their data must stay as it is until that is done. */
export const putTensors = Effect.fn("putTensors")(function* (tensors: Tensors) {
  const store = yield* ArtifactStore
  return yield* store.put("safetensors", ...encodeParts(tensors))
})

export const getTensors = Effect.fn("getTensors")(function* (ref: ArtifactRef) {
  const store = yield* ArtifactStore
  const bytes = yield* store.get(ref)
  yield* Effect.fromResult(checkTensors(bytes))
  const { tensors } = yield* Effect.fromResult(decode(bytes))
  return tensors
})

const wrongType = (name: string, wanted: string) =>
  Effect.fail(new MalformedTensors({ message: `tensor ${name} should be there with dtype ${wanted}` }))

/** The data of a float32 tensor of a file. */
export const float32 = (tensors: Tensors, name: string): Effect.Effect<Float32Array, MalformedTensors> => {
  const tensor = tensors[name]
  return tensor?.dtype === "F32" ? Effect.succeed(tensor.data) : wrongType(name, "F32")
}

/** The data of a float64 tensor of a file. */
export const float64 = (tensors: Tensors, name: string): Effect.Effect<Float64Array, MalformedTensors> => {
  const tensor = tensors[name]
  return tensor?.dtype === "F64" ? Effect.succeed(tensor.data) : wrongType(name, "F64")
}

/** A float32 tensor to store. */
export const f32Tensor = (data: Float32Array, shape: ReadonlyArray<number> = [data.length]): HostTensor => ({
  dtype: "F32",
  shape,
  data,
})

/** A float64 tensor to store. */
export const f64Tensor = (data: Float64Array, shape: ReadonlyArray<number> = [data.length]): HostTensor => ({
  dtype: "F64",
  shape,
  data,
})

export const putTable = Effect.fn("putTable")(function* (table: ColumnTable) {
  const store = yield* ArtifactStore
  return yield* store.put("parquet", encodeTable(table))
})

/** The table of Parquet's bytes, within the limits of `parquetLimits`. */
export const tableOf = (bytes: Uint8Array) =>
  Effect.andThen(Effect.fromResult(checkTable(bytes)), decodeTable(bytes))

export const getTable = Effect.fn("getTable")(function* (ref: ArtifactRef) {
  const store = yield* ArtifactStore
  return yield* tableOf(yield* store.get(ref))
})

export const putJson = Effect.fn("putJson")(function* <T, E>(schema: Schema.ConstraintCodec<T, E>, value: T) {
  const store = yield* ArtifactStore
  const encoded = yield* Schema.encodeEffect(schema)(value)
  return yield* store.put("json", new TextEncoder().encode(`${JSON.stringify(encoded)}\n`))
})

export const getJson = Effect.fn("getJson")(function* <T, E>(
  schema: Schema.ConstraintCodec<T, E>,
  ref: ArtifactRef,
) {
  const store = yield* ArtifactStore
  const document = yield* Effect.fromResult(parseJsonBytes(yield* store.get(ref)))
  return yield* Schema.decodeUnknownEffect(schema)(document)
})
