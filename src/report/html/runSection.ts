/** What was run, with what, and what it cost. */
import { paperScale } from "../../pipelines/paper.ts"
import { digits } from "../estimateText.ts"
import type { Manifest } from "../manifest.ts"
import { type Child, type Html, h } from "./html.ts"
import { disclosure, table, terms, UNRECORDED, when } from "./parts.ts"
import { RUN, stageRegister } from "./stagesSection.ts"

const isTree = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Dotted names of the leaves of a configuration, and their values. */
const leaves = (value: unknown, path: string): ReadonlyArray<readonly [string, string]> =>
  isTree(value)
    ? Object.entries(value).flatMap(([key, part]) => leaves(part, path === "" ? key : `${path}.${key}`))
    : [[path, Array.isArray(value) ? value.map(shown).join(", ") : shown(value)]]

const shown = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? "–"))

export const configTable = (caption: string, config: unknown): Html =>
  table({
    caption,
    class: "config",
    columns: ["Field", "Value"],
    rows: leaves(config, "").map(([field, value]) => [h("code", {}, field), value]),
  })

/** The seeds that a manifest's words name; they are written `…; seeds 42, 137`. */
const seedsIn = (evidence: string): ReadonlyArray<number> =>
  (/seeds ([\d, ]+)$/.exec(evidence)?.[1] ?? "")
    .split(",")
    .map(Number)
    .filter((seed) => seed > 0)

/** The configuration of a run: as recorded, or the paper's where the run says that it was of the paper's sizes. */
const configOf = ({ config, evidence }: Manifest): Child => {
  if (config !== undefined) return configTable("Configuration, every field as it was run", config)
  if (!evidence.startsWith("the paper's sizes")) return h("p", {}, `Hyper-parameters: ${UNRECORDED}.`)
  const seeds = seedsIn(evidence)
  return [
    h(
      "p",
      {},
      `The configuration itself: ${UNRECORDED}. It says that it is of the paper's sizes; those of the code at hand are:`,
    ),
    configTable("The paper's sizes", seeds.length === 0 ? paperScale : { ...paperScale, seeds }),
  ]
}

export const configSection = (manifest: Manifest): Html =>
  h(
    "section",
    { id: "configuration", "aria-labelledby": "configuration-title" },
    h("h2", { id: "configuration-title" }, "Hyper-parameters"),
    h("p", {}, "Single runs take their operation and seed from the lists of operations and seeds."),
    configOf(manifest),
  )

const costTable = ({ seconds }: Manifest): Html => {
  const all = Object.values(seconds).reduce((sum, one) => sum + one, 0)
  return table({
    caption: "Seconds by kind of stage",
    columns: ["Kind", "Seconds", "Share"],
    rows: Object.entries(seconds).map(([kind, one]) => [
      kind,
      one.toFixed(1),
      all === 0 ? "–" : `${Math.round((100 * one) / all)} %`,
    ]),
  })
}

export const runSection = (manifest: Manifest, changed: ReadonlyArray<string>): Html => {
  const { machine, engine, versions, total, process, storeMiB, code } = manifest
  return h(
    "section",
    { id: "run", "aria-labelledby": "run-title" },
    h("h2", { id: "run-title" }, "The run and its cost"),
    terms([
      ["Stages", `${total.stages}, ${digits(total.stageHours)} hours if computed one after the other`],
      ["Committed", when(total.first), when(total.last)],
      [
        "The process that computed last",
        `${process.computed} computed, ${process.cached} found; ${digits(process.wallMinutes)} minutes, ${digits(process.cpuMinutes)} minutes of processor time, at most ${process.peakMemoryMiB} MiB of memory`,
      ],
      ["Store", `${storeMiB} MiB, with whatever else it holds`],
      ["Machine", `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, node ${machine.node}`],
      ["Tensor engine", `${engine.id}, ${engine.version}`],
      ["Code of claims and report", code === undefined ? UNRECORDED : h("code", { class: "digest" }, code)],
    ]),
    changed.length === 0
      ? null
      : h("p", { class: "warning" }, `Not as this run wrote them: ${changed.join(", ")}.`),
    costTable(manifest),
    disclosure(
      "Versions",
      table({
        caption: "Versions",
        columns: ["Package", "Version"],
        rows: Object.entries(versions).map(([name, version]) => [name, version]),
      }),
    ),
    stageRegister("the run", RUN, manifest),
  )
}
