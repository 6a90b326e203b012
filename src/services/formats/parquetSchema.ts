/** The schema of a Parquet file of flat columns, as thrift has it. Part of `parquetLimits`; throws a RangeError for others. */
import type { Struct, Value } from "./thrift.ts"

/** Types of parquet.thrift. */
export const BOOLEAN = 0
export const INT32 = 1
export const DOUBLE = 5
export const BYTE_ARRAY = 6
const OPTIONAL = 1

export const MOST_COLUMNS = 1024

export const refuse = (message: string): never => {
  throw new RangeError(message)
}

export const integer = (struct: Struct, field: number, name: string): number => {
  const value = struct.get(field)
  return typeof value === "number" && value >= 0 ? value : refuse(`${name} is no natural number`)
}
export const list = (struct: Struct, field: number, name: string): ReadonlyArray<Value> => {
  const value = struct.get(field)
  return Array.isArray(value) ? value : refuse(`${name} is no list`)
}
export const structOf = (value: Value | undefined, name: string): Struct =>
  value instanceof Map ? value : refuse(`${name} is missing`)
export const text = (value: Value | undefined): string =>
  value instanceof Uint8Array ? new TextDecoder().decode(value) : refuse("a name is no text")
export const lacks = (struct: Struct, fields: ReadonlyArray<number>): boolean =>
  !fields.some((field) => struct.has(field))

export interface Column {
  readonly name: string
  readonly type: number
  readonly isOptional: boolean
}

export const readSchema = (metadata: Struct): ReadonlyArray<Column> => {
  const [root, ...leaves] = list(metadata, 2, "the schema").map((element) => structOf(element, "a column"))
  if (root === undefined || (root.get(5) ?? 0) !== leaves.length) refuse("the schema is not flat")
  if (leaves.length > MOST_COLUMNS) refuse(`${leaves.length} columns are above the limit of ${MOST_COLUMNS}`)
  return leaves.map((leaf) => {
    const name = text(leaf.get(4))
    const type = integer(leaf, 1, `the type of column ${name}`)
    const repetition = integer(leaf, 3, `the repetition of column ${name}`)
    if (![BOOLEAN, INT32, DOUBLE, BYTE_ARRAY].includes(type) || repetition > OPTIONAL || leaf.has(5)) {
      refuse(`column ${name} is not flat, or of an unknown type`)
    }
    return { name, type, isOptional: repetition === OPTIONAL }
  })
}
