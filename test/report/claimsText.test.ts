import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ClaimRow, estimate, RATIO, SPEEDUP } from "../../src/pipelines/Claim.ts"
import { paperScale, smokeScale } from "../../src/pipelines/paper.ts"
import type { Reading, Verdict } from "../../src/pipelines/verdicts.ts"
import {
  claimLine,
  claimSections,
  claimsDocument,
  claimsHeader,
  claimsTable,
  headlinesMarkdown,
  tally,
} from "../../src/report/claimsText.ts"
import { publishedText } from "../../src/report/estimateText.ts"
import { asFeared, asPublished, rowsIn, varied, type World } from "./madeUp.ts"

const recipe = {
  table: "runs",
  where: { experiment: "single" },
  column: "stopStep",
  statistic: "value",
} as const

const row = (changes: Partial<ClaimRow> = {}): ClaimRow => ({
  id: "a.claim",
  isHeadline: true,
  short: "it holds",
  statement: "something holds",
  paper: { value: 2.2, source: "a test" },
  measured: estimate(SPEEDUP, [
    { seed: 42, value: 2 },
    { seed: 137, value: 0 },
    { seed: 2024, value: null },
  ]),
  number: { verdict: "not-reproduced", because: "it does not" },
  reading: { verdict: "refuted", because: "its control is as high" },
  definition: "what was measured",
  recipe,
  beside: {},
  controls: {},
  artifacts: [],
  ...changes,
})

const quantity = (value: number) => ({
  definition: "another way",
  recipe,
  ...estimate(RATIO, [{ seed: 42, value }]),
})

const judged = (number: Verdict, reading: Reading, changes: Partial<ClaimRow> = {}): ClaimRow =>
  row({
    number: { verdict: number, because: "a rule" },
    reading: { verdict: reading, because: "a rule" },
    ...changes,
  })

/** Numbers of several digits. */
const published = Effect.runSync(Effect.cached(rowsIn(varied(asPublished), paperScale)))

describe("the table for the terminal", () => {
  it.effect("has a line for each claim, headlines first, and cuts off no statement and no number", () =>
    Effect.gen(function* () {
      const rows = yield* published
      const lines = claimsTable(rows).split("\n")
      assert.strictEqual(lines[0], claimsHeader)
      assert.strictEqual(lines.at(-1), tally(rows))
      const places = rows.map((one) => lines.findIndex((line) => line.startsWith(`${one.short} `)))
      assert.deepStrictEqual(
        places,
        places.toSorted((a, b) => a - b),
      )
      for (const [i, { short, paper, measured }] of rows.entries()) {
        const line = lines[places[i]]
        assert.isDefined(line, short)
        // What was published in words may be longer than its column.
        if (!("statement" in paper)) {
          assert.include(line, publishedText(paper, measured.unit))
          assert.notInclude(line, "…")
        }
        assert.isAtMost(line.length, 142)
      }
    }),
  )

  it("shows what was published, measured and judged, the number and its reading apart", () => {
    const measured = estimate(RATIO, [{ seed: 42, value: 113 }])
    assert.match(
      claimLine(judged("partly", "not-supported", { measured })),
      /^it holds +2\.2 +113 n=1 +~ partly +~ not supported$/,
    )
    assert.match(claimLine(judged("reproduced", "not-tested", { measured })), /✓ reproduced +· not tested$/)
  })

  it("shows numbers without judgements where nothing is judged", () => {
    const measured = estimate(RATIO, [{ seed: 42, value: 113 }])
    assert.match(claimLine(row({ measured, number: null, reading: null })), /^it holds +2\.2 +113 n=1$/)
  })

  it("says below a claim why nothing was tested", () => {
    const number = { verdict: "not-tested", because: "the stage ran out of space" } as const
    const [line, reason] = claimLine(row({ measured: estimate(RATIO, []), number })).split("\n")
    assert.match(line, /^it holds +2\.2 +– +· not tested/)
    assert.strictEqual(reason, "  the stage ran out of space")
  })

  it("shows steps of four digits with their range", () => {
    const steps = [3225, 3300, 3475].map((value, seed) => ({ seed, value }))
    assert.include(claimLine(row({ measured: estimate("steps", steps) })), "3,333 steps [3,225, 3,475] n=3 ")
  })
})

describe("what became of the statements of the abstract", () => {
  it("counts the judgements of numbers and of readings that were given, each by itself", () => {
    assert.strictEqual(
      tally([
        judged("reproduced", "refuted"),
        judged("reproduced", "not-tested"),
        judged("not-reproduced", "refuted"),
      ]),
      "Of the 3 statements of the abstract the number is 2 reproduced, 1 not-reproduced; the reading is 2 refuted, 1 not-tested",
    )
  })

  it("counts no detail", () => {
    assert.include(
      tally([judged("partly", "supported"), judged("reproduced", "refuted", { isHeadline: false })]),
      "Of the 1 statements of the abstract the number is 1 partly; the reading is 1 supported",
    )
  })

  it.effect("is that nothing is judged at other sizes than the paper's", () =>
    Effect.gen(function* () {
      const rows = yield* rowsIn(asPublished, smokeScale)
      assert.match(tally(rows), /^Nothing is judged/)
      assert.notMatch(claimsTable(rows), /reproduced|supported|refuted/)
    }),
  )
})

