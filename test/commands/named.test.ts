import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { BadInput } from "../../src/commands/BadInput.ts"
import { named } from "../../src/commands/named.ts"

const key = (digits: string) => digits.padEnd(64, "0")

/** Newest first. */
const candidates = [
  { key: key("abcd1"), label: "train add/42" },
  { key: key("abcd2"), label: "train sub/42" },
  { key: key("ffff"), label: "train add/42" },
  { key: key("1234") },
]

const find = (given: string) => named(given, candidates, "artifacts/store")

describe("a stored result", () => {
  it.effect.each([
    ["its label", "train sub/42", 1],
    ["the label of several: the newest", "train add/42", 0],
    ["the start of its key", "abcd2", 1],
    ["its whole key, without a label", key("1234"), 3],
  ] as const)("is found by %s", ([, given, index]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* find(given), candidates[index])
    }),
  )

  it.effect.each([
    ["a start that several share", "abcd", ["abcd", "several", "abcd10000000 train add/42", "abcd20000000"]],
    ["a start of nothing", "beef", ["artifacts/store", "beef"]],
    ["too few digits", "abc", ["artifacts/store", "abc"]],
    ["nearly a label", "train ad/42", ["did you mean train add/42?"]],
    ["something else", "everything that there is", ["valid are", "train add/42, train sub/42"]],
  ] as const)("is not found by %s", ([, given, says]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(find(given))
      assert.instanceOf(error, BadInput)
      assert.notInclude(error.message, "\n")
      for (const part of says) assert.include(error.message, part)
    }),
  )

  it.effect("has few of many labels listed", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 600 }, (_, i) => ({ key: key(`${i}`), label: `intervene arm ${i}` }))
      const error = yield* Effect.flip(named("no", many, "artifacts/store"))
      assert.include(error.message, "and 580 more")
    }),
  )
})
