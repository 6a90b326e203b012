/**
 * Safetensors: named tensors in one file that Python opens with `safetensors.numpy.load_file`.
 *
 * Layout (huggingface/safetensors, "Format"): u64 little-endian header length; a JSON header
 * `{name: {dtype, shape, data_offsets: [begin, end]}}`, padded with spaces to 8 bytes; the data, row-major
 * and little-endian, without gaps. `__metadata__` holds string pairs.
 */
import { Result, Schema } from "effect"

/** A dense row-major tensor on the host: `data.length` is the product of `shape` (1 for a scalar, `[]`). */
export type HostTensor =
  | { readonly dtype: "F32"; readonly shape: ReadonlyArray<number>; readonly data: Float32Array }
  | { readonly dtype: "F64"; readonly shape: ReadonlyArray<number>; readonly data: Float64Array }
  | { readonly dtype: "I32"; readonly shape: ReadonlyArray<number>; readonly data: Int32Array }
  | { readonly dtype: "I64"; readonly shape: ReadonlyArray<number>; readonly data: BigInt64Array }

/** What a file holds. Both records have no prototype, so an absent name reads as `undefined`. */
export interface Decoded {
  readonly tensors: Record<string, HostTensor>
  readonly metadata: Record<string, string>
}

/** The bytes are not a safetensors file that this project can have written; `message` says why. */
export class MalformedTensors extends Schema.TaggedError<MalformedTensors>()("MalformedTensors", {
  message: Schema.String,
}) {}

const headerLimit = 2 ** 20
const metadataName = "__metadata__"
const bytesPerItem = { F32: 4, F64: 8, I32: 4, I64: 8 } as const

const HeaderJson = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))
const Metadata = Schema.Record(Schema.String, Schema.String)
const Entry = Schema.Struct({
  dtype: Schema.Literals(["F32", "F64", "I32", "I64"]),
  shape: Schema.Array(Schema.Natural),
  data_offsets: Schema.Tuple([Schema.Natural, Schema.Natural]),
})
type Entry = typeof Entry.Type

const readHeaderJson = Schema.decodeUnknownResult(HeaderJson)
const readMetadata = Schema.decodeUnknownResult(Metadata)
const readEntry = Schema.decodeUnknownResult(Entry, { onExcessProperty: "error" })

/**
 * The file of these tensors, as parts that follow one another: the header, then each tensor's own memory, not copied.
 * Equal tensors and metadata give equal bytes, whatever the order of keys.
 *
 * The header is sorted by name. In the data, tensors of 8-byte items come before those of 4-byte items, so
 * that every tensor is aligned.
 *
 * @throws RangeError for what no caller should ask: data that does not fill its shape, a reserved name, a
 * header above 1 MiB.
 */
export const encodeParts = (
  tensors: Readonly<Record<string, HostTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): ReadonlyArray<Uint8Array> => {
  const named = Object.entries(tensors).sort(byName)
  for (const [name, tensor] of named) checkEncodable(name, tensor)
  if (Object.hasOwn(metadata, "__proto__")) throw new RangeError("__proto__ cannot name metadata")
  const inOrder = [8, 4].flatMap((size) => named.filter(([, { dtype }]) => bytesPerItem[dtype] === size))
  const begins = new Map<string, number>()
  let dataLength = 0
  for (const [name, { data }] of inOrder) {
    begins.set(name, dataLength)
    dataLength += data.byteLength
  }
  const fields = named.map(([name, { dtype, shape, data }]) => {
    const begin = begins.get(name) ?? 0
    return jsonField(name, { dtype, shape, data_offsets: [begin, begin + data.byteLength] })
  })
  const pairs = Object.entries(metadata).sort(byName)
  if (pairs.length > 0) {
    fields.unshift(`"${metadataName}":{${pairs.map(([key, value]) => jsonField(key, value)).join(",")}}`)
  }
  const json = new TextEncoder().encode(`{${fields.join(",")}}`)
  const headerLength = Math.ceil(json.length / 8) * 8
  if (headerLength > headerLimit) throw new RangeError(`safetensors header of ${headerLength} bytes`)

  const header = new Uint8Array(8 + headerLength).fill(" ".charCodeAt(0), 8)
  new DataView(header.buffer).setBigUint64(0, BigInt(headerLength), true)
  header.set(json, 8)
  return [
    header,
    ...inOrder.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ]
}

/** The file of these tensors in one piece; see {@link encodeParts}. */
export const encode = (...content: Parameters<typeof encodeParts>): Uint8Array => {
  const parts = encodeParts(...content)
  const file = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    file.set(part, at)
    at += part.length
  }
  return file
}

/**
 * The tensors of a file, whose bytes are not trusted: any departure from the format, a header above 1 MiB,
 * gaps, overlaps, unknown dtypes and the name `__proto__` are refused with {@link MalformedTensors}.
 *
 * Data is a view of `bytes` where that is aligned (always, for files of {@link encode} in a buffer of their
 * own) and a copy otherwise.
 */