describe("the Markdown table", () => {
  it("keeps to five cells whatever a text holds", () => {
    const awkward = row({ paper: { statement: "a | b \\| c\nd `e` *f* <g>", source: "a test" } })
    const [, , line] = headlinesMarkdown([awkward]).split("\n")
    // A pipe counts where an even number of backslashes stands before it.
    const cells = line.split(/(?<=(?<!\\)(?:\\\\)*)\|/).map((cell) => cell.trim())
    assert.strictEqual(cells.length, 7, line)
    assert.strictEqual(cells[2].replace(/\\([\\|`*<])/g, "$1"), "a | b \\| c d `e` *f* <g>")
  })

  it("has a heading, and a line for each statement of the abstract", () => {
    assert.strictEqual(headlinesMarkdown([row(), row(), row({ isHeadline: false })]).split("\n").length, 4)
    assert.strictEqual(headlinesMarkdown([]).split("\n").length, 2)
  })
})

describe("a claim's section", () => {
  it("tells a run that never grokked from one that has no value", () => {
    const text = claimSections([row()])
    assert.include(text, "2× in 1 of 2, else never. By run: 42: 2×, 137: never, 2024: –.")
  })

  it("of a claim that did not run names no runs", () => {
    const text = claimSections([row({ measured: estimate(RATIO, []) })])
    assert.include(text, "* Measured: –. By run: none.")
  })

  it("names the operation of a run where there are several", () => {
    const measured = estimate(RATIO, [
      { seed: 42, operation: "add", value: 2 },
      { seed: 42, operation: "mul", value: 8 },
    ])
    assert.include(claimSections([row({ measured })]), "4 [2, 8] n=2. By run: add/42: 2, mul/42: 8.")
  })

  it("states the permutation test, and the least p that so many pairs can give", () => {
    const speedups = ["add", "mul"].flatMap((operation) =>
      [42, 137, 2024].map((seed) => ({ seed, operation, value: 2 + seed / 1e4 })),
    )
    assert.include(
      claimSections([row({ measured: estimate(SPEEDUP, speedups) })]),
      "Exact permutation test against 1: p = 0.0313; so many pairs can give no less than 0.0313.",
    )
    assert.notInclude(claimSections([row()]), "permutation")
  })

  it("gives each judgement its reason", () => {
    const text = claimSections([row()])
    assert.include(text, "`a.claim`: number not-reproduced, reading refuted")
    assert.include(text, "* Number not-reproduced: it does not.")
    assert.include(text, "* Reading refuted: its control is as high.")
  })

  it("holds the definition, the source and what stands beside", () => {
    const text = claimSections([row({ beside: { "another way": quantity(7) } })])
    for (const part of ["what was measured", "a test", "* Also, another way: 7 n=1 (by run: 42: 7)"]) {
      assert.include(text, part)
    }
  })

  it("compares a control in a word, and judges nothing by it", () => {
    const text = claimSections([row({ controls: { frozen: { ...quantity(7), compared: "higher" } } })])
    assert.include(text, "* Control, frozen: 7 n=1, higher (by run: 42: 7).")
  })

  it("says what should stand beside it and could not be measured", () => {
    const missing = [{ name: "noise", because: "no space left" }]
    assert.include(claimSections([row({ missing })]), "* Missing, noise: no space left.")
  })
})

describe("claims.md", () => {
  it.effect(
    "lists the statements of the abstract first, every detail by its id, and every claim in full",
    () =>
      Effect.gen(function* () {
        const rows = yield* published
        const text = claimsDocument(rows, "the paper's sizes")
        const titles = [...text.matchAll(/^## (.+)$/gm)].map(([, title]) => title)
        assert.deepStrictEqual(titles, [
          "Findings",
          "The statements of the abstract",
          "Details",
          "Every claim in full",
        ])
        for (const { id, isHeadline, short } of rows) {
          assert.strictEqual(text.split(`### \`${id}\``).length, 2, id)
          assert.include(text, isHeadline ? `| ${short} |` : `| \`${id}\` |`)
        }
        assert.include(text, "The paper's sizes.")
      }),
  )

  it.effect("begins with what was found", () =>
    Effect.gen(function* () {
      const text = claimsDocument(yield* rowsIn(asFeared, paperScale), "the paper's sizes")
      const [, found] = text.split("## Findings\n\n")
      assert.isTrue(found.startsWith("**R̄ of gradients is high before a network groks.**"))
    }),
  )

  const nothing: World = { ...asFeared, grokked: () => null, peak: () => null }
  for (const [name, world, scale] of [
    ["as published", asPublished, paperScale],
    ["as feared", asFeared, paperScale],
    ["in which nothing groks or couples", nothing, paperScale],
    ["in which every ratio is 0", { ...asFeared, peak: () => 0 }, paperScale],
    ["at the smoke scale", asPublished, smokeScale],
  ] as const) {
    it.effect(`prints no Infinity, NaN, undefined or null: a world ${name}`, () =>
      Effect.gen(function* () {
        const rows = yield* rowsIn(world, scale)
        for (const text of [claimsDocument(rows, "a test"), claimsTable(rows)]) {
          const found = /.*(\b(Infinity|NaN|undefined)\b|[:=|[,(] ?null\b(?! )).*/.exec(text)
          assert.isNull(found, found?.[0] ?? "")
        }
      }),
    )
  }

  it("of no claims is a document too", () => {
    const text = claimsDocument([], "a test")
    assert.include(text, "Nothing is judged")
    assert.notMatch(text, /undefined|NaN/)
  })
})
