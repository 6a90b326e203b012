/**
 * Thrift's compact protocol, in which Parquet writes its metadata, read from bytes that are not trusted: no list is longer
 * than the bytes that are left, nothing is nested deep, no number has another spelling than its shortest.
 *
 * Throws a RangeError for anything else, as a DataView does beyond its end.
 */

/** A struct, by field number. */
export type Struct = ReadonlyMap<number, Value>
export type Value = boolean | number | Uint8Array | ReadonlyArray<Value> | Struct

const DEEPEST = 12

export class Reader {
  readonly view: DataView
  offset: number

  constructor(bytes: Uint8Array, offset = 0) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.offset = offset
  }

  get left(): number {
    return this.view.byteLength - this.offset
  }

  byte(): number {
    return this.view.getUint8(this.offset++)
  }

  /** A number below 2^32. */
  varint(): number {
    let value = 0
    for (let i = 0; i < 5; i++) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) {
        if ((byte === 0 && i > 0) || value >= 2 ** 32) break
        return value
      }
    }
    throw new RangeError("a number is not as short as it should be")
  }

  bytes(length: number): Uint8Array {
    if (length > this.left) throw new RangeError(`${length} bytes, but only ${this.left} are left`)
    const start = this.view.byteOffset + this.offset
    this.offset += length
    return new Uint8Array(this.view.buffer, start, length)
  }

  struct(depth = 0): Struct {
    if (depth > DEEPEST) throw new RangeError("metadata is nested too deep")
    const fields = new Map<number, Value>()
    let last = 0
    for (let head = this.byte(); head !== 0; head = this.byte()) {
      const step = head >> 4
      const field = step === 0 ? unfold(this.varint()) : last + step
      if (field <= last) throw new RangeError(`field ${field} after field ${last}`)
      last = field
      fields.set(field, this.value(head & 0x0f, depth))
    }
    return fields
  }

  private value(type: number, depth: number): Value {
    switch (type) {
      case 1:
        return true
      case 2:
        return false
      case 3:
        return this.view.getInt8(this.offset++)
      case 4:
      case 5:
        return unfold(this.varint())
      case 6:
        return this.wideInteger()
      case 7:
        this.offset += 8
        return this.view.getFloat64(this.offset - 8, true)
      case 8:
        return this.bytes(this.varint())
      case 9:
        return this.list(depth)
      case 12:
        return this.struct(depth + 1)
      default:
        throw new RangeError(`metadata of an unknown type (${type})`)
    }
  }

  private list(depth: number): ReadonlyArray<Value> {
    const head = this.byte()
    const size = head >> 4 === 15 ? this.varint() : head >> 4
    // Each element takes a byte at least.
    if (size > this.left) throw new RangeError(`a list of ${size} in ${this.left} bytes`)
    if (depth > DEEPEST) throw new RangeError("metadata is nested too deep")
    const type = head & 0x0f
    // Booleans of a list are bytes.
    return Array.from({ length: size }, () => this.value(type === 1 || type === 2 ? 3 : type, depth + 1))
  }

  private wideInteger(): number {
    let value = 0n
    for (let shift = 0n; shift < 64n; shift += 7n) {
      const byte = this.byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        const unfolded = Number((value >> 1n) ^ -(value & 1n))
        if (Number.isSafeInteger(unfolded)) return unfolded
        break
      }
    }
    throw new RangeError("a number is too large")
  }
}

/** Zigzag: small numbers of either sign are small. */
const unfold = (folded: number): number => (folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2)
