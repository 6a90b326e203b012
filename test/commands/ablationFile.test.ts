import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import { readAblation } from "../../src/commands/ablationFile.ts"

const good = `description: Attention heads
base: single
seeds: 2
measure:
  - grok-step
  - gradient-peak
vary:
  model.heads: [1, 2, 4]
`

const read = (text: string) => readAblation(text, "mine", "smoke")

const refusal = (text: string) => {
  const outcome = read(text)
  if (Result.isSuccess(outcome)) throw new Error("nothing is wrong with it")
  return `${outcome.failure.line}: ${outcome.failure.message}`
}

describe("an ablation in a file", () => {
  it("is what the combinators would make of it", () => {
    const { name, cells, seeds } = Result.getOrThrow(read(good))
    assert.strictEqual(name, "mine")
    assert.deepStrictEqual(seeds, [42, 137])
    assert.deepStrictEqual(
      cells.map(({ id }) => id),
      ["heads=1", "heads=2", "heads=4"],
    )
  })

  it("may be JSON", () => {
    const json = JSON.stringify({
      description: "Attention heads",
      base: "single",
      seeds: [3],
      measure: ["grok-step"],
      list: [{ "model.heads": 1 }, { "model.heads": 2, "train.learningRate": 1e-2 }],
    })
    assert.strictEqual(Result.getOrThrow(read(json)).cells.length, 2)
  })

  it.each([
    [
      "a value",
      good.replace("[1, 2, 4]", "[1, 3]"),
      "8: vary.model.heads.1: model.heads: Expected a divisor of width 32, got 3",
    ],
    [
      "a field of the configuration",
      good.replace("model.heads", "model.head"),
      "8: vary.model.head.0: model.head: unknown field model.head; did you mean model.heads?",
    ],
    [
      "a field of the declaration",
      good.replace("measure:", "mesure:"),
      "4: mesure: unknown field mesure; did you mean measure?",
    ],
    [
      "a measure",
      good.replace("- gradient-peak", "- gradient-paek"),
      "6: measure.1: unknown measure gradient-paek; did you mean gradient-peak?",
    ],
    ["what is missing", good.replace("seeds: 2\n", ""), "1: seeds: is missing"],
    [
      "a number out of range",
      good.replace("seeds: 2", "seeds: 1000"),
      "3: seeds: Expected a value between 1 and 100, got 1000",
    ],
    ["a field that stands twice", `${good}seeds: 3\n`, "9: Map keys must be unique"],
    ["an open bracket", good.replace("4]", "4"), "9: "],
    ["no mapping at all", "just text", "1: "],
    ["nothing", "", "1: "],
    [
      "an alias, which could make a small file large",
      good.replace("2\n", "&a 2\n").replace("4]", "*a]"),
      "1: ",
    ],
    ["brackets without end", "[".repeat(5000), "1: nested deeper than 16"],
    ["dashes without end", "- ".repeat(5000), "1: nested deeper than 16"],
    ["a long text", "x".repeat(100_001), "1: Expected at most 100000 characters"],
  ])("says on which line is wrong: %s", (_, text, said) => {
    assert.include(refusal(text), said)
  })

  it("reaches no prototype", () => {
    for (const name of ["__proto__", "constructor", "toString"]) {
      assert.match(refusal(`${good}${name}: {x: 1}\n`), /unknown field/)
      assert.match(refusal(good.replace("model.heads", name)), /unknown field/)
      assert.match(refusal(good.replace("grok-step", name)), /unknown measure/)
    }
    assert.notProperty({}, "x")
  })
})

/** A text with a few of its characters, lines or words replaced, doubled, moved or left out. */
const mutated = fc
  .array(
    fc.record({
      at: fc.nat(good.length),
      length: fc.nat(12),
      by: fc.oneof(
        fc.constantFrom(
          "",
          ":",
          "\n",
          "  ",
          "- ",
          "[",
          "]",
          "{",
          "}",
          "&a ",
          "*a",
          "!!js/function ",
          "? ",
          "| ",
          "#",
          '"',
        ),
        fc.constantFrom(
          "null",
          "~",
          ".nan",
          "-.inf",
          "1e999",
          "0x10",
          "true",
          "__proto__: ",
          "<<: ",
          "\t",
          "\u0000",
        ),
        fc.string({ unit: "binary", maxLength: 8 }),
        fc.constant(good),
      ),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((edits) =>
    edits.reduce((text, { at, length, by }) => text.slice(0, at) + by + text.slice(at + length), good),
  )

const malformed = fc.oneof(
  { weight: 6, arbitrary: mutated },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 200 }) },
  { weight: 2, arbitrary: fc.json() },
  {
    weight: 2,
    arbitrary: fc
      .dictionary(
        fc.constantFrom(
          "description",
          "base",
          "seeds",
          "measure",
          "vary",
          "zip",
          "list",
          "set",
          "waive",
          "x",
        ),
        fc.jsonValue(),
      )
      .map((value) => JSON.stringify(value)),
  },
)

describe("2,000 malformed files", () => {
  it("are each planned or refused with a line and a message, and never throw", () => {
    let refused = 0
    fc.assert(
      fc.property(malformed, (text) => {
        const outcome = read(text)
        if (Result.isSuccess(outcome)) return
        refused++
        assert.isAtLeast(outcome.failure.line, 1)
        assert.isAtMost(outcome.failure.line, text.split(/\r\n|\r|\n/).length)
        assert.isNotEmpty(outcome.failure.message)
        assert.notMatch(outcome.failure.message, /^\s+at |undefined is not|is not a function/m)
      }),
      { numRuns: 2000 },
    )
    assert.isAbove(refused, 1500)
  })
})
