import { assert, describe, it } from "@effect/vitest"
import { Predicate } from "effect"
import * as fc from "fast-check"
import { type Difference, differences, isWithin } from "../../src/services/differences.ts"

/** `value` with one difference made. */
const change = (value: unknown, [field, ...rest]: ReadonlyArray<string>, after: unknown): unknown => {
  if (field === undefined) return after
  if (Array.isArray(value)) {
    const next: Array<unknown> = [...value]
    next[Number(field)] = change(value[Number(field)], rest, after)
    return next
  }
  return Predicate.isObject(value) ? { ...value, [field]: change(value[field], rest, after) } : after
}

/** Without fields, and ends of arrays, that are undefined. */
const withoutMissing = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.filter((item) => item !== undefined).map(withoutMissing)
  if (!Predicate.isObject(value)) return value
  const there = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(there.map(([name, field]) => [name, withoutMissing(field)]))
}

const applied = (value: unknown, found: ReadonlyArray<Difference>): unknown =>
  withoutMissing(
    found.reduce(
      (changed, { path, after }) => change(changed, path === "" ? [] : path.split("."), after),
      value,
    ),
  )

const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(0, 1, 3e-4, "add", "", true, null),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "seed", "train"), tie("value")),
  ),
})).value

describe("differences", () => {
  it("names each field that differs, before and after", () => {
    const before = { seed: 42, train: { learningRate: 1e-3, schedule: { kind: "constant" } }, tasks: ["add"] }
    const after = { seed: 42, train: { learningRate: 3e-4, schedule: null }, tasks: ["add", "mul"], extra: 1 }
    assert.deepStrictEqual(differences(before, after), [
      { path: "train.learningRate", before: 1e-3, after: 3e-4 },
      { path: "train.schedule", before: { kind: "constant" }, after: null },
      { path: "tasks.1", before: undefined, after: "mul" },
      { path: "extra", before: undefined, after: 1 },
    ])
    assert.deepStrictEqual(differences(1, [1]), [{ path: "", before: 1, after: [1] }])
  })

  it("takes a field that is undefined for one that is not there", () => {
    assert.deepStrictEqual(differences({ a: 1, b: undefined }, { a: 1 }), [])
  })

  it("finds none between a value and itself, nor between copies", () => {
    fc.assert(
      fc.property(plain, (value) => {
        assert.deepStrictEqual(differences(value, structuredClone(value)), [])
      }),
    )
  })

  it("are all that tells one value from the other", () => {
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        assert.deepStrictEqual(applied(a, differences(a, b)), b)
      }),
    )
  })

  it("are the same backwards", () => {
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        const sorted = (found: ReadonlyArray<Difference>) =>
          found.toSorted((one, other) => (one.path < other.path ? -1 : 1))
        const back = differences(b, a).map(({ path, before, after }) => ({
          path,
          before: after,
          after: before,
        }))
        assert.deepStrictEqual(sorted(differences(a, b)), sorted(back))
      }),
    )
  })
})

describe("a part of a field", () => {
  it("is the field itself, or below it", () => {
    assert.isTrue(isWithin("data.pairs", "data"))
    assert.isTrue(isWithin("data", "data"))
    assert.isTrue(isWithin("data", ""))
    assert.isFalse(isWithin("dataset", "data"))
  })
})
