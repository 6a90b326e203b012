import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { renderReadme } from "../../docs/readme.ts"

describe("README", () => {
  it("shows what its rendered blocks are rendered from (else: pnpm run readme)", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8")
    assert.strictEqual(readme, renderReadme(readme))
  })
})
