import { assert, describe, it } from "@effect/vitest"
import { pipelines, stageNames } from "../../src/pipelines/registry.ts"

describe("the registry", () => {
  it("has every stage of every pipeline, once, and that of an option: single steps of the update SED", () => {
    const used = new Set(pipelines.flatMap(({ nodes }) => nodes().map(({ stage }) => stage)))
    assert.deepStrictEqual([...stageNames()].sort(), [...used, "capture-steps"].sort())
  })
})
