import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import {
  decode,
  encode,
  encodeParts,
  type HostTensor,
  MalformedTensors,
} from "../../../src/services/formats/safetensors.ts"

const shapes = fc.array(fc.nat(4), { maxLength: 3 })
const itemCount = (shape: ReadonlyArray<number>) => shape.reduce((product, size) => product * size, 1)
const items = <A>(value: fc.Arbitrary<A>, shape: ReadonlyArray<number>) =>
  fc.array(value, { minLength: itemCount(shape), maxLength: itemCount(shape) })

const tensor: fc.Arbitrary<HostTensor> = shapes.chain((shape) =>
  fc.oneof(
    items(fc.float(), shape).map((xs): HostTensor => ({ dtype: "F32", shape, data: Float32Array.from(xs) })),
    items(fc.double(), shape).map((xs): HostTensor => ({ dtype: "F64", shape, data: Float64Array.from(xs) })),
    items(fc.integer(), shape).map((xs): HostTensor => ({ dtype: "I32", shape, data: Int32Array.from(xs) })),
    items(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), shape).map(
      (xs): HostTensor => ({ dtype: "I64", shape, data: BigInt64Array.from(xs) }),
    ),
  ),
)
const names = fc
  .oneof(fc.string(), fc.constantFrom("10", "2", "constructor", "toString", "θ.attn"))
  .filter((name) => name !== "__proto__" && name !== "__metadata__")
const tensorSets = fc.dictionary(names, tensor, { maxKeys: 5 })
const metadataSets = fc.dictionary(names, fc.string(), { maxKeys: 3 })

const decoded = (bytes: Uint8Array) => Result.getOrThrow(decode(bytes))

/** A file with any header text and any data; `headerLength` overrides the length it declares. */
const file = (header: string, dataLength = 0, headerLength?: bigint): Uint8Array => {
  const text = new TextEncoder().encode(header)
  const bytes = new Uint8Array(8 + text.length + dataLength)
  new DataView(bytes.buffer).setBigUint64(0, headerLength ?? BigInt(text.length), true)
  bytes.set(text, 8)
  return bytes
}

const entry = (begin: number, end: number, shape = [(end - begin) / 4], dtype = "F32") =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] })

describe("safetensors", () => {
  it("gives back what it was given", () => {
    fc.assert(
      fc.property(tensorSets, metadataSets, (tensors, metadata) => {
        const back = decoded(encode(tensors, metadata))
        assert.deepStrictEqual({ ...back.tensors }, { ...tensors })
        assert.deepStrictEqual({ ...back.metadata }, { ...metadata })
      }),
    )
  })

  it("reads the same from any alignment, and from a Node buffer", () => {
    fc.assert(
      fc.property(tensorSets, fc.integer({ min: 1, max: 7 }), (tensors, shift) => {
        const bytes = encode(tensors)
        const shifted = Buffer.alloc(bytes.length + shift).subarray(shift)
        shifted.set(bytes)
        assert.deepStrictEqual(decoded(shifted), decoded(bytes))
      }),
      { numRuns: 30 },
    )
  })

  it("does not depend on the order of keys", () => {
    const a: HostTensor = { dtype: "F32", shape: [1], data: Float32Array.of(1) }
    const b: HostTensor = { dtype: "I64", shape: [], data: BigInt64Array.of(2n) }
    assert.deepStrictEqual(encode({ a, b }, { x: "1", y: "2" }), encode({ b, a }, { y: "2", x: "1" }))
  })

  it("writes these very bytes", () => {
    const bytes = encode(
      {
        b: { dtype: "F32", shape: [2], data: Float32Array.of(1, -2) },
        a: { dtype: "I32", shape: [], data: Int32Array.of(7) },
        c: { dtype: "F64", shape: [1, 1], data: Float64Array.of(0.5) },
      },
      { step: "25" },
    )
    const header =
      '{"__metadata__":{"step":"25"},' +
      '"a":{"dtype":"I32","shape":[],"data_offsets":[8,12]},' +
      '"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]},' +
      '"c":{"dtype":"F64","shape":[1,1],"data_offsets":[0,8]}}'
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8)
    const data = "000000000000e03f" + "07000000" + "0000803f000000c0"
    assert.strictEqual(
      Buffer.from(bytes).toString("hex"),
      `${padded.length.toString(16)}00000000000000${Buffer.from(padded).toString("hex")}${data}`,
    )
  })

  it("returns views of its own files, aligned ones, without copying", () => {
    const bytes = encode({
      i: { dtype: "I32", shape: [3], data: Int32Array.of(1, 2, 3) },
      z: { dtype: "F64", shape: [2], data: Float64Array.of(1, 2) },
    })
    for (const { data } of Object.values(decoded(bytes).tensors))
      assert.strictEqual(data.buffer, bytes.buffer)
  })

  it("encodes tensors without copying them", () => {
    const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3)
    const [, part] = encodeParts({ x: { dtype: "F32", shape: [2], data } })
    assert.strictEqual(part.buffer, data.buffer)
    assert.deepStrictEqual([part.byteOffset, part.byteLength], [4, 8])
  })

  it("encodes a view by its own window of the buffer", () => {
    const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3)
    const back = decoded(encode({ x: { dtype: "F32", shape: [2], data } }))
    assert.deepStrictEqual(back.tensors.x.data, Float32Array.of(2, 3))
  })

  it("throws when asked to write what it could not read", () => {
    const one: HostTensor = { dtype: "F32", shape: [1], data: Float32Array.of(1) }
    assert.throws(() => encode({ x: { ...one, shape: [2] } }), /"x": \[2\] has 2 items, given 1/)
    assert.throws(() => encode({ __metadata__: one }), RangeError)
    assert.throws(() => encode(Object.fromEntries([["__proto__", one]])), RangeError)
    assert.throws(() => encode({}, Object.fromEntries([["__proto__", "x"]])), RangeError)
    assert.throws(() => encode({ x: one }, { long: "x".repeat(2 ** 20) }), RangeError)
  })
})

