/** Whether bytes are Snappy's, before anything is made of them (google/snappy, "format_description.txt"). */

/** A number of `count` bytes; not a number where they are not there. */
const littleEndian = (bytes: Uint8Array, at: number, count: number): number => {
  let value = 0
  for (let i = 0; i < count; i++) value += (bytes[at + i] ?? Number.NaN) * 2 ** (8 * i)
  return value
}

/**
 * The length of what compressed bytes hold.
 *
 * @throws RangeError where they are cut off, reach back before the beginning, or are not as long as they say.
 */
export const uncompressedLength = (bytes: Uint8Array): number => {
  let at = 0
  let claimed = 0
  for (let more = true; more; at++) {
    if (at === 5 || at >= bytes.length) throw new RangeError("Snappy data without a length")
    claimed += (bytes[at] & 0x7f) * 2 ** (7 * at)
    more = bytes[at] >= 0x80
  }
  let length = 0
  while (at < bytes.length) {
    const tag = bytes[at++]
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >> 2
      const extra = Math.max(0, short - 59)
      const literal = (extra === 0 ? short : littleEndian(bytes, at, extra)) + 1
      at += extra + literal
      length += literal
    } else {
      const offsetBytes = kind === 3 ? 4 : kind
      const low = littleEndian(bytes, at, offsetBytes)
      const offset = kind === 1 ? low + (tag >> 5) * 256 : low
      // Also false for what is not a number, beyond the end.
      if (!(offset >= 1 && offset <= length)) throw new RangeError("Snappy data reaches back too far")
      at += offsetBytes
      length += kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    }
    if (!(at <= bytes.length)) throw new RangeError("Snappy data is cut off")
  }
  if (length !== claimed) throw new RangeError(`Snappy data of ${length} bytes says that it has ${claimed}`)
  return length
}
