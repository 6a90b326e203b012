/**
 * What the claims say together, in sentences about networks: their wording depends on what was measured, and the numbers are
 * filled in. What contradicts the reading of the headline numbers comes first.
 */
import type { ClaimRow, Estimate } from "../pipelines/Claim.ts"
import { RHO } from "../pipelines/quantities.ts"
import { compared, LIMITS, speedClass } from "../pipelines/verdicts.ts"
import { digits, estimateText } from "./estimateText.ts"

type Rows = ReadonlyArray<ClaimRow>

const find = (rows: Rows, id: string): ClaimRow | undefined => rows.find((row) => row.id === id)

/** A number that stands beside a claim, or is its control. */
const other = (row: ClaimRow | undefined, name: string): Estimate | undefined =>
  row?.beside[name] ?? row?.controls[name]

const text = (estimate: Estimate | undefined): string =>
  estimate === undefined || estimate.value === null ? "not measured" : estimateText(estimate)

const numberOf = (estimate: Estimate | undefined): number | null => estimate?.value ?? null

/** `a`, `a and b`, `a, b and c`. */
const listed = (items: ReadonlyArray<string>): string =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`

/** Runs in which nothing generalises, by name, with R̄ of their gradients. */
const outsideOf = ({ controls }: ClaimRow): ReadonlyArray<readonly [string, Estimate]> =>
  Object.entries(controls).filter(
    ([name, { value }]) => (name.includes("never groks") || name === "shuffled labels") && value !== null,
  )

const memorisation = (rows: Rows): ReadonlyArray<string> => {
  const gradients = find(rows, "headline.gradient-peaks")
  const [before, after] = [other(gradients, "mean before grokking"), other(gradients, "mean after grokking")]
  const [low, high] = [numberOf(before), numberOf(after)]
  if (gradients === undefined || low === null || high === null) return []
  const outside = outsideOf(gradients)
  const names = listed(outside.map(([name, estimate]) => `${name}: ${estimateText(estimate)}`))
  const own = gradients.measured
  const isHigh = outside.some(([, { value }]) => compared(own.value, value) !== "lower")
  const peaks = `(peaks, ${names}; peak of those that do: ${text(own)})`
  const also =
    outside.length === 0
      ? ""
      : isHigh
        ? ` It is high also in networks that never generalise ${peaks}, so a high R̄ is no evidence of features that generalise.`
        : ` Networks that never generalise reach less ${peaks}.`
  const rise = high / low
  const moves =
    rise > 1.1 ? `rises ${digits(rise)}-fold` : rise < 0.9 ? `falls to ${digits(rise)} of that` : "stays"
  return [
    `**R̄ of gradients is high before a network groks.** While it only memorises R̄ is ${text(before)}; at grokking it ${moves} (${text(after)} afterwards).${also}`,
  ]
}

const nullFinding = (rows: Rows): ReadonlyArray<string> => {
  const gradients = find(rows, "headline.gradient-peaks")
  const multitask = find(rows, "headline.multitask-gradients")
  const rho = other(gradients, RHO)
  const { supported, refuted } = LIMITS.rho
  if (gradients === undefined || rho === undefined || rho.value === null) return []
  const share = rho.value
  const conclusion =
    gradients.reading?.verdict === "supported"
      ? "The loss's gradients do couple more than any gradient does."
      : gradients.reading?.verdict === "refuted"
        ? "What R̄ shows is a property of gradients, not of the task."
        : "Most of R̄ is what any gradient reaches, and the rest does not decide."
  const title =
    gradients.reading?.verdict === "supported"
      ? "Gradients of the task couple more than a gradient that knows no label"
      : "A gradient that knows no label couples, too"
  const permuted = other(gradients, "÷ permuted labels, means")
  const several = other(multitask, RHO)
  return [
    `**${title}.** The gradient of randomly drawn logits, which has nothing to do with the task, reaches 1/${digits(share)} of it: ρ = ${text(rho)} (we call the reading supported above ${supported}, refuted below ${refuted}). ${conclusion} Against permuted labels, a weaker null that still contains what the network predicts, the ratio is ${text(permuted)}; with several operations at once ρ is ${text(several)}.`,
  ]
}

const gapFinding = (rows: Rows): ReadonlyArray<string> => {
  const gap = find(rows, "headline.gap")
  const dependence = find(rows, "headline.operation-dependence")
  if (gap === undefined || gap.measured.value === null) return []
  const updates = other(dependence, "update directions")
  const title =
    gap.measured.value > 1 ? "Gradients do couple more than updates" : "Gradients couple no more than updates"
  return [
    `**${title}.** R̄ of gradients ÷ R̄ of updates is ${text(gap.measured)} by peaks (published 10 – 100) and ${text(other(gap, "means ÷ means"))} by time means. From operation to operation the peaks of gradients differ by a factor of ${text(dependence?.measured)}, those of updates by ${text(updates)}.`,
  ]
}

const directionFinding = (rows: Rows): ReadonlyArray<string> => {
  const alignment = find(rows, "rebuttal.full-batch-alignment")
  const variance = alignment?.measured.value ?? null
  if (alignment === undefined || variance === null) return []
  const [batch, whole] = [other(alignment, "peak R̄, mixed batch"), other(alignment, "peak R̄, whole table")]
  const word = compared(numberOf(batch), numberOf(whole))
  const isSame = word === "about as high"
  const differ = variance > LIMITS.directionalVariance
  const title =
    differ && isSame
      ? "R̄ does not single out directions"
      : differ
        ? "Another batch gives other directions"
        : "A batch gives nearly the directions of all pairs"
  return [
    `**${title}.** The leading directions of a batch and those of all pairs differ by ${digits(100 * variance)} % (n = ${alignment.measured.n}); ${differ && isSame ? "yet " : ""}the latter couple ${isSame ? "about equally" : word}: ${text(whole)} and ${text(batch)}.`,
  ]
}

const multitaskFinding = (rows: Rows): ReadonlyArray<string> => {
  const updates = find(rows, "headline.multitask-updates")
  const aggregation = find(rows, "headline.aggregation")
  if (updates === undefined || updates.measured.value === null) return []
  const finer = Object.entries(updates.beside).find(([name]) => /^every \d+ steps, mean$/.test(name))
  const fine = finer === undefined ? "" : `, ${text(finer[1])} ${finer[0].replace(", mean", "")}`
  const summed =
    aggregation === undefined || aggregation.measured.value === null
      ? ""
      : ` Gradients of the summed loss couple ${text(aggregation.measured)} times as much as those of an operation's own: ${aggregation.reading?.verdict === "refuted" ? "summing the losses hides nothing" : "summing the losses costs coupling"}.`
  const seen = [updates.measured.value, finer?.[1].value ?? null].flatMap((value) =>
    value === null ? [] : [value > 1],
  )
  const title =
    new Set(seen).size > 1
      ? "With several operations at once, whether updates couple depends on how often one looks"
      : seen[0]
        ? "With several operations at once, updates couple more than random directions"
        : "With several operations at once, updates couple no better than random directions"
  return [
    `**${title}.** Their time mean is ${text(updates.measured)} at the published cadence${fine}.${summed}`,
  ]
}

