import { assert, describe, it } from "@effect/vitest"
import { fragment, h, htmlDocument } from "../../../src/report/html/html.ts"
import { download, slug } from "../../../src/report/html/parts.ts"
import { prose } from "../../../src/report/html/prose.ts"

const INJECTED = `<script>alert("1")</script>'&`
const ESCAPED = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;"

describe("html", () => {
  it("keeps text text, in elements and in attributes", () => {
    assert.strictEqual(
      fragment(h("p", { title: INJECTED }, INJECTED, 1, null, ["a", h("code", {}, "b")])),
      `<p title="${ESCAPED}">${ESCAPED}1a<code>b</code></p>`,
    )
  })

  it("lets no control character through", () => {
    assert.strictEqual(fragment(h("p", {}, "a\u0000b\tc")), "<p>a\ufffdb\tc</p>")
  })

  it("escapes the title of a page", () => {
    const page = htmlDocument({ title: INJECTED, policy: "default-src 'none'", css: "", body: h("p", {}) })
    assert.include(page, `<title>${ESCAPED}</title>`)
    assert.notInclude(page, "<script>")
  })

  it("holds data as an address that gives the same text back", () => {
    const csv = 'name,value\n"a, ""b"" #1 <i>&\'",π 95 %\n'
    const [, address = ""] = /href="([^"]+)"/.exec(fragment(download("a.csv", csv))) ?? []
    const plain = address.replaceAll("&amp;", "&").replaceAll("&#39;", "'")
    assert.strictEqual(decodeURIComponent(plain.replace("data:text/csv;charset=utf-8,", "")), csv)
    assert.notInclude(plain, "#")
  })

  it("gives no two names one id", () => {
    const names = ["a.b", "a-b", "a_b", "a b", "a_20_b", "ä", "a<b"]
    assert.strictEqual(new Set(names.map(slug)).size, names.length)
  })

  it("reads the Markdown of findings, and nothing else", () => {
    assert.strictEqual(
      prose("**The <gap>.** R̄ of `x<y`.\n\nNext.").map(fragment).join(""),
      "<p><strong>The &lt;gap&gt;.</strong> R̄ of <code>x&lt;y</code>.</p><p>Next.</p>",
    )
  })
})
