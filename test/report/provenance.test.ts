import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Manifest } from "../../src/report/manifest.ts"
import { determinismText, provenanceIn, recordsArtifacts, seedOf } from "../../src/report/provenance.ts"

const older = Schema.decodeUnknownSync(Schema.fromJsonString(Manifest))(
  readFileSync(new URL("../../artifacts/paper/manifest.json", import.meta.url), "utf8"),
)

const stage = (label: string, artifacts: ReadonlyArray<string>) => ({
  label,
  key: label,
  seconds: 1,
  committedAt: "then",
  machine: "here",
  code: "c",
  artifacts,
})

describe("provenance", () => {
  const manifest = {
    ...older,
    stages: [stage("b/42", ["1", "2"]), stage("a/137", ["2"]), stage("c/7", ["3"])],
  }

  it("names every stage that wrote an artifact of the claim, once, and what none wrote", () => {
    const { stages, unknown } = provenanceIn(manifest)({ artifacts: ["1", "2", "4"] })
    assert.deepStrictEqual(
      stages.map(({ label }) => label),
      ["a/137", "b/42"],
    )
    assert.deepStrictEqual(unknown, ["4"])
  })

  it("knows a run that recorded no artifacts", () => {
    assert.isTrue(recordsArtifacts(manifest))
    const { code: _, artifacts: __, ...old } = stage("a/42", [])
    assert.isFalse(recordsArtifacts({ ...manifest, stages: [old] }))
  })

  it("reads seeds from labels, and grades from what was computed twice", () => {
    assert.strictEqual(seedOf("train add/42 every 10", [42, 137]), 42)
    assert.strictEqual(seedOf("train x2_y2/137 decay-0.3", [42, 137, 3]), 137)
    assert.isNull(seedOf("train add/7", [42]))
    assert.strictEqual(determinismText(stage("a", [])), "not computed twice")
    assert.strictEqual(determinismText({ ...stage("a", []), determinism: { _tag: "Bitwise" } }), "bitwise")
  })
})
