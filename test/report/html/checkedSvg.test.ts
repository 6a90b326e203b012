import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { checkSvg } from "../../../src/report/html/checkedSvg.ts"

const svg = (content: string, attributes = "") =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"${attributes}><title>A &amp; B</title><desc>all</desc>${content}</svg>`

const refused: ReadonlyArray<readonly [what: string, text: string]> = [
  ["a script", svg("<script>alert(1)</script>")],
  ["HTML inside", svg("<foreignObject><p>a</p></foreignObject>")],
  ["a style sheet", svg("<style>*{fill:url(//a.b)}</style>")],
  ["an image", svg('<image href="https://a.b/c.png"/>')],
  ["a link", svg('<a href="javascript:alert(1)"><text>a</text></a>')],
  ["an animation", svg('<rect><set attributeName="x" to="1"/></rect>')],
  ["a handler", svg('<rect onclick="alert(1)"/>')],
  ["a handler of its own", svg("", ' onload="alert(1)"')],
  ["an inline style", svg('<rect style="fill:red"/>')],
  ["a reference to elsewhere", svg('<rect fill="url(https://a.b/c#d)"/>')],
  ["another namespace's attribute", svg('<text xlink:href="#a">a</text>')],
  ["a document type", `<!DOCTYPE svg [<!ENTITY a "b">]>${svg("")}`],
  ["no title", '<svg xmlns="http://www.w3.org/2000/svg"></svg>'],
  ["HTML", "<p>a</p>"],
  ["nothing", ""],
  ["deep nesting", svg("<g>".repeat(50) + "</g>".repeat(50))],
]

describe("a figure from disk", () => {
  for (const [what, text] of refused) {
    it(`is refused with ${what}`, () => assert.isTrue(Result.isFailure(checkSvg(text, "f"))))
  }

  it("gets ids of its own, and its words as name and description", () => {
    const content =
      '<clipPath id="c"><rect width="1"/></clipPath><g clip-path="url(#c)" aria-label="g">&lt;</g>'
    const checked = Result.getOrThrow(checkSvg(svg(content), "f"))
    assert.strictEqual(checked.title, "A & B")
    assert.strictEqual(
      checked.markup,
      '<svg viewBox="0 0 9 9" role="img" aria-labelledby="f-title" aria-describedby="f-desc"><title id="f-title">A &amp; B</title><desc id="f-desc">all</desc><clipPath id="f-c"><rect width="1"></rect></clipPath><g clip-path="url(#f-c)">&lt;</g></svg>',
    )
  })

  it("is accepted where it is one of ours", () => {
    const directory = new URL("../../../artifacts/paper/figures/", import.meta.url)
    for (const name of readdirSync(directory).filter((name) => name.endsWith(".svg"))) {
      assert.isTrue(Result.isSuccess(checkSvg(readFileSync(new URL(name, directory), "utf8"), "f")), name)
    }
  })
})
