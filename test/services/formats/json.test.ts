import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import {
  DEEPEST,
  LONGEST,
  MalformedJson,
  MOST_VALUES,
  parseJson,
  parseJsonBytes,
} from "../../../src/services/formats/json.ts"

const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`

/** Pieces that JSON is made of, and pieces that it is not: put together they are nearly JSON. */
const pieces = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\",
  "a",
  '"a"',
  '"__proto__"',
  '"\\u0061"',
  "1",
  "-0",
  "1e999",
  " ",
  "null",
]
const nearly = fc.array(fc.constantFrom(...pieces), { maxLength: 30 }).map((parts) => parts.join(""))

const native = (text: string) => Result.try((): unknown => JSON.parse(text))

/** Names of all objects in a value. */
const names = (value: unknown): ReadonlyArray<string> =>
  typeof value === "object" && value !== null
    ? [...(Array.isArray(value) ? [] : Object.keys(value)), ...Object.values(value).flatMap(names)]
    : []

const refused = (text: string) => {
  const failure = Result.getOrThrow(Result.flip(parseJson(text)))
  assert.instanceOf(failure, MalformedJson)
  return failure.message
}

describe("JSON that may come from anywhere", () => {
  it("is what JSON.parse makes of it", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 10 }), (text) => {
        fc.pre(!/__proto__|constructor|prototype/.test(text))
        assert.deepStrictEqual(Result.getOrThrow(parseJson(text)), JSON.parse(text))
      }),
      { numRuns: 300 },
    )
  })

  it("is a value or a typed failure, and never more than JSON.parse accepts", () => {
    let values = 0
    fc.assert(
      fc.property(fc.oneof(nearly, fc.string()), (text) => {
        const result = parseJson(text)
        if (Result.isFailure(result)) return assert.instanceOf(result.failure, MalformedJson)
        values++
        assert.deepStrictEqual(result.success, Result.getOrThrow(native(text)))
        assert.notInclude(names(result.success), "__proto__")
      }),
      { numRuns: 5000 },
    )
    assert.isAbove(values, 20, "too few values to mean anything")
  })

  it("may be changed in any sign, and is a value or a failure", () => {
    const text = JSON.stringify({ a: [1, -0.5, 'x\\"\u00e9', null, { b: true }], c: { d: [] } })
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...pieces), (at, piece) => {
        parseJson(text.slice(0, at) + piece + text.slice(at + 1))
        parseJson(text.slice(0, at))
      }),
      { numRuns: 1000 },
    )
  })

  it.each(["__proto__", "constructor", "prototype"])(
    "is refused with the name %s, however it is written",
    (name) => {
      const escaped = `\\u${name.charCodeAt(0).toString(16).padStart(4, "0")}${name.slice(1)}`
      for (const written of [name, escaped]) {
        for (const text of [`{"${written}":1}`, `{"a":[{"${written}":{"x":1}}]}`]) {
          assert.include(refused(text), `the name ${name} is refused`)
        }
      }
      assert.isTrue(Result.isSuccess(parseJson(JSON.stringify({ name }))))
    },
  )

  it("is left to its reader's choice of names, if the reader says so", () => {
    assert.isTrue(Result.isSuccess(parseJson('{"constructor":1}', { refusesNames: false })))
  })

  it("is refused with a name twice, for readers disagree on which counts", () => {
    assert.include(refused('{"a":1,"a":1}'), "twice")
    assert.include(refused('{"x":[{"a":1,"\\u0061":2}]}'), "twice")
    assert.isTrue(Result.isSuccess(parseJson('{"a":{"a":"a:a"},"b":{"a":1}}')))
  })

  it("is refused with numbers that are not finite", () => {
    for (const text of ["1e999", "[-1e999]", `{"a":${"9".repeat(400)}}`]) {
      assert.include(refused(text), "too large")
    }
  })

  it("is as deep as the limit, and no deeper", () => {
    assert.isTrue(Result.isSuccess(parseJson(nested(DEEPEST))))
    assert.include(refused(nested(DEEPEST + 1)), `deeper than ${DEEPEST}`)
    assert.isTrue(Result.isSuccess(parseJson(JSON.stringify(nested(1000)))))
  })

  it("is refused before it takes memory: too deep, too many values, too long", () => {
    for (const [text, says] of [
      [nested(1e6), "deeper"],
      [`[${"0,".repeat(MOST_VALUES)}0]`, "values"],
      [`"${"x".repeat(LONGEST)}"`, "above the limit"],
    ] as const) {
      const before = process.memoryUsage().heapUsed
      assert.include(refused(text), says)
      assert.isBelow(process.memoryUsage().heapUsed - before, 2 ** 26)
    }
    assert.isTrue(Result.isFailure(parseJsonBytes(new Uint8Array(LONGEST + 1))))
  })

  it("is refused where it is not UTF-8", () => {
    assert.isTrue(Result.isFailure(parseJsonBytes(Uint8Array.of(0x22, 0xff, 0x22))))
    assert.deepStrictEqual(parseJsonBytes(new TextEncoder().encode('"é"')), Result.succeed("é"))
  })
})
