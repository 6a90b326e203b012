/**
 * What the claims say together, in plain words: sentences that depend on the verdicts, with the numbers filled in.
 * Where a control contradicts the reading of the headline numbers, it comes before them.
 */
import type { ClaimRow } from "../pipelines/Claim.ts"
import { type Published, speedClass, type Verdict } from "../pipelines/verdicts.ts"
import { digits, estimateText, publishedText } from "./estimateText.ts"

type Rows = ReadonlyArray<ClaimRow>

const find = (rows: Rows, id: string): ClaimRow | undefined => rows.find((row) => row.id === id)

const matching = (rows: Rows, pattern: RegExp): Rows =>
  rows.filter(({ id, measured }) => pattern.test(id) && measured.value !== null)

const between = (values: ReadonlyArray<number>): string => {
  if (values.length === 0) return "–"
  const [low, high] = [digits(Math.min(...values)), digits(Math.max(...values))]
  return low === high ? low : `${low} – ${high}`
}

const meanOf = (row: ClaimRow, beside?: string): number | null =>
  beside === undefined ? row.measured.value : (row.beside[beside]?.value ?? null)

const meansOf = (rows: Rows, beside?: string): ReadonlyArray<number> =>
  rows.flatMap((row) => {
    const value = meanOf(row, beside)
    return value === null ? [] : [value]
  })

/** Smallest and largest mean over claims, as text. */
const span = (rows: Rows, beside?: string): string => between(meansOf(rows, beside))

const publishedValues = (paper: Published): ReadonlyArray<number> =>
  "value" in paper ? [paper.value] : "low" in paper ? [paper.low, paper.high] : []

/** Smallest and largest published number of the claims, as text. */
const publishedSpan = (rows: Rows): string => between(rows.flatMap(({ paper }) => publishedValues(paper)))

/** "reproduced", or "reproduced for 3, contradicted for 1". */
const together = (rows: Rows): string => {
  const verdicts = new Set(rows.map(({ verdict }) => verdict))
  const words: Record<Verdict, string> = {
    reproduced: "reproduced",
    partly: "reproduced in part",
    contradicted: "contradicted",
    "not-tested": "not tested",
  }
  const each = (["reproduced", "partly", "contradicted", "not-tested"] as const).flatMap((verdict) => {
    const count = rows.filter((row) => row.verdict === verdict).length
    return count === 0 ? [] : [verdicts.size === 1 ? words[verdict] : `${words[verdict]} for ${count}`]
  })
  return each.join(", ")
}

/** How many times larger the peak over all points is than that over points with full windows, at most. */
const inflation = (rows: Rows): number =>
  rows.reduce((most, row) => {
    const [all, full] = [meanOf(row), meanOf(row, "full windows")]
    return all === null || full === null ? most : Math.max(most, all / full)
  }, 1)

const fullWindowSentence = (gradient: Rows, update: Rows, gaps: Rows): string => {
  if (meansOf(gradient, "full windows").length === 0) return ""
  const [gradients, updates] = [inflation(gradient), inflation(update)]
  const conclusion =
    Math.max(gradients, updates) < 1.05
      ? "windows that the end of the run cuts off make no difference"
      : `windows that the end of the run cuts off raise a gradient peak by a factor of up to ${digits(gradients)}, an update peak by one of up to ${digits(updates)}`
  return ` With full windows only, the figures are ${span(gradient, "full windows")}, ${span(update, "full windows")} and ${span(gaps, "full windows")}: ${conclusion}.`
}

/** Of which claims' runs some never grokked. */
const neverSentence = (rows: Rows, name: (row: ClaimRow) => string): string => {
  const never = rows.flatMap((row) => {
    const seeds = row.beside["grok step"]?.perSeed ?? []
    const count = seeds.filter(({ value }) => value === null).length
    return count === 0 ? [] : [`${name(row)} in ${count} of ${seeds.length}`]
  })
  return never.length === 0 ? "" : ` Some of these runs did not grok in the steps given: ${never.join(", ")}.`
}

const operationOf = ({ id }: ClaimRow): string => id.split(".")[2]

const gapFinding = (rows: Rows): ReadonlyArray<string> => {
  const gradient = matching(rows, /^coupling\.single\.\w+\.gradient\.peak$/)
  const update = matching(rows, /^coupling\.single\.\w+\.update\.peak$/)
  const gaps = matching(rows, /^coupling\.single\.\w+\.gradient-over-update$/)
  if (gradient.length === 0 || update.length === 0 || gaps.length === 0) return []
  return [
    `**The gap.** Gradient directions peak at R̄ = ${span(gradient)} over the operations (published ${publishedSpan(gradient)}), update directions at ${span(update)} (published ${publishedSpan(update)}): ${span(gaps)} times as much in the same run (published ${publishedSpan(gaps)}; ${together(gaps)}).${fullWindowSentence(gradient, update, gaps)}${neverSentence(gradient, operationOf)}`,
  ]
}

const nameOf = ({ id }: ClaimRow): string => id.replace("control.", "")

const isHigh = ({ verdict }: ClaimRow): boolean => verdict === "contradicted"

