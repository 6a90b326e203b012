/**
 * The rules that judge a claim. They were written down before the results that they judge were seen, apply to every claim of
 * a kind alike, and are printed beside each judgement. A claim gets two of them.
 *
 * **Number**: does the number agree with the published one?
 *
 * - *Magnitude* (coupling ratios; compared by factors, since they are ratios of squared norms over which the paper itself
 *   speaks in orders of magnitude). A published value is *reproduced* when the mean is within a factor 1.5 of it, *partly*
 *   within a factor 3. A published range is *reproduced* when every run lies in it, give or take a factor 1.25, *partly* when
 *   the mean lies in it, give or take a factor 3. An upper bound is *reproduced* when every run is below it, give or take a
 *   factor 1.25, *partly* when the mean is below twice the bound.
 * - *Speed-up* (steps of the paired control ÷ steps of the arm). Classes: faster from 1.1, slower to 0.9, else unchanged.
 *   *Reproduced* in the published class and within 25 % of the published value; *partly* in the class alone. An arm that
 *   never gets there has a speed-up of 0, and so has the mean over runs in one of which it never does.
 * - *Difference* (cosines and shares, compared by difference): *reproduced* within 0.05, *partly* within 0.2.
 * - *Assertion* (a statement with a threshold). *Reproduced* when every measured case meets it, *partly* when some do. Three
 *   directions suffice in a run whose speed-up is at least 1. Operations differ less with gradients in a seed whose spread of
 *   peaks is smaller than that of updates.
 *
 * Anything else is *not-reproduced*; a value that no run yields is *not-tested*.
 *
 * **Reading**: does the interpretation that the paper gives the number survive its control?
 *
 * - *Gradients*: ρ = R̄ of the loss's gradients ÷ R̄ of the gradients of random logits, means over the points of a run.
 *   *Supported* where the whole interval of ρ lies above 2, *refuted* where it lies below 1.25.
 * - *Rank 3*: speed-up of the arm ÷ speed-up of attention that never moves, over pairs. *Refuted* where the two are equivalent
 *   within ±10 % (two one-sided t tests at 5 %), *supported* where the whole 90 % interval lies above 1.1. The range of fewer
 *   than five runs stands for both intervals. A pair of which one does not grok decides nothing, nor does its claim.
 * - *Updates of several tasks*: *supported* where the time mean is at most 1 in every run at the other cadence, too.
 * - *Aggregation*: summed-loss R̄ ÷ own-loss R̄, time means. *Refuted* from 0.8 in every run, *supported* to 0.5.
 * - *Removal*: *supported* where the removed part held at least half of the gradient's energy in every run.
 *
 * Anything else is *not-supported*: the control does not decide. Where no rule compares a claim with a control, the reading is
 * *not-tested*.
 */
import { Schema } from "effect"
import { intervalOf, isEquivalent, sampleMean } from "../numerics/inference.ts"

export const Verdict = Schema.Literals(["reproduced", "partly", "not-reproduced", "not-tested"])
export type Verdict = typeof Verdict.Type

export const Reading = Schema.Literals(["supported", "not-supported", "refuted", "not-tested"])
export type Reading = typeof Reading.Type

/** What was published: a value, a range, an upper bound, or a statement; and where. */
export const Published = Schema.Union([
  Schema.Struct({ value: Schema.Finite, source: Schema.String }),
  Schema.Struct({ low: Schema.Finite, high: Schema.Finite, source: Schema.String }),
  Schema.Struct({ atMost: Schema.Finite, source: Schema.String }),
  Schema.Struct({ statement: Schema.String, source: Schema.String }),
])
export type Published = typeof Published.Type

/** A judgement, with one sentence: which rule, and what met or missed it. */
export interface Judged<A> {
  readonly verdict: A
  readonly because: string
}
export type NumberJudgement = Judged<Verdict>
export type ReadingJudgement = Judged<Reading>

/** What a rule judges: the mean over runs, its interval, and each run's value. */
export interface Measured {
  readonly value: number | null
  readonly low: number | null
  readonly high: number | null
  readonly perSeed: ReadonlyArray<{ readonly seed: number; readonly value: number | null }>
}