const interventionFinding = (rows: Rows): ReadonlyArray<string> => {
  const any = find(rows, "headline.rank-3-accelerates")
  if (any === undefined || any.measured.value === null) return []
  const current = other(any, "keep SED, current gradients")
  const published = other(any, "keep SED, published buffer")
  const frozen = other(any, "frozen (rank 0)")
  const reading = find(rows, "headline.rank-redundant")?.reading?.verdict
  const isNever = any.measured.value > 0 && numberOf(frozen) === 0
  const conclusion =
    reading === "refuted"
      ? "Attention need not learn at all here, so its rank explains nothing."
      : reading === "supported" || isNever
        ? "Three directions do what none does not."
        : "That does not decide whether three directions matter."
  const [kept, lost] = [numberOf(published), numberOf(current)]
  const loses =
    kept === null || lost === null || kept <= 1
      ? ""
      : ` Attention that moves along the directions of its current gradients comes to ${text(current)}, against ${text(published)} with the published buffer, which holds the vectors that it has modified itself.`
  const title = {
    faster: "Holding attention speeds grokking up",
    slower: "Holding attention delays grokking",
    unchanged: "Holding attention leaves the time of grokking as it is",
  }[speedClass(any.measured.value)]
  return [
    `**${title}.** Three random directions: ${text(any.measured)} (published 2.3×). Attention that never moves, the control that was not published: ${text(frozen)}. ${conclusion}${loses}`,
  ]
}

const robustnessFinding = (rows: Rows): ReadonlyArray<string> => {
  const robustness = find(rows, "robustness.optimizer-and-schedule")
  if (robustness === undefined || robustness.measured.value === null) return []
  const { measured, beside } = robustness
  const variants = Object.keys(beside).flatMap((name) => {
    const [, variant] = /^(.+), grok step$/.exec(name) ?? []
    return variant === undefined ? [] : [variant]
  })
  const gaps = variants.map((variant) => {
    const never = beside[`${variant}, grok step`]?.value === null ? ", did not grok" : ""
    // The first variant is the claim's own quantity.
    return `${variant} ${text(beside[variant] ?? measured)}${never}`
  })
  const isAlike = variants.every(
    (variant) => compared(1, numberOf(beside[variant] ?? measured)) === "about as high",
  )
  return [
    `**Another optimiser, decay or schedule ${isAlike ? "leaves the gap as it is" : "changes the gap"}.** In units of the paper's, same seed and points: ${gaps.join("; ")}.`,
  ]
}

const rebuttalFinding = (rows: Rows): ReadonlyArray<string> => {
  const rebuttals = rows.filter(({ id, measured }) => id.startsWith("rebuttal.") && measured.value !== null)
  if (rebuttals.length === 0) return []
  const named = rebuttals.map(
    ({ short, measured, number }) =>
      `${short}: ${estimateText(measured)}${number === null ? "" : ` (${number.verdict})`}`,
  )
  return [`**What a reviewer's simulated rebuttal asserts.** ${named.join("; ")}.`]
}

export const findings = (rows: Rows): string =>
  [
    ...memorisation(rows),
    ...nullFinding(rows),
    ...gapFinding(rows),
    ...directionFinding(rows),
    ...interventionFinding(rows),
    ...multitaskFinding(rows),
    ...robustnessFinding(rows),
    ...rebuttalFinding(rows),
  ].join("\n\n")

/** The question of the paper. */
export const QUESTION =
  "While a network groks, does an SVD of its gradients, rather than of its optimizer's updates, find the directions in which it forms its features?"

/** The answer, as far as it was measured, in a sentence. */
export const answer = (rows: Rows): string => {
  const gap = find(rows, "headline.gap")
  const gradients = find(rows, "headline.gradient-peaks")
  const rho = other(gradients, RHO)
  const times = gap?.measured.value ?? null
  const ratio = numberOf(rho)
  if (times === null || ratio === null) return "That was not measured here."
  const reading = gradients?.reading?.verdict
  const but =
    reading === "supported"
      ? "and more than gradients that have nothing to do with the task"
      : "but gradients that have nothing to do with the task come close"
  return `They move the features' centroids ${digits(times)} times as much as directions of updates do, ${but}: ${digits(ratio)} times as much as those.`
}
