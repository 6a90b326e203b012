import { assert, describe, it } from "@effect/vitest"
import { estimate, STEPS } from "../../src/pipelines/Claim.ts"
import type { Cell, Comparison } from "../../src/pipelines/comparison.ts"
import {
  commonControls,
  comparisonDocument,
  comparisonRows,
  comparisonTable,
} from "../../src/report/comparisonText.ts"

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