/** Factors and margins by which rules judge. */
export const LIMITS = {
  magnitude: { reproduced: 1.5, partly: 3, slack: 1.25, bound: 2 },
  speedup: { faster: 1.1, slower: 0.9, reproduced: 0.25 },
  difference: { reproduced: 0.05, partly: 0.2 },
  rho: { supported: 2, refuted: 1.25 },
  equivalence: 0.1,
  aggregation: { refuted: 0.8, supported: 0.5 },
  removedEnergy: 0.5,
  /** `definition.sensitivity`: the gap of every definition, in units of the published definition's. */
  definition: 0.5,
  /** `robustness`: the gap of every variant, in units of the baseline's. */
  robustness: 0.5,
  /** `coupling.within-5-percent`: how far R̄ may move. */
  fivePercent: 0.05,
  /** `coupling.window.fall`: of the published factor. */
  window: { above: 100, from: 20 },
  directionalVariance: 0.05,
  normRatio: 0.01,
  rank3Energy: 0.95,
  /** `headline.rank-redundant`: the smallest speed-up of directions that suffice. */
  suffices: 1,
} as const

/** How a control compares with the number beside which it stands. */
const ALIKE = 1.25

export const digits = (x: number): string =>
  Math.abs(x) >= 100 ? x.toFixed(0) : String(Number(x.toPrecision(3)))

/** How many times larger the larger of two positive numbers is. */
const factor = (a: number, b: number): number => Math.max(a / b, b / a)

export const untested = (because: string): Judged<"not-tested"> => ({ verdict: "not-tested", because })
const noValue = untested("no run yields a value")
export const noReadingRule = untested("no rule compares it with a control")

const values = ({ perSeed }: Pick<Measured, "perSeed">): ReadonlyArray<number> =>
  perSeed.flatMap(({ value }) => (value === null ? [] : [value]))

export const judgeMagnitude = (published: Published, measured: Measured): NumberJudgement => {
  const { value } = measured
  if (value === null) return noValue
  const runs = values(measured)
  const { reproduced, partly, slack, bound } = LIMITS.magnitude
  if ("value" in published) {
    if (value <= 0) {
      const because = `mean ${digits(value)} is no positive number, so no factor from ${digits(published.value)}`
      return { verdict: "not-reproduced", because }
    }
    const off = factor(value, published.value)
    const because = `mean ${digits(value)} is a factor ${off.toFixed(2)} from ${digits(published.value)} (reproduced to ${reproduced}, partly to ${partly})`
    return {
      verdict: off <= reproduced ? "reproduced" : off <= partly ? "partly" : "not-reproduced",
      because,
    }
  }
  if ("low" in published) {
    const { low, high } = published
    const within = (x: number, by: number) => x >= low / by && x <= high * by
    const inside = runs.filter((x) => within(x, slack)).length
    const because = `${inside} of ${runs.length} runs in ${digits(low)} – ${digits(high)} give or take ${slack}, mean ${digits(value)}`
    if (inside === runs.length) return { verdict: "reproduced", because }
    return { verdict: within(value, partly) ? "partly" : "not-reproduced", because }
  }
  if ("atMost" in published) {
    const { atMost } = published
    const below = runs.filter((x) => x <= atMost * slack).length
    const because = `${below} of ${runs.length} runs at most ${digits(atMost)} give or take ${slack}, mean ${digits(value)}`
    if (below === runs.length) return { verdict: "reproduced", because }
    return { verdict: value <= atMost * bound ? "partly" : "not-reproduced", because }
  }
  return untested("no number was published")
}

type SpeedClass = "faster" | "slower" | "unchanged"

export const speedClass = (speedup: number): SpeedClass =>
  speedup >= LIMITS.speedup.faster ? "faster" : speedup <= LIMITS.speedup.slower ? "slower" : "unchanged"

