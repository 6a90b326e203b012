import { assert, describe, it } from "@effect/vitest"
import { read } from "./figures.ts"

describe("artifacts/reliability.json", () => {
  it("is what the suite writes", () => {
    for (const { summary, figures } of Object.values(read())) {
      assert.notInclude(summary, "\n")
      assert.isNotEmpty(figures)
    }
  })
})
