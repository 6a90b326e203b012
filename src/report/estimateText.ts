/** Numbers of claims as text. */
import type { Estimate } from "../pipelines/Claim.ts"
import type { Published } from "../pipelines/verdicts.ts"

/** Three significant digits; large numbers in full. */
export const digits = (value: number): string =>
  Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString("en")
    : Math.abs(value) >= 100
      ? value.toFixed(0)
      : String(Number(value.toPrecision(3)))

const unitMark = (unit: string): string => (unit === "×" ? "×" : unit === "steps" ? " steps" : "")

export const publishedText = (paper: Published): string => {
  if ("value" in paper) return digits(paper.value)
  if ("low" in paper) return `${digits(paper.low)} – ${digits(paper.high)}`
  if ("atMost" in paper) return `≤ ${digits(paper.atMost)}`
  return paper.statement
}

/** `113 [99, 131] n=3` */
export const estimateText = ({ value, low, high, n, unit }: Estimate): string => {
  if (value === null) return "–"
  const mark = unitMark(unit)
  const interval = low === null || high === null ? "" : ` [${digits(low)}, ${digits(high)}]`
  return `${digits(value)}${mark}${interval} n=${n}`
}