export const decode = (bytes: Uint8Array): Result.Result<Decoded, MalformedTensors> =>
  Result.gen(function* () {
    const headerLength = yield* readHeaderLength(bytes)
    const header = yield* readHeader(bytes.subarray(8, 8 + headerLength))
    const content = bytes.subarray(8 + headerLength)
    const metadata: Record<string, string> = Object.create(null)
    const entries: Array<readonly [string, Entry]> = []
    for (const [name, value] of Object.entries(header)) {
      if (name === metadataName) {
        const pairs = yield* explained(readMetadata(value), metadataName)
        for (const [key, text] of Object.entries(pairs)) metadata[yield* safeName(key)] = text
      } else {
        const entry = yield* explained(readEntry(value), `tensor ${JSON.stringify(name)}`)
        entries.push([yield* safeName(name), entry])
      }
    }
    yield* checkCoverage(entries, content.length)
    const tensors: Record<string, HostTensor> = Object.create(null)
    for (const [name, entry] of entries) tensors[name] = tensorAt(content, entry)
    return { tensors, metadata }
  })

const malformed = (message: string) => Result.fail(new MalformedTensors({ message }))

/** A schema's complaint as one line that names its subject. */
const explained = <A>(result: Result.Result<A, Error>, subject: string): Result.Result<A, MalformedTensors> =>
  Result.mapError(
    result,
    ({ message }) => new MalformedTensors({ message: `${subject}: ${message.replace(/\s*\n\s*/g, " ")}` }),
  )

const readHeaderLength = (bytes: Uint8Array): Result.Result<number, MalformedTensors> => {
  if (bytes.length < 8) return malformed(`${bytes.length} bytes are too few for a header length`)
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
  if (length > headerLimit) return malformed(`header of ${length} bytes is above the limit of ${headerLimit}`)
  const available = bytes.length - 8
  if (length > available) return malformed(`header of ${length} bytes, but only ${available} bytes follow`)
  return Result.succeed(Number(length))
}

const readHeader = (bytes: Uint8Array) =>
  Result.try({
    try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
    catch: () => new MalformedTensors({ message: "header: not UTF-8" }),
  }).pipe(Result.flatMap((text) => explained(readHeaderJson(text), "header")))

const safeName = (name: string): Result.Result<string, MalformedTensors> =>
  name === "__proto__" ? malformed("the name __proto__ is refused") : Result.succeed(name)

/** Each tensor fills its offsets, and together they fill the data: no gap, no overlap, nothing beyond. */
const checkCoverage = (
  entries: ReadonlyArray<readonly [string, Entry]>,
  length: number,
): Result.Result<void, MalformedTensors> => {
  let covered = 0
  const inOrder = entries.toSorted(
    ([, { data_offsets: left }], [, { data_offsets: right }]) => left[0] - right[0] || left[1] - right[1],
  )
  for (const [name, { dtype, shape, data_offsets }] of inOrder) {
    const [begin, end] = data_offsets
    const subject = `tensor ${JSON.stringify(name)}`
    const wanted = itemCount(shape) * bytesPerItem[dtype]
    if (end - begin !== wanted) {
      return malformed(
        `${subject}: ${dtype} [${shape}] takes ${wanted} bytes, given offsets ${begin} to ${end}`,
      )
    }
    if (begin !== covered) {
      return malformed(`${subject}: begins at ${begin}, where ${covered} was expected (gap or overlap)`)
    }
    covered = end
  }
  return covered === length
    ? Result.succeed(undefined)
    : malformed(`tensors cover ${covered} bytes, but the data has ${length}`)
}

const tensorAt = (content: Uint8Array, { dtype, shape, data_offsets: [begin, end] }: Entry): HostTensor => {
  const aligned = (content.byteOffset + begin) % bytesPerItem[dtype] === 0
  const view = content.subarray(begin, end)
  const { buffer, byteOffset } = aligned ? view : new Uint8Array(view)
  const count = itemCount(shape)
  switch (dtype) {
    case "F32":
      return { dtype, shape, data: new Float32Array(buffer, byteOffset, count) }
    case "F64":
      return { dtype, shape, data: new Float64Array(buffer, byteOffset, count) }
    case "I32":
      return { dtype, shape, data: new Int32Array(buffer, byteOffset, count) }
    case "I64":
      return { dtype, shape, data: new BigInt64Array(buffer, byteOffset, count) }
  }
}

/** Above 2^53 the product is rounded, but then no file is long enough for it to be accepted. */
const itemCount = (shape: ReadonlyArray<number>): number => shape.reduce((product, size) => product * size, 1)

/** By code unit, the same on every machine and locale. */
const byName = ([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number =>
  left < right ? -1 : left > right ? 1 : 0

const jsonField = (name: string, value: unknown): string => `${JSON.stringify(name)}:${JSON.stringify(value)}`

const checkEncodable = (name: string, { shape, data }: HostTensor): void => {
  if (name === metadataName || name === "__proto__") throw new RangeError(`${name} cannot name a tensor`)
  const wanted = itemCount(shape)
  if (data.length !== wanted) {
    throw new RangeError(
      `tensor ${JSON.stringify(name)}: [${shape}] has ${wanted} items, given ${data.length}`,
    )
  }
}
