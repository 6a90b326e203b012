/**
 * Whether bytes are a Parquet file as `parquet.ts` writes it, before that reads it: flat columns of four types in pages of
 * version 2 whose sizes, counts and encodings are what they say. hyparquet trusts these, so a small file could have it
 * allocate any amount of memory, or never return.
 *
 * Stands apart from the codec because that counts in every stage's key, and a limit changes no result.
 */
import { Result } from "effect"
import { MalformedTable } from "./parquet.ts"
import { checkPages } from "./parquetPages.ts"
import { integer, lacks, list, readSchema, refuse, structOf, text } from "./parquetSchema.ts"
import { Reader } from "./thrift.ts"

/** Cells of a table. A file of n bytes has fewer: one value over and over takes 100 bytes for 100,000 rows. */
export const MOST_CELLS = 2 ** 25
const cellsOf = (bytes: number): number => Math.min(MOST_CELLS, 2 ** 18 + 1280 * bytes)

const MAGIC = 0x31524150
const SNAPPY = 1

const checkFile = (bytes: Uint8Array): void => {
  const end = bytes.length - 8
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (end < 4 || view.getUint32(0, true) !== MAGIC || view.getUint32(end + 4, true) !== MAGIC) {
    refuse("not a Parquet file")
  }
  const start = end - view.getUint32(end, true)
  if (start < 4) refuse("the metadata is longer than the file")
  const reader = new Reader(bytes.subarray(start, end))
  const metadata = reader.struct()
  if (reader.left > 0) refuse("there is something after the metadata")

  const columns = readSchema(metadata)
  const groups = list(metadata, 4, "the row groups").map((group) => structOf(group, "a row group"))
  const rows = groups.map((group) => integer(group, 3, "the rows of a group"))
  const total = rows.reduce((sum, count) => sum + count, 0)
  if (integer(metadata, 3, "the rows") !== total) refuse(`${total} rows in groups are not all`)
  if (total * columns.length > cellsOf(bytes.length)) {
    refuse(`${total} rows of ${columns.length} columns are above the limit of ${cellsOf(bytes.length)} cells`)
  }
  for (const [i, group] of groups.entries()) {
    const chunks = list(group, 1, "the columns of a group")
    if (chunks.length !== columns.length) refuse("a row group has other columns")
    for (const [j, value] of chunks.entries()) {
      const chunk = structOf(value, "a column chunk")
      const column = columns[j]
      const about = structOf(chunk.get(3), "a column's metadata")
      // In another file, encrypted, or with an index.
      if (!lacks(chunk, [1, 4, 5, 6, 7, 8, 9]) || !lacks(about, [10, 14, 15]))
        refuse("a column is not in one piece")
      const path = list(about, 3, "a column's name").map(text)
      const codec = integer(about, 4, "a column's codec")
      if (about.get(1) !== column.type || path.length !== 1 || path[0] !== column.name || codec > SNAPPY) {
        refuse(`column ${column.name} is another one in a row group`)
      }
      if (about.get(5) !== rows[i]) refuse(`column ${column.name} does not have ${rows[i]} values`)
      const from = integer(about, about.get(11) ? 11 : 9, "a column's place")
      const to = from + integer(about, 7, "a column's size")
      if (from < 4 || to > start) refuse(`column ${column.name} is not within the file`)
      checkPages(bytes.subarray(from, to), { column, isSnappy: codec === SNAPPY, rows: rows[i] })
    }
  }
}

/** Fails unless `decodeTable` can read the bytes in time and memory that their length bounds. */
export const checkTable = (bytes: Uint8Array): Result.Result<void, MalformedTable> =>
  Result.try({
    try: () => checkFile(bytes),
    catch: (cause) => new MalformedTable({ message: cause instanceof Error ? cause.message : String(cause) }),
  })
