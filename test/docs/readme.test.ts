import { readdirSync, readFileSync, statSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { documents, renderBlocks, renderPaper } from "../../docs/readme.ts"

const file = (path: string) => new URL(`../../${path}`, import.meta.url)

it.each(documents)("%s shows what its rendered blocks are rendered from (else: pnpm run readme)", (name) => {
  const document = readFileSync(file(name), "utf8")
  assert.strictEqual(document, renderBlocks(document))
})

describe("README", () => {
  it("shows pictures that are there", () => {
    const pictures = [...readFileSync(file("README.md"), "utf8").matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)]
    assert.isAbove(pictures.length, 0)
    for (const [, path] of pictures) assert.isAbove(statSync(file(path)).size, 1000)
  })
})

describe("artifacts/paper", () => {
  it.effect("holds the figures and words that its tables and claims say (else: pnpm run readme)", () =>
    Effect.gen(function* () {
      const rendered = yield* renderPaper
      const drawn = readdirSync(file("artifacts/paper/figures")).filter((name) => name.endsWith(".svg"))
      assert.deepStrictEqual(
        [...rendered.keys()].filter((path) => path.endsWith(".svg")).sort(),
        drawn.map((name) => `artifacts/paper/figures/${name}`).sort(),
      )
      for (const [path, text] of rendered) {
        assert.isTrue(readFileSync(file(path), "utf8") === text, `${path} is not what its tables say`)
      }
    }),
  )

  it("is at most 20 MB", () => {
    const bytes = readdirSync(file("artifacts/paper"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .reduce((sum, entry) => sum + statSync(`${entry.parentPath}/${entry.name}`).size, 0)
    assert.isBelow(bytes, 20e6)
  })
})
