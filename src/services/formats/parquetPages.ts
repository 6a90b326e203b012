/**
 * Whether the pages of a Parquet column hold what their headers say, before hyparquet reads them. Part of `parquetLimits`;
 * throws a RangeError where they do not.
 */
import { snappyUncompress } from "hyparquet"
import { BOOLEAN, BYTE_ARRAY, type Column, INT32, integer, refuse, structOf } from "./parquetSchema.ts"
import { uncompressedLength } from "./snappy.ts"
import { Reader, type Struct, type Value } from "./thrift.ts"

/** Bytes of a page. The writer begins another one at 1 MiB. */
export const LARGEST_PAGE = 2 ** 26

/** Numbers of parquet.thrift. */
const DICTIONARY_PAGE = 2
const DATA_PAGE_V2 = 3
const PLAIN = 0
const RLE = 3
const RLE_DICTIONARY = 8

/** The values of a page as they are in the file. */
interface Packed {
  readonly bytes: Uint8Array
  readonly isCompressed: boolean
  /** Of what they hold, as the page says. */
  readonly length: number
}

const checkLength = ({ bytes, isCompressed, length }: Packed): void => {
  const found = isCompressed ? uncompressedLength(bytes) : bytes.length
  if (found !== length) refuse(`a page has ${found} bytes, and says ${length}`)
}

/** What a page holds, made once its length is known to be right. */
const unpacked = (packed: Packed): Reader => {
  checkLength(packed)
  if (!packed.isCompressed) return new Reader(packed.bytes)
  const output = new Uint8Array(packed.length)
  snappyUncompress(packed.bytes, output)
  return new Reader(output)
}

const checkEnd = (reader: Reader): void => {
  if (reader.left > 0) refuse(`${reader.left} bytes after the last value`)
}

/** Runs of equal values and of packed bits, together exactly `count` values, which the reader is full of. */
const checkRuns = (reader: Reader, width: number, count: number): void => {
  let seen = 0
  while (seen < count) {
    const head = reader.varint()
    const isPacked = head % 2 === 1
    const size = Math.floor(head / 2)
    const values = isPacked ? 8 * size : size
    if (size === 0 || values > count - seen + (isPacked ? 7 : 0))
      refuse(`a run of ${values} values, of ${count}`)
    // hyparquet takes a byte of what follows.
    if (isPacked && width === 0 && reader.left > 0) refuse("packed values of no bits before others")
    reader.bytes(isPacked ? size * width : (width + 7) >> 3)
    seen += values
  }
  checkEnd(reader)
}

/** Values one after another. */
const checkPlain = (packed: Packed, type: number, count: number): void => {
  if (type === BYTE_ARRAY) {
    const reader = unpacked(packed)
    for (let i = 0; i < count; i++) {
      const length = reader.view.getUint32(reader.offset, true)
      reader.offset += 4
      reader.bytes(length)
    }
    checkEnd(reader)
  } else {
    const length = type === BOOLEAN ? Math.ceil(count / 8) : count * (type === INT32 ? 4 : 8)
    if (packed.length !== length) refuse(`${count} values in ${packed.length} bytes`)
    checkLength(packed)
  }
}

/** Values in one of the encodings that the writer uses. */
const checkValues = (packed: Packed, encoding: Value | undefined, type: number, count: number): void => {
  if (encoding === PLAIN) checkPlain(packed, type, count)
  else if (encoding === RLE && type === BOOLEAN) {
    const reader = unpacked(packed)
    // Their length, which is not used.
    reader.bytes(4)
    checkRuns(reader, 1, count)
  } else if (encoding === RLE_DICTIONARY) {
    const reader = unpacked(packed)
    const width = reader.byte()
    if (width > 24) refuse(`places in a dictionary of ${width} bits`)
    checkRuns(reader, width, count)
  } else refuse("a page of an unknown encoding")
}

interface Chunk {
  readonly column: Column
  readonly isSnappy: boolean
  readonly rows: number
}

const checkDictionary = (header: Struct, packed: Packed, { column, rows }: Chunk): void => {
  const dictionary = structOf(header.get(7), "a dictionary's header")
  const count = integer(dictionary, 1, "the size of a dictionary")
  if (dictionary.get(2) !== PLAIN || column.type === BOOLEAN || count > rows) {
    refuse(`a dictionary of ${count} values for ${rows} rows, or not a plain one`)
  }
  checkPlain(packed, column.type, count)
}

/** A page of values for some of the rows that are left; returns for how many. */
const checkData = (header: Struct, packed: Packed, { column, rows: left }: Chunk): number => {
  const data = structOf(header.get(8), "a page's header")
  const count = integer(data, 1, "the values of a page")
  const nulls = integer(data, 2, "the nulls of a page")
  const levels = integer(data, 5, "the levels of a page")
  if (count === 0 || count > left || integer(data, 3, "the rows of a page") !== count || nulls > count) {
    refuse(`a page of ${count} values, ${nulls} of them null, where ${left} rows are left`)
  }
  if (integer(data, 6, "the levels of a page") > 0 || (!column.isOptional && levels + nulls > 0)) {
    refuse("a page has levels that its column cannot have")
  }
  if (levels > packed.bytes.length || levels > packed.length) refuse("a page is shorter than its levels")
  if (column.isOptional) checkRuns(new Reader(packed.bytes.subarray(0, levels)), 1, count)
  const values = {
    bytes: packed.bytes.subarray(levels),
    isCompressed: packed.isCompressed && data.get(7) !== false,
    length: packed.length - levels,
  }
  checkValues(values, data.get(4), column.type, count - nulls)
  return count
}

/** The bytes of a column chunk: a dictionary, perhaps, then values for each of its rows. */
export const checkPages = (bytes: Uint8Array, chunk: Chunk): void => {
  const reader = new Reader(bytes)
  let left = chunk.rows
  for (let page = 0; reader.left > 0; page++) {
    const header = reader.struct()
    const length = integer(header, 2, "the size of a page")
    if (length > LARGEST_PAGE) refuse(`a page of ${length} bytes is above the limit of ${LARGEST_PAGE}`)
    const content = reader.bytes(integer(header, 3, "the size of a page"))
    const packed = { bytes: content, isCompressed: chunk.isSnappy, length }
    if (header.get(1) === DATA_PAGE_V2) left -= checkData(header, packed, { ...chunk, rows: left })
    else if (header.get(1) === DICTIONARY_PAGE && page === 0) checkDictionary(header, packed, chunk)
    else refuse("a page of an unknown type, or a dictionary that is not the first")
  }
  if (left > 0) refuse(`${left} of ${chunk.rows} rows have no value`)
}
