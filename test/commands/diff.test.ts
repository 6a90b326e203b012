import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Compared } from "../../src/commands/compared.ts"
import { ClaimRow } from "../../src/pipelines/Claim.ts"
import type { Comparison } from "../../src/pipelines/comparison.ts"
import { smokeScale } from "../../src/pipelines/paper.ts"
import { writeReport } from "../../src/report/write.ts"
import { idle } from "../pipelines/idle.ts"
import { asFeared, rowsIn, tablesIn } from "../report/madeUp.ts"
import { temporaryDirectory } from "../services/store/temporary.ts"
import { cli } from "./process.ts"

const ClaimRows = Schema.fromJsonString(Schema.Array(ClaimRow))

/** A made-up one, judged. */
const reproduction = Effect.fnUntraced(function* (directory: string) {
  const config = { ...smokeScale }
  yield* writeReport({
    directory,
    evidence: "made up",
    tables: yield* tablesIn(asFeared, config),
    claims: yield* rowsIn(asFeared, config),
    code: "some code",
  })
})

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Compared))

const metric = (value: number, low: number, high: number) => ({
  value,
  low,
  high,
  n: 3,
  unit: "ratio",
  perSeed: [],
  beside: {},
})
const cell = (heads: number, measured: Comparison["cells"][number]["measured"]) => ({
  id: `heads=${heads}`,
  settings: { "model.heads": heads },
  isBase: heads === 4,
  measured,
  failed: {},
})
const heads: Comparison = {
  name: "heads",
  description: "how many heads",
  scale: "smoke",
  evidence: "smoke: not evidence",
  seeds: [42, 137, 2024],
  axes: [{ field: "model.heads", values: [2, 4] }],
  metrics: [{ id: "peak", definition: "peak R̄", unit: "ratio" }],
  cells: [cell(2, { peak: metric(10, 9, 11) }), cell(4, { peak: metric(20, 18, 21) })],
  waived: {},
  config: { train: { learningRate: 0.001 } },
}

const write = (directory: string, comparison: Comparison) => {
  mkdirSync(directory)
  writeFileSync(join(directory, "comparison.json"), JSON.stringify(comparison))
  return directory
}

describe("diff", () => {
  it.live("says `same` of a reproduction and itself, and which judgements and files of another differ", () =>
    Effect.gen(function* () {
      const root = yield* temporaryDirectory
      const [paper, other] = [join(root, "paper"), join(root, "other")]
      yield* reproduction(paper)
      cpSync(paper, other, { recursive: true })
      const same = yield* cli(["diff", paper, other])
      assert.deepInclude(same, { code: 0, stdout: "same\n", stderr: "" })

      const path = join(other, "claims.json")
      const rows = Schema.decodeUnknownSync(ClaimRows)(readFileSync(path, "utf8"))
      const changed = rows.map((row) =>
        row.id === "headline.gap" ? { ...row, number: { verdict: "partly", because: "another rule" } } : row,
      )
      writeFileSync(path, JSON.stringify(changed, null, 2))
      rmSync(join(other, "figures/epsilon.png"))
      const { code, stdout } = yield* cli(["diff", paper, other, "--json"])
      assert.strictEqual(code, 0)
      const { settings, metrics, files } = decode(stdout)
      assert.deepStrictEqual(settings, [])
      assert.deepStrictEqual(
        metrics.map(({ id, a, b }) => [id, a?.verdict, b?.verdict]),
        [["headline.gap", "reproduced, refuted", "partly, refuted"]],
      )
      assert.deepStrictEqual(
        files.map(({ name, b }) => [name, b]),
        [
          ["claims.json", path],
          ["figures/epsilon.png", null],
        ],
      )
      const text = yield* cli(["diff", paper, other])
      assert.match(
        text.stdout,
        /^ {4}a {2}.+ n=2 {2}reproduced, refuted\n {4}b {2}.+ n=2 {2}partly, refuted$/m,
      )
    }).pipe(Effect.provide(idle())),
  )

  it.live("of two cells gives their settings, and metrics with intervals", () =>
    Effect.gen(function* () {
      const directory = write(join(yield* temporaryDirectory, "heads"), heads)
      const { code, stdout, stderr } = yield* cli(["diff", `${directory}:heads=2`, `${directory}:heads=4`])
      assert.strictEqual(code, 0, stderr)
      assert.include(stdout, "\n  model.heads: 2 → 4\n")
      assert.include(stdout, "    a  10 [9, 11] n=3\n    b  20 [18, 21] n=3\n")
      assert.include(stdout, "b − a = +10; the intervals do not overlap")
      const mistyped = yield* cli(["diff", `${directory}:heads=3`, `${directory}:heads=4`])
      assert.strictEqual(mistyped.code, 2)
      assert.match(mistyped.stderr, /^error: [^\n]+ no cell heads=3; did you mean heads=2\?\n$/)
    }).pipe(Effect.provide(NodeServices.layer)),
  )

  it.live("of two ablations names base fields; two kinds, or nothing of the name, are refused", () =>
    Effect.gen(function* () {
      const root = yield* temporaryDirectory
      const a = write(join(root, "a"), heads)
      const b = write(join(root, "b"), { ...heads, config: { train: { learningRate: 0.0003 } } })
      const { stdout } = yield* cli(["diff", a, b])
      assert.include(stdout, "  config.train.learningRate: 0.001 → 0.0003")
      const paper = join(root, "paper")
      yield* reproduction(paper)
      for (const other of [paper, join(root, "none")]) {
        const refused = yield* cli(["diff", a, other, "--json", "--store", join(root, "store")])
        assert.strictEqual(refused.code, 2)
        assert.strictEqual(refused.stdout, "")
        assert.match(refused.stderr, /^error: [^\n]+\n$/)
      }
    }).pipe(Effect.provide(idle())),
  )
})
