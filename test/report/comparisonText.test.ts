import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { estimate, STEPS } from "../../src/pipelines/Claim.ts"
import type { Cell, Comparison } from "../../src/pipelines/comparison.ts"
import { experiments } from "../../src/pipelines/experiments.ts"
import {
  commonControls,
  comparisonDocument,
  comparisonRows,
  comparisonTable,
} from "../../src/report/comparisonText.ts"
import { comparisonTitle, measureText } from "../../src/report/measureText.ts"
import { comparisonFigures } from "../../src/report/writeComparison.ts"

const steps = (...values: ReadonlyArray<number | null>) =>
  estimate(
    STEPS,
    values.map((value, seed) => ({ seed, value })),
  )

const cell = (heads: number, own: number | null): Cell => ({
  id: `heads=${heads}`,
  settings: { "model.heads": heads },
  isBase: heads === 4,
  measured: {
    "grok-step": { ...steps(own, 3000), beside: { random: steps(heads, heads), frozen: steps(1, 2) } },
  },
  failed: heads === 8 ? { peak: "no space | left" } : {},
})

const comparison: Comparison = {
  name: "heads",
  description: "Heads <script>",
  scale: "smoke",
  evidence: "smoke: not evidence; seeds 0, 1",
  seeds: [0, 1],
  axes: [{ field: "model.heads", values: [2, 4, 8] }],
  metrics: [
    { id: "grok-step", definition: "step", unit: STEPS },
    { id: "peak", definition: "peak", unit: "ratio" },
  ],
  cells: [cell(2, 1000), cell(4, 2000), cell(8, null)],
  waived: { noise: "too slow" },
  config: {},
}

describe("the figures of an ablation", () => {
  const drawn = comparisonFigures({ ...comparison, axes: [{ field: "train.weightDecay", values: [0, 1] }] })
  const words = (id: string, element: string) =>
    new RegExp(`<${element}>(.*?)</${element}>`).exec(drawn.find(([name]) => name === id)?.[1] ?? "")?.[1] ??
    ""

  it("are titled by what they measure and what it depends on, not by the ablation's name", () => {
    assert.strictEqual(words("grok-step", "title"), "Steps until a network groks, by weight decay")
    assert.notInclude(drawn.map(([, svg]) => svg).join(), "script")
  })

  it("say what their intervals are, and how many seeds have no value", () => {
    assert.match(words("grok-step", "desc"), /Intervals: the smallest and largest seed\./)
    assert.match(words("grok-step", "desc"), /never grokked: 1\.$/)
    assert.match(words("peak", "desc"), /Intervals: none, of one seed\./)
  })
})

describe("a measure in words", () => {
  it("is known for what experiments measure, with its variant", () => {
    assert.strictEqual(
      comparisonTitle("gradient-over-update.mean", ["block"]),
      "The gap: R̄ of gradients ÷ R̄ of updates, mean over training, by block of the parameters",
    )
    assert.strictEqual(
      comparisonTitle("speedup.first-half", ["intervention.rank", "train.learningRate"]),
      "Speed-up of grokking, to test accuracy 0.5, by rank and learning rate",
    )
  })

  it("is made of its id where it is not known", () => {
    assert.strictEqual(measureText("loss-of-something"), "Loss of something")
    assert.strictEqual(measureText(""), "")
  })

  it("is known for every measure of every experiment", () => {
    for (const { at } of Object.values(experiments)) {
      for (const { id } of Result.getOrThrow(at("smoke", {}, "")).measures) {
        assert.notStrictEqual(measureText(id).toLowerCase(), id.replaceAll("-", " "), id)
      }
    }
  })
})

describe("an ablation as text", () => {
  it("shows a control that is the same in every cell once", () => {
    assert.deepStrictEqual(commonControls(comparison), ["frozen"])
    assert.strictEqual(comparisonTable(comparison).split("frozen").length, 2)
    assert.strictEqual(comparisonTable(comparison).split("random").length, 4)
  })

  it("says which cell is the base, who never got there and what failed", () => {
    const [header, ...rows] = comparisonTable(comparison).split("\n")
    assert.match(header, /grok-step +peak$/)
    assert.match(rows[0], /^heads=2 +2,000 steps? \[1,000, 3,000\] n=2|^heads=2 +2,000/)
    assert.isTrue(rows.some((row) => row.startsWith("heads=4 (base)")))
    assert.isTrue(rows.some((row) => /^heads=8 .*in 1 of 2, else never +failed$/.test(row)))
  })

  it("keeps strings of others from being markup", () => {
    const document = comparisonDocument(comparison)
    assert.notInclude(document, "<script>")
    assert.include(document, "no space \\| left")
    assert.include(document, "waived: too slow")
  })

  it("says what the intervals are, for estimates of today and for those of former times", () => {
    assert.include(comparisonDocument(comparison), "in brackets: the smallest and largest seed.")
    const former = {
      ...comparison,
      cells: comparison.cells.map((cell) => ({
        ...cell,
        measured: Object.fromEntries(
          Object.entries(cell.measured).map(([id, { interval: _, ...estimate }]) => [
            id,
            { ...estimate, beside: {} },
          ]),
        ),
      })),
    }
    assert.include(comparisonDocument(former), "in brackets: 95 % of a bootstrap over seeds")
    assert.notInclude(comparisonDocument(comparison), "bootstrap")
  })

  it("shows a note before its numbers, where it has one", () => {
    assert.notInclude(comparisonDocument(comparison), "Note")
    const noted = comparisonDocument({ ...comparison, note: "measured with <earlier> windows" })
    assert.include(noted, "**Note:** measured with \\<earlier\\> windows")
    assert.isBelow(noted.indexOf("**Note:**"), noted.indexOf("heads=2"))
  })

  it("is a row for each cell, metric, control and seed", () => {
    const rows = comparisonRows(comparison)
    assert.strictEqual(rows.length, 3 * 3 * 2)
    const [first] = rows
    const expected = { cell: "heads=2", metric: "grok-step", unit: STEPS, control: "", seed: 0, value: 1000 }
    assert.deepStrictEqual<object>(first, { "model.heads": "2", ...expected })
    assert.isNull(
      rows.find(({ cell, control, seed }) => cell === "heads=8" && control === "" && seed === 0)?.value,
    )
  })
})
