/**
 * Arquero tables as Parquet files, which pandas opens with `pandas.read_parquet`.
 *
 * A column is BOOLEAN, INT32, DOUBLE or STRING, and may hold nulls. The type follows from the values
 * alone, so equal tables give equal bytes however their columns are stored.
 */
import { type ColumnTable, table } from "arquero"
import { Effect, Schema } from "effect"
import { type FileMetaData, parquetMetadata, parquetRead, parquetSchema } from "hyparquet"
import { type ColumnSource, parquetWriteBuffer } from "hyparquet-writer"

/** The bytes are not a Parquet table of the kind that {@link encodeTable} writes; `message` says why. */
export class MalformedTable extends Schema.TaggedError<MalformedTable>()("MalformedTable", {
  message: Schema.String,
}) {}

type Cell = boolean | number | string | null

/**
 * The Parquet file (Snappy) of a table: its visible rows, in its order; grouping is dropped.
 *
 * Numbers are INT32 when every one is an integer in range (and none is -0), otherwise DOUBLE; NaN and
 * infinities are kept. `undefined` becomes null. A column without values is DOUBLE.
 *
 * @throws TypeError for a column that mixes types or holds anything else (dates, big integers, objects).
 */
export const encodeTable = (rows: ColumnTable): Uint8Array =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: rows.columnNames().map((name) => columnSource(name, Array.from(rows.array(name), toCell))),
    }),
  )

/**
 * The table of a Parquet file: columns in the file's order, as plain arrays of values and nulls.
 *
 * A file that is cut off, or of column types not listed above, is refused. hyparquet believes what a file says of its own
 * sizes and can loop forever on a damaged page header: `checkTable` of `parquetLimits` goes first.
 */
export const decodeTable = Effect.fn("decodeTable")(function* (
  bytes: Uint8Array,
): Effect.fn.Return<ColumnTable, MalformedTable> {
  const file = new Uint8Array(bytes).buffer
  const metadata = yield* Effect.try({ try: () => parquetMetadata(file), catch: toMalformed })
  const names = parquetSchema(metadata).children.map(({ element }) => element.name)
  if (names.includes("__proto__") || new Set(names).size < names.length) {
    return yield* new MalformedTable({ message: `column names are not acceptable: ${names.join(", ")}` })
  }
  const rows = yield* Effect.tryPromise({ try: () => readRows(file, metadata), catch: toMalformed })
  const columns = new Map<string, Array<Cell>>()
  for (const [index, name] of names.entries()) {
    const cells = rows.map((row) => row[index])
    if (!cells.every(isCell)) {
      const message = `column ${name}: a value is missing, or is no boolean, number or string`
      return yield* new MalformedTable({ message })
    }
    columns.set(name, cells)
  }
  return table(columns, names)
})

const readRows = (file: ArrayBuffer, metadata: FileMetaData) =>
  new Promise<ReadonlyArray<ReadonlyArray<unknown>>>((resolve, reject) => {
    parquetRead({ file, metadata, onComplete: resolve }).catch(reject)
  })

const toMalformed = (cause: unknown) =>
  new MalformedTable({ message: cause instanceof Error ? cause.message : String(cause) })

const isCell = (value: unknown): value is Cell =>
  value === null || typeof value === "boolean" || typeof value === "number" || typeof value === "string"

const toCell = (value: unknown): unknown => value ?? null

const columnSource = (name: string, data: Array<unknown>): ColumnSource => {
  const present = data.filter((value) => value !== null)
  if (present.length > 0 && present.every((value) => typeof value === "boolean")) {
    return { name, data, type: "BOOLEAN" }
  }
  if (present.length > 0 && present.every((value) => typeof value === "string")) {
    return { name, data, type: "STRING" }
  }
  if (present.length > 0 && present.every(isInt32)) return { name, data, type: "INT32" }
  if (present.every((value) => typeof value === "number")) {
    // Plain, because the writer's dictionary would take -0 for 0.
    return { name, data, type: "DOUBLE", encoding: "PLAIN" }
  }
  throw new TypeError(`column ${name}: values are not all booleans, all numbers or all strings`)
}

const isInt32 = (value: unknown): boolean => Object.is(value, Number(value) | 0)

/** The numbers of a column; missing values are NaN. */
export const numbers = (table: ColumnTable, column: string): Float64Array =>
  Float64Array.from(table.array(column), (value) =>
    typeof value === "number" ? value : value === true ? 1 : value === false ? 0 : Number.NaN,
  )
