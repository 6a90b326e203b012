import { assert, describe, it } from "@effect/vitest"
import { changesBetween } from "../../src/pipelines/changes.ts"
import { artifact, stageWith } from "./idle.ts"

const data = { path: "input.data", node: stageWith("generate-data add/42", 0) }
const run = { path: "input.run", node: stageWith("train add/42", 0) }

describe("the changes between two pre-images", () => {
  const before = {
    code: "a".repeat(64),
    engine: { id: "onnx", version: "1" },
    input: { data: { pairs: artifact("1"), pairCount: 49 }, run: { checkpoints: 11 }, seed: 42 },
  }

  it("are fields of the input by their paths, and what is the stage's by its own", () => {
    const after = { ...before, code: "b".repeat(64), input: { ...before.input, seed: 137 } }
    assert.deepStrictEqual(
      changesBetween(before, after, []).map(({ path, before, after }) => [path, before, after]),
      [
        ["code", before.code, after.code],
        ["seed", 42, 137],
      ],
    )
  })

  it("name an output of another stage once, and leave out what is awaited", () => {
    const input = { ...before.input, data: { pairs: artifact("2"), pairCount: 100 }, run: undefined }
    const parts = [
      { ...data, awaited: false },
      { ...run, awaited: true },
    ]
    assert.deepStrictEqual(changesBetween(before, { ...before, input }, parts), [
      { path: "data", before: undefined, after: undefined, from: "generate-data add/42" },
    ])
  })

  it("are none where nothing changed", () => {
    assert.deepStrictEqual(changesBetween(before, structuredClone(before), [{ ...data, awaited: false }]), [])
  })
})
