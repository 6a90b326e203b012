/** An ablation's results as text: a table for the terminal, `comparison.md`, and the rows of its data table. */
import type { Estimate } from "../pipelines/Claim.ts"
import type { Cell, Comparison } from "../pipelines/comparison.ts"
import { estimateText, intervalsText } from "./estimateText.ts"

/** A cell's number as text; why there is none. */
export const cellText = ({ measured, failed }: Cell, metric: string): string => {
  const found = measured[metric]
  if (found !== undefined) return estimateText(found)
  return failed[metric] === undefined ? "–" : "failed"
}

const nameOf = ({ id, isBase }: Cell): string => (isBase ? `${id} (base)` : id)

/** The names of all controls of a cell, whichever metric has them. */
export const controlsIn = ({ measured }: Cell): ReadonlyArray<string> => [
  ...new Set(Object.values(measured).flatMap(({ beside }) => Object.keys(beside))),
]

/** All estimates of a comparison, those of controls among them. */
export const estimatesIn = ({ cells }: Comparison): ReadonlyArray<Estimate> =>
  cells.flatMap(({ measured }) =>
    Object.values(measured).flatMap(({ beside, ...own }) => [own, ...Object.values(beside)]),
  )

/** Controls that what varies makes no difference to: the same in every cell, so they are shown once. */
export const commonControls = ({ cells }: Comparison): ReadonlyArray<string> => {
  const [first, ...others] = cells
  if (first === undefined || others.length === 0) return []
  const valuesOf = (cell: Cell, control: string) =>
    JSON.stringify(Object.entries(cell.measured).map(([id, { beside }]) => [id, beside[control]?.perSeed]))
  return controlsIn(first).filter((control) =>
    others.every((cell) => valuesOf(cell, control) === valuesOf(first, control)),
  )
}

/** Names and one text for each metric: every cell, its own controls below it, the common ones at the end. */
const tableRows = (comparison: Comparison) => {
  const { metrics, cells } = comparison
  const common = commonControls(comparison)
  const controlRow = (cell: Cell, control: string) => ({
    name: control,
    isControl: true,
    texts: metrics.map(({ id }) => {
      const beside = cell.measured[id]?.beside[control]
      return beside === undefined ? "" : estimateText(beside)
    }),
  })
  return [
    ...cells.flatMap((cell) => [
      { name: nameOf(cell), isControl: false, texts: metrics.map(({ id }) => cellText(cell, id)) },
      ...controlsIn(cell)
        .filter((control) => !common.includes(control))
        .map((control) => controlRow(cell, control)),
    ]),
    ...cells
      .slice(0, 1)
      .flatMap((cell) =>
        common.map((control) => ({ ...controlRow(cell, control), name: `${control}, in every cell` })),
      ),
  ]
}

/** Lines of a table for the terminal, a column for each metric. */
export const comparisonTable = (comparison: Comparison): string => {
  const rows = [
    ["", ...comparison.metrics.map(({ id }) => id)],
    ...tableRows(comparison).map(({ name, isControl, texts }) => [isControl ? `  ${name}` : name, ...texts]),
  ]
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")
}

const escaped = (text: string): string => text.replaceAll(/[\\`*_{}[\]<>#|]/g, "\\$&")

const tableRow = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

/** The table as Markdown. */
export const comparisonMarkdown = (comparison: Comparison): string => {
  const head = ["", ...comparison.metrics.map(({ id }) => `\`${id}\``)]
  const rows = tableRows(comparison).map(({ name, isControl, texts }) =>
    tableRow([isControl ? `beside: ${escaped(name)}` : `**${escaped(name)}**`, ...texts.map(escaped)]),
  )
  return [tableRow(head), tableRow(head.map(() => "---")), ...rows].join("\n")
}

/** `comparison.md`. */
export const comparisonDocument = (comparison: Comparison): string => {
  const { name, description, evidence, note, metrics, cells, waived } = comparison
  const failures = cells.flatMap((cell) =>
    Object.entries(cell.failed).map(
      ([metric, because]) => `- ${escaped(nameOf(cell))}, \`${metric}\`: ${escaped(because)}`,
    ),
  )
  return [
    `# ${escaped(name)}: ${escaped(description)}`,
    "",
    `${escaped(evidence)}. Means over seeds, of ratios geometric ones; in brackets: ${intervalsText(estimatesIn(comparison))}.`,
    "",
    ...(note === undefined ? [] : [`**Note:** ${escaped(note)}`, ""]),
    comparisonMarkdown(comparison),
    "",
    ...(failures.length === 0 ? [] : ["Could not be measured:", "", ...failures, ""]),
    ...metrics.map(({ id, definition, unit }) => `- \`${id}\` (${escaped(unit)}): ${escaped(definition)}`),
    ...Object.entries(waived).map(
      ([control, because]) => `- the control ${escaped(control)} was waived: ${escaped(because)}`,
    ),
    "",
    ...metrics.map(({ id }) => `![${id} of every cell](figures/${id}.svg)`),
    "",
  ].join("\n")
}

/** A row for each cell, metric, control and seed. */
export const comparisonRows = ({ axes, metrics, cells }: Comparison) =>
  cells.flatMap(({ id, settings, measured }) =>
    metrics.flatMap((metric) => {
      const own = measured[metric.id]
      if (own === undefined) return []
      const series = [{ control: "", perSeed: own.perSeed }].concat(
        Object.entries(own.beside).map(([control, { perSeed }]) => ({ control, perSeed })),
      )
      return series.flatMap(({ control, perSeed }) =>
        perSeed.map(({ seed, value }) => ({
          cell: id,
          // A column has one type: what is varied may be a number here and a text there.
          ...Object.fromEntries(axes.map(({ field }) => [field, String(settings[field] ?? "")])),
          metric: metric.id,
          unit: metric.unit,
          control,
          seed,
          value,
        })),
      )
    }),
  )