export const judgeSpeedup = (published: number, measured: Measured): NumberJudgement => {
  const { value } = measured
  if (value === null) return untested("the natural run did not grok")
  const wanted = speedClass(published)
  const found = speedClass(value)
  const off = Math.abs(value / published - 1)
  const runs = values(measured)
  const never = runs.filter((speedup) => speedup === 0).length
  const because =
    value === 0
      ? `never grokked in ${never} of ${runs.length} runs, which counts as slower; published ${wanted} at ${published.toFixed(2)}×`
      : `${found} at ${value.toFixed(2)}×; published ${wanted} at ${published.toFixed(2)}× (${Math.round(100 * off)} % off)`
  if (found !== wanted) return { verdict: "not-reproduced", because }
  return { verdict: off <= LIMITS.speedup.reproduced ? "reproduced" : "partly", because }
}

/** Cosines and shares are compared by difference: with a value, or with a range. */
export const judgeDifference = (published: Published, measured: Measured): NumberJudgement => {
  const { value } = measured
  if (value === null) return noValue
  if ("statement" in published || "atMost" in published) return untested("no number was published")
  const [low, high] =
    "value" in published ? [published.value, published.value] : [published.low, published.high]
  const off = Math.max(0, low - value, value - high)
  const { reproduced, partly } = LIMITS.difference
  const because = `mean ${digits(value)} is ${off === 0 ? "in the published range" : `${digits(off)} off`} (reproduced to ${reproduced}, partly to ${partly})`
  return { verdict: off <= reproduced ? "reproduced" : off <= partly ? "partly" : "not-reproduced", because }
}

/** @param cases what was looked at, and whether it meets the assertion; null where no run yields it */
export const judgeAssertion = (
  cases: ReadonlyArray<{ readonly name: string; readonly holds: boolean | null }>,
): NumberJudgement => {
  const tested = cases.filter(({ holds }) => holds !== null)
  if (tested.length === 0) return noValue
  const failing = tested.filter(({ holds }) => holds === false)
  const named = failing.map(({ name }) => name).join("; ")
  const untestedCases = cases.filter(({ holds }) => holds === null).map(({ name }) => name)
  const rest = untestedCases.length === 0 ? "" : ` (not tested: ${untestedCases.join("; ")})`
  const n = tested.length
  if (failing.length === 0) {
    return {
      verdict: "reproduced",
      because: `holds in ${n === 1 ? "the one case" : `all ${n} cases`}${rest}`,
    }
  }
  return failing.length === n
    ? {
        verdict: "not-reproduced",
        because: `holds ${n === 1 ? "not in the one case" : `in none of ${n} cases`}: ${named}${rest}`,
      }
    : { verdict: "partly", because: `fails in ${failing.length} of ${n} cases: ${named}${rest}` }
}

/** Judges an assertion by the mean of each case. */
export const judgeEach = (
  cases: ReadonlyArray<readonly [name: string, measured: Pick<Measured, "value"> | undefined]>,
  holds: (x: number) => boolean,
) =>
  judgeAssertion(
    cases.map(([name, measured]) => {
      const value = measured?.value ?? null
      return {
        name: value === null ? name : `${name} ${digits(value)}`,
        holds: value === null ? null : holds(value),
      }
    }),
  )

/** A mean with its interval, as a reason has it. */
const spanned = ({ value, low, high }: Measured): string =>
  value === null
    ? "–"
    : low === null || high === null
      ? digits(value)
      : `${digits(value)} [${digits(low)}, ${digits(high)}]`

/** Whether gradients of the loss couple more than those of a null objective: the reading of every claim about gradients. */
export const readRho = (rho: Measured | undefined): ReadingJudgement => {
  if (rho === undefined || rho.value === null) return untested("the null objective was not measured")
  const { supported, refuted } = LIMITS.rho
  const [low, high] = [rho.low ?? rho.value, rho.high ?? rho.value]
  // One more digit, since an end may lie next to a limit.
  const reach = `gradients of random logits reach 1/${digits(rho.value)} of it: ρ = ${digits(rho.value)} [${low.toPrecision(4)}, ${high.toPrecision(4)}]`
  if (low > supported) return { verdict: "supported", because: `${reach}, above ${supported}` }
  if (high < refuted) return { verdict: "refuted", because: `${reach}, below ${refuted}` }
  return {
    verdict: "not-supported",
    because: `${reach}, which is neither above ${supported} nor below ${refuted}`,
  }
}