describe("malformed safetensors", () => {
  const cases: ReadonlyArray<readonly [string, Uint8Array, RegExp]> = [
    ["nothing at all", new Uint8Array(0), /too few/],
    ["half a length", new Uint8Array(7), /too few/],
    ["a header that is cut off", file("{", 0, 9n), /only 1 bytes follow/],
    ["a header above the limit", file("{}", 2 ** 20, 2n ** 20n + 1n), /above the limit/],
    ["a header of 2^63 bytes", file("{}", 0, 2n ** 63n), /above the limit/],
    ["text that is not UTF-8", Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0xff), /not UTF-8/],
    ["text that is not JSON", file("{"), /^header: .*JSON/],
    ["deeply nested JSON", file(`{"x":${"[".repeat(5e5)}${"]".repeat(5e5)}}`), /tensor "x"/],
    ["JSON that is no object", file("[]"), /^header: /],
    ["an entry that is no object", file('{"x":1}'), /^tensor "x": /],
    ["an unknown dtype", file(`{"x":${entry(0, 4, [1], "F16")}}`, 4), /^tensor "x": .*dtype/],
    ["a negative size", file(`{"x":${entry(0, 4, [-1])}}`, 4), /shape/],
    ["a fractional size", file(`{"x":${entry(0, 4, [0.5])}}`, 4), /shape/],
    [
      "an offset beyond 2^53",
      file('{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,1e17]}}'),
      /data_offsets/,
    ],
    ["three offsets", file('{"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0,0]}}'), /data_offsets/],
    ["a missing field", file('{"x":{"dtype":"F32","shape":[0]}}'), /data_offsets/],
    ["a field too many", file('{"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"y":1}}'), /excess/],
    [
      "a shape that does not fit",
      file(`{"x":${entry(0, 4, [2])}}`, 4),
      /takes 8 bytes, given offsets 0 to 4/,
    ],
    ["offsets that run backwards", file(`{"x":${entry(4, 0, [1])}}`, 4), /offsets 4 to 0/],
    ["a product of sizes that overflows", file(`{"x":${entry(0, 0, [2 ** 52, 2 ** 52])}}`), /takes/],
    [
      "sizes that overflow, times zero",
      file(`{"x":${entry(0, 0, [...Array(30).fill(2 ** 52), 0])}}`),
      /takes/,
    ],
    ["overlapping tensors", file(`{"x":${entry(0, 8)},"y":${entry(4, 12)}}`, 12), /"y": begins at 4/],
    ["tensors that share bytes", file(`{"x":${entry(0, 4)},"y":${entry(0, 4)}}`, 4), /"y": begins at 0/],
    ["a gap", file(`{"x":${entry(4, 8)}}`, 8), /"x": begins at 4/],
    ["data that is cut off", file(`{"x":${entry(0, 8)}}`, 7), /cover 8 bytes, but the data has 7/],
    ["trailing bytes", file(`{"x":${entry(0, 4)}}`, 5), /cover 4 bytes, but the data has 5/],
    ["the name __proto__", file(`{"__proto__":${entry(0, 4)}}`, 4), /__proto__ is refused/],
    ["an escaped __proto__", file(`{"\\u005f_proto__":${entry(0, 4)}}`, 4), /__proto__ is refused/],
    ["__proto__ in an entry", file('{"x":{"__proto__":{"dtype":"F32"}}}'), /^tensor "x": /],
    ["__proto__ in the metadata", file('{"__metadata__":{"__proto__":"x"}}'), /__proto__ is refused/],
    ["metadata that is no text", file('{"__metadata__":{"x":1}}'), /^__metadata__: /],
  ]

  it.each(cases)("%s", (_, bytes, reason) => {
    const failure = Result.getOrThrow(Result.flip(decode(bytes)))
    assert.instanceOf(failure, MalformedTensors)
    assert.match(failure.message, reason)
    assert.notInclude(failure.message, "\n")
  })

  it("any truncation is a failure", () => {
    const bytes = encode({ x: { dtype: "F32", shape: [3], data: Float32Array.of(1, 2, 3) } }, { a: "b" })
    for (let length = 0; length < bytes.length; length++) {
      assert.isTrue(Result.isFailure(decode(bytes.subarray(0, length))))
    }
  })

  it("any damaged byte is a failure or a value, never an exception", () => {
    const bytes = encode({ x: { dtype: "I64", shape: [2], data: BigInt64Array.of(1n, 2n) } })
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        decode(bytes.with(at, value))
      }),
    )
  })

  it("leaves prototypes alone: absent names are undefined", () => {
    const { tensors, metadata } = decoded(encode({}))
    assert.isUndefined(tensors.constructor)
    assert.isUndefined(metadata.toString)
  })
})
