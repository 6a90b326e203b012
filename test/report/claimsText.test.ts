import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ClaimRow, estimate, RATIO, SPEEDUP } from "../../src/pipelines/Claim.ts"
import { paperScale, smokeScale } from "../../src/pipelines/paper.ts"
import {
  claimLine,
  claimSections,
  claimsDocument,
  claimsHeader,
  claimsMarkdown,
  claimsTable,
  tally,
} from "../../src/report/claimsText.ts"
import { asFeared, asPublished, rowsIn, type World } from "./madeUp.ts"

const row = (changes: Partial<ClaimRow> = {}): ClaimRow => ({
  id: "a.claim",
  statement: "something holds",
  paper: { value: 2.2, source: "a test" },
  measured: estimate(SPEEDUP, [
    { seed: 42, value: 2 },
    { seed: 137, value: 0 },
    { seed: 2024, value: null },
  ]),
  verdict: "contradicted",
  because: "it does not",
  definition: "what was measured",
  beside: {},
  test: null,
  artifacts: [],
  ...changes,
})

describe("the table for the terminal", () => {
  it.effect("has a line for each claim, none cut off but statements", () =>
    Effect.gen(function* () {
      const rows = yield* rowsIn(asPublished, paperScale)
      const lines = claimsTable(rows).split("\n")
      assert.strictEqual(lines[0], claimsHeader)
      for (const [i, { id }] of rows.entries()) {
        const line = lines[i + 2]
        assert.isTrue(line.startsWith(`${id} `), line)
        assert.notInclude(line, "…")
        assert.isAtMost(line.length, 120)
      }
      assert.strictEqual(lines.at(-1), tally(rows))
    }),
  )

  it("shows what was published, measured and judged", () => {
    const line = claimLine(row({ measured: estimate(RATIO, [{ seed: 42, value: 113 }]), verdict: "partly" }))
    assert.match(line, /^a\.claim +2\.2 +113 n=1 +~ partly$/)
    assert.match(claimLine(row({ verdict: "not-tested" })), /· not tested$/)
  })

  it("shows steps of four digits with their interval", () => {
    const steps = [3225, 3300, 3475].map((value, seed) => ({ seed, value }))
    assert.include(claimLine(row({ measured: estimate("steps", steps) })), "3,333 steps [3,225, 3,475] n=3 ")
  })
})

describe("the count of verdicts", () => {
  const paper = (verdict: ClaimRow["verdict"]) => row({ id: "coupling.a", verdict })

  it("names every verdict, and adds up", () => {
    assert.strictEqual(
      tally([paper("contradicted"), paper("reproduced"), paper("partly"), paper("contradicted")]),
      "Of 4 claims of the paper 1 reproduced, 1 partly, 2 contradicted, 0 not-tested",
    )
  })

  it("counts no control of ours, and no assertion of others, as a claim of the paper", () => {
    const others = ["rebuttal.a", "robustness.a", "control.a", "definition.a"].map((id) =>
      row({ id, verdict: "reproduced" }),
    )
    assert.match(
      tally([row({ id: "intervention.a", verdict: "contradicted" }), ...others]),
      /^Of 1 claims of the paper 0 reproduced, .*; of 4 others .* 4 reproduced, /,
    )
  })
})

describe("the Markdown table", () => {
  it("keeps to four cells whatever a text holds", () => {
    const awkward = row({ paper: { statement: "a | b \\| c\nd `e` *f* <g>", source: "a test" } })
    const [, , line] = claimsMarkdown([awkward]).split("\n")
    // A pipe counts where an even number of backslashes stands before it.
    const cells = line.split(/(?<=(?<!\\)(?:\\\\)*)\|/).map((cell) => cell.trim())
    assert.strictEqual(cells.length, 6, line)
    assert.strictEqual(cells[2].replace(/\\([\\|`*<])/g, "$1"), "a | b \\| c d `e` *f* <g>")
  })

  it("has as many lines as claims, and a heading", () => {
    assert.strictEqual(claimsMarkdown([row(), row()]).split("\n").length, 4)
    assert.strictEqual(claimsMarkdown([]).split("\n").length, 2)
  })
})

describe("a claim's section", () => {
  it("tells a seed that never grokked from one that has no value", () => {
    const text = claimSections([row()])
    assert.include(text, "2× in 1 of 2, else never. By seed: 42: 2×, 137: never, 2024: –.")
  })

  it("of a claim that did not run names no seeds", () => {
    const text = claimSections([row({ measured: estimate(RATIO, []), verdict: "not-tested" })])
    assert.include(text, "* Measured: –. By seed: none.")
  })

  it("states the test, the least p that it could have given, and the correction", () => {
    const text = claimSections([row({ test: { family: "one", p: 0.25, attainable: 0.25, adjusted: 0.75 } })])
    assert.match(text, /p = 0\.25, after Holm's correction .*“one” 0\.75; .*cannot be below 0\.25/)
  })

  it("holds the definition, the source and what stands beside", () => {
    const beside = { definition: "another way", ...estimate(RATIO, [{ seed: 42, value: 7 }]) }
    const text = claimSections([row({ beside: { "another way": beside } })])
    for (const part of ["what was measured", "a test", "another way: 7 n=1 (by seed: 42: 7)"]) {
      assert.include(text, part)
    }
  })
})

describe("claims.md", () => {
  it.effect("lists every claim three times: under its verdict, in the table, in full", () =>
    Effect.gen(function* () {
      const rows = yield* rowsIn(asPublished, paperScale)
      const text = claimsDocument(rows, "the paper's sizes")
      for (const { id } of rows) {
        assert.isAtLeast(text.split(`\`${id}\``).length - 1, 3, id)
      }
      assert.include(text, "(the paper's sizes)")
      assert.isBelow(text.indexOf("**Contradicted**"), text.indexOf("**Reproduced**"))
    }),
  )

  it.effect("says in the first paragraph what contradicts the reading", () =>
    Effect.gen(function* () {
      const text = claimsDocument(yield* rowsIn(asFeared, paperScale), "the paper's sizes")
      const [, found] = text.split("## What was found\n\n")
      assert.isTrue(found.startsWith("**What the coupling shows.**"))
    }),
  )

  const nothing: World = { grokked: () => null, peak: () => null, cut: 1, cosine: 1 }
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
          const found = /.*\b(Infinity|NaN|undefined|null)\b.*/.exec(text)
          assert.isNull(found, found?.[0] ?? "")
        }
      }),
    )
  }

  it("of no claims is a document too", () => {
    const text = claimsDocument([], "a test")
    assert.match(text, /\*\*Contradicted\*\*: none\./)
  })
})
