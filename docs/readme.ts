/**
 * Renders what is rendered: claims.md and figures of artifacts/paper from its tables, then the blocks of README.md and
 * of other documents: `pnpm run readme`. No number there is typed by hand; a test fails where a block differs from what it is rendered from.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { NodeServices } from "@effect/platform-node"
import { Effect, Schema } from "effect"
import { renderPng } from "../src/figures/png.ts"
import { studentQuantile } from "../src/numerics/inference.ts"
import { median } from "../src/numerics/statistics.ts"
import { ClaimRow } from "../src/pipelines/Claim.ts"
import { Comparison } from "../src/pipelines/comparison.ts"
import { headlinesMarkdown, headlinesOf, INTERVALS, tally } from "../src/report/claimsText.ts"
import { comparisonMarkdown } from "../src/report/comparisonText.ts"
import { digits } from "../src/report/estimateText.ts"
import { answer, findings } from "../src/report/findings.ts"
import { Manifest } from "../src/report/manifest.ts"
import { readResults, rendered } from "../src/report/rendered.ts"

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

const decodeParity = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Struct({
      machine: Schema.String,
      engine: Schema.String,
      version: Schema.String,
      errors: Schema.Record(Schema.String, Schema.Struct({ max: Schema.Finite, median: Schema.Finite })),
    }),
  ),
)

const decodeEnsembles = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Struct({
      machine: Schema.String,
      engine: Schema.String,
      version: Schema.String,
      threads: Schema.Int,
      steps: Schema.Int,
      rows: Schema.Array(
        Schema.Struct({ members: Schema.Int, ms: Schema.Finite, difference: Schema.Finite }),
      ),
    }),
  ),
)

const speedRow = ({ threads, medianMsPerRound }: ReturnType<typeof decodeTiming>): string => {
  const cells = ["grokscope", "pytorch", "pytorch-compiled", "jax"].map((peer) =>
    median(medianMsPerRound[peer] ?? []).toFixed(1),
  )
  return `| ${[threads, ...cells].join(" | ")} |`
}

const claims = () =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(ClaimRow)))(read("artifacts/paper/claims.json"))

const manifest = () =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Manifest))(read("artifacts/paper/manifest.json"))

/** Whether the committed results are those of a run that has not ended. */
const isUnderWay = (): boolean => manifest().evidence.includes("under way")

const decodeEngineResult = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Struct({
      evidence: Schema.String,
      config: Schema.Struct({
        seed: Schema.Int,
        data: Schema.Struct({ operation: Schema.String }),
      }),
      run: Schema.Struct({
        firstThreshold: Schema.NullOr(Schema.Int),
        stopStep: Schema.NullOr(Schema.Int),
      }),
      coupling: Schema.Array(
        Schema.Struct({
          rows: Schema.String,
          window: Schema.String,
          /** Over all points, the windows that the end of the run cut off included. */
          all: Schema.Struct({ mean: Schema.NullOr(Schema.Finite), peak: Schema.NullOr(Schema.Finite) }),
        }),
      ),
    }),
  ),
)

/** Relative width of the pooled interval of so many operations and seeds, on a log scale, at a fixed spread of runs. */
const widthOf = (operations: number, seeds: number): number =>
  studentQuantile(0.975, (operations - 1) * (seeds - 1)) / Math.sqrt(operations * seeds)

const heads = () =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Comparison))(
    read("artifacts/ablations/heads/comparison.json"),
  )

