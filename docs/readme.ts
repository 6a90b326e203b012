/**
 * Fills README.md's rendered blocks: `pnpm run readme`. No number in the README is typed by hand; a test fails
 * where a block differs from what it is rendered from.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { Schema } from "effect"
import { render, SingleResult } from "../src/commands/results.ts"
import { median } from "../src/numerics/statistics.ts"

const file = (path: string) => new URL(`../${path}`, import.meta.url)
const read = (path: string) => readFileSync(file(path), "utf8")

const fence = (language: string, text: string) => `\`\`\`${language}\n${text.trim()}\n\`\`\``

/** The code below the docstring of a Python file. */
const pythonCode = (source: string) => source.slice(source.indexOf("\n\nimport ") + 2)

const decodeTiming = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Struct({
      machine: Schema.String,
      threads: Schema.Int,
      versions: Schema.Record(Schema.String, Schema.String),
      medianMsPerRound: Schema.Record(Schema.String, Schema.Array(Schema.Finite)),
    }),
  ),
)

const speedRow = ({ threads, medianMsPerRound }: ReturnType<typeof decodeTiming>): string => {
  const cells = ["grokscope", "pytorch", "jax"].map((peer) => median(medianMsPerRound[peer] ?? []).toFixed(1))
  return `| ${[threads, ...cells].join(" | ")} |`
}

const blocks: Readonly<Record<string, () => string>> = {
  result: () => {
    const result = Schema.decodeUnknownSync(Schema.fromJsonString(SingleResult))(
      read("artifacts/paper/single-add-42.json"),
    )
    return fence("text", render(result))
  },
  speed: () => {
    const runs = read("bench/results/step.ndjson")
      .trim()
      .split("\n")
      .map((line) => decodeTiming(line))
    const rows = [1, 2].flatMap((threads) => {
      const run = runs.findLast((timing) => timing.threads === threads)
      return run === undefined ? [] : [speedRow(run)]
    })
    const machine = runs.at(-1)?.machine ?? ""
    const { grokscope: _, ...peers } = runs.at(-1)?.versions ?? {}
    const versions = Object.entries(peers).map(([peer, version]) => `${peer} ${version}`)
    return [
      "| threads | grokscope | PyTorch | JAX |",
      "|---|---|---|---|",
      ...rows,
      "",
      `Milliseconds per training step, medians of alternating runs on ${machine}; ${versions.join(", ")}.`,
    ].join("\n")
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
