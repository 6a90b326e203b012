import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { canonical, digestOf, sha256 } from "../../../src/services/store/canonical.ts"

describe("canonical", () => {
  it.each<[unknown, string]>([
    [null, "n"],
    [true, "t"],
    [false, "f"],
    [1, "#1"],
    [-0.5, "#-0.5"],
    [1e21, "#1e+21"],
    [0.1 + 0.2, "#0.30000000000000004"],
    ["1", '"1"'],
    ["", '""'],
    ['say "hi"\n', '"say \\"hi\\"\\n"'],
    [[], "[]"],
    [{}, "{}"],
    [[1, "1", [null]], '[#1 "1" [n]]'],
    [{ b: 1, a: { d: [], c: true } }, '{"a" {"c" t "d" []} "b" #1}'],
  ])("of %j is %s", (value, text) => {
    assert.strictEqual(canonical(value), text)
  })

  it("tells apart what looks alike", () => {
    const alike = [
      [1, "1", "#1", true, "t", "true", null, "n", "null", [1], ["1"], { 1: 1 }],
      [[], {}, "", "[]", "{}", [[]], [{}], [null], { "": null }],
      [0, -0, "0", false, "-0"],
      [["a", "b"], ["a b"], ["ab"], ['a" "b'], [["a"], "b"], ["a", ["b"]], "a b"],
      [{ a: 1, b: 2 }, { a: 2, b: 1 }, { "a b": 1 }, { a: { b: 2 } }, ["a", 1, "b", 2], { 'a" #1 "b': 2 }],
      ["é", "e\u0301", "E", "\\u00e9", "\ud800", "\\ud800", "\ud801", "😀"],
    ]
    for (const values of alike) {
      assert.strictEqual(new Set(values.map(canonical)).size, values.length, JSON.stringify(values))
    }
  })

  it("does not see the order of fields", () => {
    assert.strictEqual(canonical({ a: 1, b: { c: 2, d: 3 } }), canonical({ b: { d: 3, c: 2 }, a: 1 }))
    assert.notStrictEqual(canonical([1, 2]), canonical([2, 1]))
  })

  it("does not see fields that are undefined", () => {
    assert.strictEqual(canonical({ a: 1, b: undefined }), canonical({ a: 1 }))
    assert.notStrictEqual(canonical({ a: 1, b: null }), canonical({ a: 1 }))
  })

  it("sorts fields the same way in every locale", () => {
    assert.strictEqual(
      canonical({ é: 1, z: 2, Z: 3, a: 4, 10: 5, 9: 6 }),
      '{"10" #5 "9" #6 "Z" #3 "a" #4 "z" #2 "é" #1}',
    )
  })

  it.each([
    ["NaN", Number.NaN],
    ["Infinity", Number.POSITIVE_INFINITY],
    ["−Infinity", Number.NEGATIVE_INFINITY],
    ["undefined", undefined],
    ["an array with a gap", [1, undefined]],
    ["a bigint", 1n],
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    ["a number deep inside that is not one", { a: [{ b: Number.NaN }] }],
  ])("refuses %s", (_, value) => {
    assert.throws(() => canonical(value), TypeError, "has no canonical form")
  })
})

/** Plain data, small enough that independent draws are often equal. */
const plain = fc.letrec<{ data: unknown }>((tie) => ({
  data: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom(null, true, false, 0, -0, 1, -1, 0.1, 1e21, "", "0", "1", "a", "é", "#1", '"'),
    fc.array(tie("data"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__", "a b"), tie("data"), { maxKeys: 3 }),
  ),
})).data

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null

/** Equality of plain data, spelled out: −0 is not 0, the order of fields does not count. */
const same = (x: unknown, y: unknown): boolean => {
  if (!isRecord(x) || !isRecord(y) || Array.isArray(x) !== Array.isArray(y)) return Object.is(x, y)
  const keys = Object.keys(x)
  return (
    keys.length === Object.keys(y).length &&
    keys.every((key) => Object.hasOwn(y, key) && same(x[key], y[key]))
  )
}

/** The same data with the fields of every object in reverse order. */
const reversed = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(reversed)
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, field]) => [key, reversed(field)]),
  )
}

describe("canonical text", () => {
  it("is equal exactly for equal data", () => {
    let equal = 0
    fc.assert(
      fc.property(plain, plain, (x, y) => {
        if (same(x, y)) equal++
        assert.strictEqual(canonical(x) === canonical(y), same(x, y))
      }),
      { numRuns: 3000 },
    )
    assert.isAbove(equal, 10, "too few equal pairs to mean anything")
  })

  it("is equal for data in another order, and differs after any one change", () => {
    fc.assert(
      fc.property(
        fc.array(plain, { minLength: 1, maxLength: 4 }),
        fc.nat(3),
        plain,
        (values, place, other) => {
          const i = place % values.length
          const text = canonical({ values, place: i })
          assert.strictEqual(canonical(reversed({ values, place: i })), text)
          const changed = { values: values.with(i, other), place: i }
          assert.strictEqual(canonical(changed) === text, same(values[i], other))
        },
      ),
      { numRuns: 500 },
    )
  })

  it("survives being stored as JSON, except −0", () => {
    fc.assert(
      fc.property(plain, (value) => {
        const text = canonical(value)
        fc.pre(!text.includes("#-0"))
        assert.strictEqual(canonical(JSON.parse(JSON.stringify(value))), text)
      }),
      { numRuns: 500 },
    )
  })
})

describe("digestOf", () => {
  it("is the SHA-256 of the text", () => {
    assert.strictEqual(digestOf({ a: 1 }), sha256('{"a" #1}'))
    assert.strictEqual(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert.strictEqual(sha256(new TextEncoder().encode("é")), sha256("é"))
    assert.strictEqual(sha256("a", new TextEncoder().encode("bc")), sha256("abc"))
  })
})