/** Whether the logarithms of ratios are 0 within the margin of equivalence, or above it, or neither. */
const compareToOne = (ratios: ReadonlyArray<number>): "alike" | "more" | "undecided" => {
  const logs = ratios.map(Math.log)
  const margin = Math.log(1 + LIMITS.equivalence)
  if (logs.length < 5) {
    if (logs.every((log) => Math.abs(log) < margin)) return "alike"
    return logs.every((log) => log > margin) ? "more" : "undecided"
  }
  const fitted = sampleMean(logs)
  if (isEquivalent(fitted, margin)) return "alike"
  const { low } = intervalOf(fitted, 0.9)
  return low !== null && low > margin ? "more" : "undecided"
}

/** Whether two arms do the same, by the ratios of their speed-ups, run by run; null where one of them did not grok. */
export const areAlike = (ratios: Pick<Measured, "perSeed">): boolean | null => {
  const known = values(ratios)
  const isWhole = known.length > 0 && known.length === ratios.perSeed.length
  return isWhole && known.every((ratio) => ratio > 0) ? compareToOne(known) === "alike" : null
}

/** Whether rank 3 does what rank 0 does not. @param ratio speed-up of the arm ÷ that of attention that never moves */
export const readRankZero = (ratio: Measured | undefined): ReadingJudgement => {
  if (ratio === undefined) return untested("attention that never moves was not measured")
  const known = values(ratio)
  const { length } = ratio.perSeed
  if (known.length === 0) {
    return untested(
      "there is no speed-up to divide by: attention that never moves, or the natural run, did not grok",
    )
  }
  if (known.length < length) {
    return {
      verdict: "not-supported",
      because: `attention that never moves, or the natural run, did not grok in ${length - known.length} of ${length} runs`,
    }
  }
  const because = `speed-up ÷ that of attention that never moves: ${spanned(ratio)}`
  if (known.some((value) => value <= 0)) {
    return { verdict: "not-supported", because: `${because}; the arm did not always grok` }
  }
  switch (compareToOne(known)) {
    case "alike":
      return { verdict: "refuted", because: `rank 0 does the same within ±10 %: ${because}` }
    case "more":
      return { verdict: "supported", because: `rank 0 does less: ${because}` }
    default:
      return { verdict: "not-supported", because: `rank 0 does neither the same nor less: ${because}` }
  }
}

/** Whether summing the losses hides the coupling. @param ratio summed ÷ own, time means, by run */
export const readAggregation = (ratio: Measured | undefined): ReadingJudgement => {
  const known = ratio === undefined ? [] : values(ratio)
  if (ratio === undefined || known.length === 0) return untested("summed gradients were not measured")
  const { refuted, supported } = LIMITS.aggregation
  const because = `gradients of the summed loss couple ${spanned(ratio)} times as much as those of the own loss`
  if (known.every((value) => value >= refuted)) return { verdict: "refuted", because }
  return { verdict: known.every((value) => value <= supported) ? "supported" : "not-supported", because }
}

/** Whether updates of several tasks stay at 1 at the other cadence, too. */
export const readCadence = (other: Measured | undefined): ReadingJudgement => {
  const known = other === undefined ? [] : values(other)
  if (other === undefined || known.length === 0) return untested("the other cadence was not measured")
  const because = `at the finer cadence the time mean is ${spanned(other)}`
  return { verdict: known.every((value) => value <= 1) ? "supported" : "not-supported", because }
}

/** Whether what was removed was much of the gradient. @param removed its share of the energy, by run */
export const readRemoval = (removed: Measured | undefined): ReadingJudgement => {
  const known = removed === undefined ? [] : values(removed)
  if (removed === undefined || known.length === 0) return untested("the removed energy was not measured")
  const because = `what was removed held ${spanned(removed)} of the gradient's energy`
  const isMuch = known.every((value) => value >= LIMITS.removedEnergy)
  return { verdict: isMuch ? "supported" : "not-supported", because }
}

/** How a control's value compares with a claim's: a word, never a judgement. */
export const compared = (measured: number | null, control: number | null): string => {
  if (measured === null || control === null || measured <= 0) return "not compared"
  const ratio = control / measured
  return ratio > ALIKE ? "higher" : ratio < 1 / ALIKE ? "lower" : "about as high"
}
