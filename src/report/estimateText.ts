/** Numbers of claims as text. A run that never grokked is called so, and is no number. */
import { type Estimate, estimate, SPEEDUP, STEPS } from "../pipelines/Claim.ts"
import type { Published } from "../pipelines/verdicts.ts"

/** Three significant digits; large numbers in full. */
export const digits = (value: number): string =>
  Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString("en")
    : Math.abs(value) >= 100
      ? value.toFixed(0)
      : String(Number(value.toPrecision(3)))

const unitMark = (unit: string): string => (unit === SPEEDUP ? "×" : unit === STEPS ? " steps" : "")

/** @param unit of what is measured, where the number should carry it */
export const publishedText = (paper: Published, unit = ""): string => {
  if ("value" in paper) return `${digits(paper.value)}${unitMark(unit)}`
  if ("low" in paper) return `${digits(paper.low)} – ${digits(paper.high)}`
  if ("atMost" in paper) return `≤ ${digits(paper.atMost)}`
  return paper.statement
}

/** Whether a seed's value says that its run never grokked. */
const isNever = (unit: string, value: number | null): boolean =>
  (unit === STEPS && value === null) || (unit === SPEEDUP && value === 0)

/** One seed's value. */
export const seedText = (unit: string, value: number | null): string =>
  isNever(unit, value) ? "never" : value === null ? "–" : `${digits(value)}${unitMark(unit)}`

/** `113 [99, 131] n=3`; where some runs never grokked, the mean over the others: `2.2× in 2 of 3, else never`. */
export const estimateText = ({ value, low, high, n, unit, perSeed }: Estimate): string => {
  const never = perSeed.filter((seed) => isNever(unit, seed.value)).length
  if (never > 0) {
    const others = estimate(
      unit,
      perSeed.filter((seed) => !isNever(unit, seed.value)),
    )
    const of = never + others.n
    if (others.value === null) return of === 1 ? "never n=1" : `never in ${of} of ${of}`
    return `${digits(others.value)}${unitMark(unit)} in ${others.n} of ${of}, else never`
  }
  if (value === null) return "–"
  const interval = low === null || high === null ? "" : ` [${digits(low)}, ${digits(high)}]`
  return `${digits(value)}${unitMark(unit)}${interval} n=${n}`
}

const intervalNames = {
  range: "the smallest and largest seed",
  t: "95 % by Student's t",
  pooled: "95 % by Student's t, pooled over operations and seeds",
  bootstrap: "95 % of a bootstrap over seeds (of few seeds, a mere spread)",
} as const

/** What the intervals of these are; an estimate of former times does not say, and has one of a bootstrap. */
export const intervalsText = (estimates: ReadonlyArray<Estimate>): string => {
  const kinds = new Set(
    estimates.flatMap(({ interval, low }) => (low === null ? [] : [interval ?? ("bootstrap" as const)])),
  )
  return kinds.size === 0 ? "none, of one seed" : [...kinds].map((kind) => intervalNames[kind]).join("; or ")
}