const blocks: Readonly<Record<string, () => string>> = {
  answer: () => {
    const underWay = isUnderWay()
      ? " The run whose results these are is under way: claims whose stages have not run are not tested yet."
      : ""
    return `**${answer(claims())}** ${tally(claims())}.${underWay}`
  },
  overview: () => {
    const [, description = ""] =
      /<desc>([\s\S]*?)<\/desc>/.exec(read("artifacts/paper/figures/overview.svg")) ?? []
    return `_${description.trim()}_`
  },
  headlines: () => `${headlinesMarkdown(claims())}\n\n${INTERVALS}; n counts runs.`,
  findings: () => findings(claims()),
  cost: () => {
    const { machine, process, storeMiB, total } = manifest()
    if (isUnderWay()) {
      return `The committed run is under way on ${machine.cpu} with ${machine.cores} cores: ${total.stages} stages so far, ${digits(total.stageHours)} hours if computed one after the other.`
    }
    return `On ${machine.cpu} with ${machine.cores} cores it takes ${digits(total.stageHours / machine.cores)} hours, ${(process.peakMemoryMiB / 1024).toFixed(1)} GiB of memory and ${Math.round(storeMiB / 1024)} GiB of disk.`
  },
  seeds: () => {
    const { total, machine } = manifest()
    const operations = new Set(
      headlinesOf(claims()).flatMap(({ measured }) =>
        measured.perSeed.flatMap(({ operation }) => operation ?? []),
      ),
    ).size
    const narrower = widthOf(operations, 6) / widthOf(operations, 3)
    const hours = isUnderWay()
      ? ""
      : `, and it takes some ${digits((2 * total.stageHours) / machine.cores)} hours`
    return `pooled intervals become ${digits(narrower)} times as wide on a log scale if runs spread as these do, and ranges of three seeds become 95 % intervals of six${hours}.`
  },
  ablation: () => fence("ts", read("src/pipelines/ablations/heads.ts")),
  comparison: () => `${comparisonMarkdown(heads())}\n\n${heads().evidence}.`,
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
    const { grokscope: _, "pytorch-compiled": __, ...peers } = runs.at(-1)?.versions ?? {}
    const versions = Object.entries(peers).map(([peer, version]) => `${peer} ${version}`)
    return [
      "| threads | grokscope | PyTorch | PyTorch, `torch.compile` | JAX |",
      "|---|---|---|---|---|",
      ...rows,
      "",
      `Milliseconds per training step, medians of alternating runs on ${machine}; ${versions.join(", ")}.`,
    ].join("\n")
  },
  parity: () => {
    const runs = read("bench/results/parity.ndjson")
      .trim()
      .split("\n")
      .map((line) => decodeParity(line))
    const engines = [...new Map(runs.map((run) => [run.engine, run])).values()]
    const quantities = Object.keys(engines[0]?.errors ?? {})
    const digits = (value: number) => value.toExponential(1)
    return [
      `| engine | ${quantities.join(" | ")} |`,
      `|---|${quantities.map(() => "---|").join("")}`,
      ...engines.map(({ engine, errors }) => {
        const cells = quantities.map((quantity) => {
          const { max, median } = errors[quantity]
          return max === median ? digits(max) : `${digits(max)} (${digits(median)})`
        })
        return `| \`${engine}\` | ${cells.join(" | ")} |`
      }),
      "",
      `${engines.map(({ engine, version, machine }) => `\`${engine}\`: ${version}, on ${machine}`).join("; ")}.`,
    ].join("\n")
  },
  ensembles: () => {
    const runs = read("bench/results/ensembles.ndjson")
      .trim()
      .split("\n")
      .map((line) => decodeEnsembles(line))
    const engines = [...new Map(runs.map((run) => [run.engine, run])).values()]
    return engines
      .flatMap(({ engine, version, machine, threads, steps, rows }) => [
        `\`${engine}\` (${version}, ${threads} threads, ${machine}; after ${steps} steps):`,
        "",
        "| members | ms a step | ms a step and member | difference |",
        "|---|---|---|---|",
        ...rows.map(({ members, ms, difference }) => {
          const cells = [members, ms.toFixed(1), (ms / members).toFixed(1), difference.toExponential(1)]
          return `| ${cells.join(" | ")} |`
        }),
        "",
      ])
      .join("\n")
      .trim()
  },
  engines: () => {
    const results = ["onnx", "tfjs-node"].map((engine) => ({
      engine,
      ...decodeEngineResult(read(`artifacts/engines/${engine}.json`)),
    }))
    const step = (value: number | null) => (value === null ? "never" : value.toLocaleString("en"))
    const number = (value: number | null) => (value === null ? "–" : value.toPrecision(3))
    const row = (name: string, cell: (result: (typeof results)[number]) => string) =>
      `| ${[name, ...results.map(cell)].join(" | ")} |`
    const [first] = results
    return [
      row("", ({ engine }) => `\`${engine}\``),
      `|---|${results.map(() => "---|").join("")}`,
      row("test accuracy first ≥ 0.98 at step", ({ run }) => step(run.firstThreshold)),
      row("stop rule held at step", ({ run }) => step(run.stopStep)),
      ...first.coupling.flatMap(({ rows, window }, i) => [
        row(`mean R̄, ${rows}, ${window} window`, ({ coupling }) => number(coupling[i].all.mean)),
        row(`peak R̄, ${rows}, ${window} window`, ({ coupling }) => number(coupling[i].all.peak)),
      ]),
      "",
      `${first.config.data.operation}, seed ${first.config.seed}; ${first.evidence}; measured with earlier windows, which the end of the run cut off.`,
    ].join("\n")
  },
  twin: () => fence("python", pythonCode(read("bench/peers/check_twin.py"))),
}

/** Documents with rendered blocks. */
export const documents = [
  "README.md",
  "docs/ablations.md",
  "docs/engines.md",
  "docs/scale.md",
  "docs/twin.md",
]

/** A document with every rendered block filled in. */
export const renderBlocks = (document: string): string =>
  document.replaceAll(
    /(<!-- rendered: (\w+) -->\n)[\s\S]*?(<!-- \/rendered -->)/g,
    (_, open: string, name: string, close: string) => `${open}${blocks[name]()}\n${close}`,
  )

/** claims.md and figures of artifacts/paper, by path, as they are rendered from its tables. */
export const renderPaper = readResults(fileURLToPath(file("artifacts/paper"))).pipe(
  Effect.map(
    (results) => new Map([...rendered(results)].map(([name, text]) => [`artifacts/paper/${name}`, text])),
  ),
  Effect.provide(NodeServices.layer),
)

if (import.meta.main) {
  for (const [path, text] of await Effect.runPromise(renderPaper)) {
    writeFileSync(file(path), text)
    if (path.endsWith(".svg")) writeFileSync(file(path.replace(/svg$/, "png")), renderPng(text))
  }
  for (const document of documents) writeFileSync(file(document), renderBlocks(read(document)))
}
