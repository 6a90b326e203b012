import { assert, describe, it } from "@effect/vitest"
import { Option } from "effect"
import * as fc from "fast-check"
import { bytesText, parseBytes } from "../../src/commands/byteSize.ts"

describe("an amount of data", () => {
  it.each<[string, number]>([
    ["0B", 0],
    ["512 B", 512],
    ["5GB", 5e9],
    ["1.5 GB", 1.5e9],
    ["3kB", 3000],
    ["20MB", 2e7],
    ["2TB", 2e12],
    ["1KiB", 1024],
    ["1.5MiB", 1.5 * 2 ** 20],
    ["4 GiB", 2 ** 32],
  ])("%s is read as %d bytes", (text, bytes) => {
    assert.deepStrictEqual(parseBytes(text), Option.some(bytes))
  })

  it.each([
    "",
    "5",
    "GB",
    "5gb",
    "5G",
    "-5GB",
    "5e3B",
    "5 gigabytes",
    "5PB",
    "0.5B",
    "1,5GB",
    "5  GB",
    "5GB more",
    "99999999TB",
  ])("is not %j", (text) => {
    assert.deepStrictEqual(parseBytes(text), Option.none())
  })

  it.each<[number, string]>([
    [0, "0 B"],
    [999, "999 B"],
    [1234, "1.2 kB"],
    [999_999, "1 MB"],
    [5e9, "5 GB"],
  ])("of %d is shown as %s", (bytes, text) => {
    assert.strictEqual(bytesText(bytes), text)
  })

  it("is read as it is shown, to a digit after the point", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), (bytes) => {
        const read = Option.getOrThrow(parseBytes(bytesText(bytes)))
        assert.isAtMost(Math.abs(read - bytes), 0.05 * Math.max(bytes, 1))
      }),
    )
  })
})