const controlFinding = (rows: Rows): ReadonlyArray<string> => {
  const controls = matching(rows, /^control\./).filter(({ verdict }) => verdict !== "not-tested")
  if (controls.length === 0) return []
  const named = controls.map((row) => `${nameOf(row)} ${estimateText(row.measured)}`).join("; ")
  const high = controls.filter(isHigh)
  const where = high.length === controls.length ? "" : ` in ${high.map(nameOf).join(", ")}`
  return [
    high.length > 0
      ? `**What the coupling shows.** Where nothing generalises gradient directions still couple strongly${where} (peaks: ${named}). A high R̄ of gradient directions is then no evidence of features that generalise.`
      : `**What the coupling shows.** Where nothing generalises gradient directions couple less (peaks: ${named}), as the paper's reading requires.`,
  ]
}

/** What rank 3 does, by the class of its speed-up; the number follows. */
const accelerated = {
  faster: "speeds grokking up",
  unchanged: "leaves the time of grokking as it is:",
  slower: "delays grokking:",
} as const

const interventionFinding = (rows: Rows): ReadonlyArray<string> => {
  const any = find(rows, "intervention.any-rank-3-accelerates")
  const rank = find(rows, "intervention.attention-update-is-rank-redundant")
  const value = any?.measured.value ?? null
  if (any === undefined || value === null) return []
  const does = value === 0 ? "does not always let a network grok:" : accelerated[speedClass(value)]
  const sentence = `**Interventions.** Keeping any three directions ${does} ${estimateText(any.measured)} (published ${publishedText(any.paper, any.measured.unit)}).`
  const frozen = any.beside["frozen (rank 0)"]
  if (frozen === undefined || frozen.value === null || rank === undefined) return [sentence]
  const control = `Attention that never moves, the missing control: ${estimateText(frozen)}.`
  const conclusions: Record<Verdict, string> = {
    contradicted:
      frozen.value > 0
        ? " “Rank-redundant” does not survive it: attention need not be trained at all."
        : ` “Rank-redundant” does not survive: ${rank.because}.`,
    partly: " Rank 3 does somewhat more than rank 0.",
    reproduced: " “Rank-redundant” survives it: rank 3 does what rank 0 does not.",
    "not-tested": "",
  }
  return [`${sentence} ${control}${conclusions[rank.verdict]}`]
}

const multitaskFinding = (rows: Rows): ReadonlyArray<string> => {
  const own = matching(rows, /^coupling\.multitask\.\w+\.per-op-gradient\.peak$/)
  const update = matching(rows, /^coupling\.multitask\.\w+\.update\.peak$/)
  const aggregation = find(rows, "coupling.multitask.aggregation-is-the-obstruction")
  if (own.length === 0 || update.length === 0) return []
  const conclusions: Record<Verdict, string> = {
    contradicted: ", so aggregation is not what hides the coupling of updates",
    partly: ", so aggregation explains it for some operations only",
    reproduced: ", so aggregation does hide it",
    "not-tested": "",
  }
  const summed = span(own, "gradient of the summed loss")
  const control =
    summed === "–"
      ? ""
      : ` Gradients of the summed loss, the control that was not published, peak at ${summed}${conclusions[aggregation?.verdict ?? "not-tested"]}.`
  return [
    `**Multitask.** Per-operation gradients peak at ${span(own)} (published ${publishedSpan(own)}), shared updates at ${span(update)} (published at most 1; ${together(update)}).${control}${neverSentence(own.slice(0, 1), () => "all operations at once")}`,
  ]
}

const rebuttalFinding = (rows: Rows): ReadonlyArray<string> => {
  const rebuttals = rows.filter(({ id, verdict }) => id.startsWith("rebuttal.") && verdict !== "not-tested")
  if (rebuttals.length === 0) return []
  const named = rebuttals.map(({ id, verdict }) => `${id.replace("rebuttal.", "")} ${verdict}`).join(", ")
  const norm = find(rebuttals, "rebuttal.norm-ratio")
  const identity =
    norm === undefined
      ? ""
      : ` Norm ratio and cosine of an orthogonal projection are one number (for keep-sed ${estimateText(norm.measured)}), so “within 1 %” and “0.85” cannot both hold.`
  return [`**The rebuttal's assertions.** ${named}.${identity}`]
}

const robustnessFinding = (rows: Rows): ReadonlyArray<string> => {
  const robustness = find(rows, "robustness.optimizer-and-schedule")
  if (robustness === undefined || robustness.verdict === "not-tested") return []
  const { measured, beside, because } = robustness
  const gaps = Object.entries(beside).flatMap(([name, grokked]) => {
    const [, variant] = /^(.+), grok step$/.exec(name) ?? []
    if (variant === undefined) return []
    const full = beside[`${variant}, full windows`]
    const notes = [
      ...(full === undefined ? [] : [`full windows ${estimateText(full)}`]),
      ...(grokked.value === null ? ["did not grok"] : []),
    ]
    // The first variant is the claim's own quantity.
    return [`${variant} ${estimateText(beside[variant] ?? measured)} (${notes.join("; ")})`]
  })
  return [
    `**Another optimiser, decay, schedule.** Gradient ÷ update peaks: ${gaps.join(", ")}. At least tenfold: ${because}.`,
  ]
}

export const findings = (rows: Rows): string => {
  const contradicted = rows.some((row) => row.id.startsWith("control.") && isHigh(row))
  const [control, gap] = [controlFinding(rows), gapFinding(rows)]
  return [
    ...(contradicted ? [...control, ...gap] : [...gap, ...control]),
    ...multitaskFinding(rows),
    ...interventionFinding(rows),
    ...rebuttalFinding(rows),
    ...robustnessFinding(rows),
  ].join("\n\n")
}
