import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { ClaimRow } from "../../src/pipelines/Claim.ts"
import { mismatches, repetitions } from "./recompute.ts"

const paper = join(import.meta.dirname, "../../artifacts/paper")
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(ClaimRow)))

describe("artifacts/paper/claims.json", () => {
  const rows = decode(readFileSync(join(paper, "claims.json"), "utf8"))

  it("is what the CSV files say, every number of every claim, its means and intervals", () => {
    assert.isTrue(existsSync(join(paper, "tables/coupling.csv")))
    assert.deepStrictEqual(mismatches(paper, rows), [])
  })

  it("repeats no row exactly among rows that should differ", () => {
    for (const pattern of [
      /^coupling\.window\.add/,
      /^coupling\.epsilon\.add/,
      /^coupling\.single\..*peak/,
    ]) {
      assert.deepStrictEqual(repetitions(rows.filter(({ id }) => pattern.test(id))), [], String(pattern))
    }
  })
})

describe("a search for repetitions", () => {
  it("finds rows that share all values, and no others", () => {
    const row = (id: string, ...values: ReadonlyArray<number>) => ({
      id,
      measured: { perSeed: values.map((value, seed) => ({ seed, value })) },
    })
    const rows = [row("a", 162, 132), row("b", 162, 132), row("c", 162, 133)]
    assert.deepStrictEqual(repetitions(rows), [["a", "b"]])
    assert.deepStrictEqual(repetitions([row("none"), row("of them")]), [])
  })
})
