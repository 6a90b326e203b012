/**
 * Fills README.md's rendered blocks: `pnpm run readme`. No number in the README is typed by hand; a test fails
 * where a block differs from what it is rendered from.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { Schema } from "effect"
import { render, SingleResult } from "../src/commands/results.ts"

const file = (path: string) => new URL(`../${path}`, import.meta.url)
const read = (path: string) => readFileSync(file(path), "utf8")

const fence = (language: string, text: string) => `\`\`\`${language}\n${text.trim()}\n\`\`\``

/** The code below the docstring of a Python file. */
const pythonCode = (source: string) => source.slice(source.indexOf("\n\nimport ") + 2)

const blocks: Readonly<Record<string, () => string>> = {
  result: () => {
    const result = Schema.decodeUnknownSync(Schema.fromJsonString(SingleResult))(
      read("artifacts/paper/single-add-42.json"),
    )
    return fence("text", render(result))
  },
  twin: () => fence("python", pythonCode(read("bench/peers/check_twin.py"))),
}

/** The README with every rendered block filled in. */
export const renderReadme = (readme: string): string =>
  readme.replaceAll(
    /(<!-- rendered: (\w+) -->\n)[\s\S]*?(<!-- \/rendered -->)/g,
    (_, open: string, name: string, close: string) => `${open}${blocks[name]()}\n${close}`,
  )

if (import.meta.main) writeFileSync(file("README.md"), renderReadme(read("README.md")))
