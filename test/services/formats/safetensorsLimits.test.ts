import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import {
  decode,
  encode,
  type HostTensor,
  MalformedTensors,
} from "../../../src/services/formats/safetensors.ts"
import { checkTensors } from "../../../src/services/formats/safetensorsLimits.ts"

const named: HostTensor = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) }
const step: HostTensor = { dtype: "I64", shape: [], data: BigInt64Array.of(7n) }
const good = encode(
  Object.fromEntries([
    ["constructor", named],
    ["step", step],
  ]),
  { note: "x" },
)

/** A file with any header text and no data. */
const withHeader = (header: string): Uint8Array => {
  const text = new TextEncoder().encode(header)
  const bytes = new Uint8Array(8 + text.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true)
  bytes.set(text, 8)
  return bytes
}

const empty = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'

describe("limits of safetensors", () => {
  it("let pass what this project writes, whatever its tensors are called", () => {
    assert.isTrue(Result.isSuccess(checkTensors(good)))
  })

  it.each([
    ["a tensor twice", `{"x":${empty},"x":${empty}}`, "twice"],
    ["a tensor twice, differently spelt", `{"x":${empty},"\\u0078":${empty}}`, "twice"],
    ["a field twice", '{"x":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}}', "twice"],
    ["metadata twice", '{"__metadata__":{},"__metadata__":{}}', "twice"],
    ["a header that is nested deep", `{"x":${"[".repeat(5e5)}${"]".repeat(5e5)}}`, "deeper"],
    ["a size that is no number", '{"x":{"dtype":"F32","shape":[1e999],"data_offsets":[0,0]}}', "too large"],
  ])("refuse %s", (_, header, says) => {
    const failure = Result.getOrThrow(Result.flip(checkTensors(withHeader(header))))
    assert.instanceOf(failure, MalformedTensors)
    assert.include(failure.message, says)
    assert.notInclude(failure.message, "\n")
  })

  it("leave to the codec what is cut off or no safetensors file", () => {
    for (const bytes of [new Uint8Array(0), good.subarray(0, 7), good.subarray(0, 20)]) {
      assert.isTrue(Result.isSuccess(checkTensors(bytes)))
      assert.isTrue(Result.isFailure(decode(bytes)))
    }
  })

  it("with the codec make any bytes a failure or a value", () => {
    const damaged = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, value]) => good.with(at, value)),
      fc.nat(good.length).map((length) => good.subarray(0, length)),
      fc
        .tuple(fc.nat(good.length), fc.nat(good.length))
        .map(([a, b]) => Uint8Array.of(...good.subarray(0, a), ...good.subarray(b))),
    )
    fc.assert(
      fc.property(damaged, (bytes) => {
        const result = Result.flatMap(checkTensors(bytes), () => decode(bytes))
        if (Result.isFailure(result)) assert.instanceOf(result.failure, MalformedTensors)
      }),
      { numRuns: 3000 },
    )
  })
})
