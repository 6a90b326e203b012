/** How far two outputs of a stage are from each other, artifacts and all. */
import type { ColumnTable } from "arquero"
import { Effect, Predicate, Schema } from "effect"
import { mostUlps, ulps } from "../numerics/ulp.ts"
import { ArtifactRef } from "./Artifact.ts"
import type { ArtifactStore, StoreError } from "./ArtifactStore.ts"
import { getJson, getTable, getTensors, type Tensors } from "./artifacts.ts"
import type { MalformedJson } from "./formats/json.ts"
import type { MalformedTable } from "./formats/parquet.ts"
import type { MalformedTensors } from "./formats/safetensors.ts"

const FAR = Number.POSITIVE_INFINITY

const largest = (distances: ReadonlyArray<number>): number =>
  distances.reduce((most, distance) => Math.max(most, distance), 0)

const ofTensors = (a: Tensors, b: Tensors): number => {
  const names = Object.keys(a)
  if (names.length !== Object.keys(b).length) return FAR
  return largest(
    names.map((name) => {
      const [left, right] = [a[name], b[name]]
      if (right === undefined || left.dtype !== right.dtype || `${left.shape}` !== `${right.shape}`)
        return FAR
      if (left.dtype === "I64" || right.dtype === "I64") return `${left.data}` === `${right.data}` ? 0 : FAR
      return mostUlps(left.data, right.data)
    }),
  )
}

const ofTables = (a: ColumnTable, b: ColumnTable): number => {
  const names = a.columnNames()
  if (`${names}` !== `${b.columnNames()}` || a.numRows() !== b.numRows()) return FAR
  return largest(
    names.map((name) => {
      const right = Array.from(b.array(name))
      return largest(Array.from(a.array(name), (value, i) => ofScalars(value, right[i])))
    }),
  )
}

const ofScalars = (a: unknown, b: unknown): number =>
  typeof a === "number" && typeof b === "number" ? ulps(a, b) : Object.is(a, b) ? 0 : FAR

type Distance = Effect.Effect<
  number,
  StoreError | MalformedJson | MalformedTensors | MalformedTable | Schema.SchemaError,
  ArtifactStore
>

const isRef = Schema.is(ArtifactRef)

/** The parts of data by name; none of a scalar. */
const partsOf = (value: unknown): ReadonlyMap<string, unknown> | undefined =>
  Array.isArray(value) || Predicate.isObject(value)
    ? new Map<string, unknown>(Object.entries(value))
    : undefined

const ofArtifacts = (a: ArtifactRef, b: ArtifactRef): Distance =>
  Effect.gen(function* () {
    if (a.format !== b.format) return FAR
    switch (a.format) {
      case "safetensors":
        return ofTensors(yield* getTensors(a), yield* getTensors(b))
      case "parquet":
        return ofTables(yield* getTable(a), yield* getTable(b))
      case "json":
        return yield* distance(yield* getJson(Schema.Unknown, a), yield* getJson(Schema.Unknown, b))
    }
  })

/**
 * The largest distance, in ulps, of two numbers at the same place of two encoded outputs and of all artifacts that they lead
 * to; 0 only if every byte is the same, infinite where anything but numbers differs.
 */
export const distance = (a: unknown, b: unknown): Distance =>
  Effect.gen(function* () {
    if (isRef(a) && isRef(b)) return a.digest === b.digest ? 0 : Math.max(1, yield* ofArtifacts(a, b))
    const [left, right] = [partsOf(a), partsOf(b)]
    if (left === undefined || right === undefined) return ofScalars(a, b)
    if (Array.isArray(a) !== Array.isArray(b) || left.size !== right.size) return FAR
    return largest(
      yield* Effect.forEach(left, ([name, part]) =>
        right.has(name) ? distance(part, right.get(name)) : Effect.succeed(FAR),
      ),
    )
  })
