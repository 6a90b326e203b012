/** One ablation: what varies, what was measured in every cell beside its controls, and what failed. */
import type { Cell, Comparison } from "../../pipelines/comparison.ts"
import { estimatesIn } from "../comparisonText.ts"
import { digits, estimateText, intervalsText } from "../estimateText.ts"
import type { Manifest } from "../manifest.ts"
import { figureBlock, type ShownFigure } from "./figuresSection.ts"
import { type Child, type Html, h } from "./html.ts"
import { disclosure, download, slug, table, terms } from "./parts.ts"
import { configTable } from "./runSection.ts"
import { stageRegister } from "./stagesSection.ts"

export interface Ablation {
  /** Of its directory. */
  readonly directory: string
  readonly comparison: Comparison
  readonly manifest: Manifest | null
  readonly csv: string | null
  readonly figures: ReadonlyArray<ShownFigure>
}

export const ablationAnchor = ({ directory }: Ablation) => `ablation-${slug(directory)}`

/** Stands for the heading of the column where there is no room for columns. */
const label = (id: string): Html => h("span", { class: "label" }, `${id} `)

const measuredIn = (cell: Cell, id: string): Child => {
  const measured = Object.hasOwn(cell.measured, id) ? cell.measured[id] : undefined
  if (measured === undefined) {
    const because = Object.hasOwn(cell.failed, id) ? cell.failed[id] : "not measured"
    return [label(id), h("span", { class: "warning" }, `failed: ${because}`)]
  }
  const beside = Object.entries(measured.beside)
  return [
    label(id),
    h("span", { class: "effect" }, estimateText(measured)),
    beside.length === 0
      ? null
      : h(
          "ul",
          { class: "beside" },
          ...beside.map(([name, other]) =>
            h("li", {}, h("span", { class: "name" }, `${name}: `), estimateText(other)),
          ),
        ),
  ]
}

const cellsTable = (comparison: Comparison): Html => {
  const { name, metrics, cells } = comparison
  return table({
    caption: `${name}: every cell, mean over seeds, its controls below; in brackets: ${intervalsText(estimatesIn(comparison))}`,
    class: "cells",
    columns: ["Cell", ...metrics.map(({ id, unit }) => `${id} (${unit})`)],
    rows: cells.map((cell) => [
      [h("code", {}, cell.id), cell.isBase ? " (base)" : null],
      ...metrics.map(({ id }) => measuredIn(cell, id)),
    ]),
  })
}

const axesTable = ({ name, axes }: Comparison): Html =>
  table({
    caption: `${name}: what varies`,
    columns: ["Field", "Values"],
    rows: axes.map(({ field, values }) => [h("code", {}, field), values.map(String).join(", ")]),
  })

const failures = ({ cells }: Comparison): Child => {
  const count = cells.reduce((sum, { failed }) => sum + Object.keys(failed).length, 0)
  return count === 0
    ? null
    : h("p", { class: "warning" }, `${count} measurements failed; the table says why.`)
}

const cost = (of: string, anchor: string, manifest: Manifest | null): Child =>
  manifest === null
    ? h("p", {}, "Cost and stages: this run did not record them.")
    : [
        h(
          "p",
          {},
          `${manifest.total.stages} stages, ${digits(manifest.total.stageHours)} hours if computed one after the other; ${manifest.process.wallMinutes} minutes of the process that computed last.`,
        ),
        stageRegister(of, anchor, manifest),
      ]

export const ablationSection = (ablation: Ablation): Html => {
  const { comparison, manifest, csv, figures } = ablation
  const { name, description, evidence, note, scale, metrics, waived, config } = comparison
  const anchor = ablationAnchor(ablation)
  return h(
    "section",
    { id: anchor, "aria-labelledby": `${anchor}-title` },
    h("h2", { id: `${anchor}-title` }, `Ablation: ${name}`),
    h("p", { class: "evidence" }, scale === "smoke" ? `Smoke run, no evidence. ${evidence}` : evidence),
    h("p", {}, description),
    note === undefined ? null : h("p", { class: "note" }, h("strong", {}, "Note: "), note),
    failures(comparison),
    axesTable(comparison),
    cellsTable(comparison),
    h("h3", {}, `${name}: definitions`),
    terms(metrics.map(({ id, definition, unit }) => [`${id} (${unit})`, definition])),
    Object.keys(waived).length === 0
      ? null
      : [h("h3", {}, `${name}: waived controls`), terms(Object.entries(waived))],
    csv === null ? null : h("p", { class: "data" }, "Data: ", download(`${ablation.directory}.csv`, csv)),
    ...figures.map((figure) => figureBlock(figure)),
    disclosure(`Base configuration of ${name}`, configTable(`${name}: base configuration`, config)),
    cost(name, anchor, manifest),
  )
}
