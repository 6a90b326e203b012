/** What the claims say together, in plain words: sentences that depend on the verdicts, with the numbers filled in. */
import type { ClaimRow } from "../pipelines/Claim.ts"
import { digits, estimateText, publishedText } from "./estimateText.ts"

type Rows = ReadonlyArray<ClaimRow>

const find = (rows: Rows, id: string): ClaimRow | undefined => rows.find((row) => row.id === id)

const matching = (rows: Rows, pattern: RegExp): Rows =>
  rows.filter(({ id, measured }) => pattern.test(id) && measured.value !== null)

/** Smallest and largest mean over claims, as text. */
const span = (rows: Rows, beside?: string): string => {
  const values = rows.flatMap((row) => {
    const value = beside === undefined ? row.measured.value : (row.beside[beside]?.value ?? null)
    return value === null ? [] : [value]
  })
  if (values.length === 0) return "–"
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return low === high ? digits(low) : `${digits(low)} – ${digits(high)}`
}

const gapFinding = (rows: Rows): ReadonlyArray<string> => {
  const gradient = matching(rows, /^coupling\.single\.\w+\.gradient\.peak$/)
  const update = matching(rows, /^coupling\.single\.\w+\.update\.peak$/)
  const gaps = matching(rows, /^coupling\.single\.\w+\.gradient-over-update$/)
  if (gradient.length === 0 || update.length === 0 || gaps.length === 0) return []
  return [
    `**The gap.** Gradient directions peak at R̄ = ${span(gradient)} over the operations, update directions at ${span(update)} (published 100 – 330 and 3 – 9): ${span(gaps)} times as much. Only with windows that are full the figures are ${span(gradient, "full windows")}, ${span(update, "full windows")} and ${span(gaps, "full windows")}: windows that the end of the run cuts off inflate the published peaks.`,
  ]
}

const controlFinding = (rows: Rows): ReadonlyArray<string> => {
  const controls = matching(rows, /^control\./)
  if (controls.length === 0) return []
  const high = controls.filter(({ verdict }) => verdict === "contradicted")
  const named = controls
    .map(({ id, measured }) => `${id.replace("control.", "")} ${estimateText(measured)}`)
    .join("; ")
  return [
    high.length > 0
      ? `**What the coupling shows.** Where nothing generalises gradient directions still couple strongly (peaks: ${named}). A high R̄ of gradient directions is then no evidence of features that generalise.`
      : `**What the coupling shows.** Where nothing generalises gradient directions couple less (peaks: ${named}), as the paper's reading requires.`,
  ]
}

const interventionFinding = (rows: Rows): ReadonlyArray<string> => {
  const any = find(rows, "intervention.any-rank-3-accelerates")
  const rank = find(rows, "intervention.attention-update-is-rank-redundant")
  if (any?.measured.value == null || rank === undefined) return []
  const frozen = any.beside["frozen (rank 0)"]
  const sentence = `**Interventions.** Keeping any three directions speeds grokking up ${estimateText(any.measured)} (published ${publishedText(any.paper)})`
  if (frozen === undefined || frozen.value === null) return [`${sentence}.`]
  return [
    rank.verdict === "contradicted"
      ? `${sentence}. But attention that never moves does so ${estimateText(frozen)}: the missing control. “Rank-redundant” does not survive it; attention need not be trained at all.`
      : `${sentence}; attention that never moves, the missing control: ${estimateText(frozen)}.`,
  ]
}

const multitaskFinding = (rows: Rows): ReadonlyArray<string> => {
  const own = matching(rows, /^coupling\.multitask\.\w+\.per-op-gradient\.peak$/)
  const update = matching(rows, /^coupling\.multitask\.\w+\.update\.peak$/)
  const aggregation = find(rows, "coupling.multitask.aggregation-is-the-obstruction")
  if (own.length === 0 || update.length === 0 || aggregation?.measured.value == null) return []
  const verdict =
    aggregation.verdict === "contradicted"
      ? "so aggregation is not what hides the coupling of updates"
      : aggregation.verdict === "reproduced"
        ? "so aggregation does hide it"
        : "so aggregation explains it for some operations only"
  return [
    `**Multitask.** Per-operation gradients peak at ${span(own)} (published 21.8 – 44.9), shared updates at ${span(update)} (published at most 1). Gradients of the summed loss, the control that was not published, peak at ${span(own, "gradient of the summed loss")}, ${verdict}.`,
  ]
}

const rebuttalFinding = (rows: Rows): ReadonlyArray<string> => {
  const rebuttals = rows.filter(({ id, verdict }) => id.startsWith("rebuttal.") && verdict !== "not-tested")
  if (rebuttals.length === 0) return []
  const named = rebuttals.map(({ id, verdict }) => `${id.replace("rebuttal.", "")} ${verdict}`).join(", ")
  const norm = find(rows, "rebuttal.norm-ratio")
  return [
    `**The rebuttal's assertions.** ${named}. Norm ratio and cosine of an orthogonal projection are one number (here ${norm === undefined ? "–" : estimateText(norm.measured)}), so “within 1 %” and “0.85” cannot both hold.`,
  ]
}

const robustnessFinding = (rows: Rows): ReadonlyArray<string> => {
  const robustness = find(rows, "robustness.optimizer-and-schedule")
  if (robustness === undefined || robustness.verdict === "not-tested") return []
  const values = [
    `sgd ${estimateText(robustness.measured)}`,
    ...Object.entries(robustness.beside).map(([name, beside]) => `${name} ${estimateText(beside)}`),
  ]
  return [
    `**Another optimiser, decay, schedule.** Gradient ÷ update peaks: ${values.join("; ")}. ${robustness.because}.`,
  ]
}

export const findings = (rows: Rows): string =>
  [
    ...gapFinding(rows),
    ...controlFinding(rows),
    ...multitaskFinding(rows),
    ...interventionFinding(rows),
    ...rebuttalFinding(rows),
    ...robustnessFinding(rows),
  ].join("\n\n")
