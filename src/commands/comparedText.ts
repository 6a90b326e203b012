/** Two results side by side, as text. */
import { digits, estimateText } from "../report/estimateText.ts"
import type { Compared, Metric } from "./compared.ts"

const valueText = (value: unknown): string =>
  value === undefined ? "(none)" : typeof value === "string" ? value : JSON.stringify(value)

const metricText = (metric: Metric | null): string =>
  metric === null
    ? "(none)"
    : `${estimateText(metric)}${metric.verdict === undefined ? "" : `  ${metric.verdict}`}`

const signed = (value: number): string => `${value > 0 ? "+" : ""}${digits(value)}`

const metricLines = ({
  id,
  a,
  b,
  difference,
  overlap,
}: Compared["metrics"][number]): ReadonlyArray<string> => [
  `  ${id}`,
  `    a  ${metricText(a)}`,
  `    b  ${metricText(b)}`,
  ...(difference === null
    ? []
    : [
        `    b − a = ${signed(difference)}${overlap === null ? "" : overlap ? "; the intervals overlap" : "; the intervals do not overlap"}`,
      ]),
]

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : ["", title, ...lines]

export const comparedText = ({ a, b, kind, same, settings, metrics, files }: Compared): string => {
  if (same) return "same"
  const both = files.filter((file) => file.a !== null && file.b !== null)
  const onlyOf = (side: "a" | "b") =>
    files.flatMap((file) => {
      const path = file[side]
      return path !== null && !both.includes(file) ? [`  ${path}`] : []
    })
  return [
    `a  ${a}`,
    `b  ${b}  (each: ${kind})`,
    ...section(
      "settings",
      settings.map(({ path, a, b }) => `  ${path}: ${valueText(a)} → ${valueText(b)}`),
    ),
    ...section("metrics", metrics.flatMap(metricLines)),
    ...section(
      "files that differ",
      both.flatMap(({ name, a, b }) => [`  ${name}`, `    a  ${a}`, `    b  ${b}`]),
    ),
    ...section("files that only a has", onlyOf("a")),
    ...section("files that only b has", onlyOf("b")),
  ].join("\n")
}
