/**
 * When a claim of the paper counts as reproduced. These rules were written down before the full results were
 * seen, apply to every claim of a kind alike, and are printed beside each verdict.
 *
 * - **Magnitude** (coupling ratios; compared by factors, since they are ratios of squared norms over which the
 *   paper itself speaks in orders of magnitude). A published value is *reproduced* when the mean over seeds is
 *   within a factor 1.5 of it, *partly* within a factor 3. A published range is *reproduced* when every seed lies
 *   in it, give or take a factor 1.25, *partly* when the mean lies in it, give or take a factor 3. An upper bound
 *   is *reproduced* when every seed is below it, give or take a factor 1.25, *partly* when the mean is below twice
 *   the bound. Anything else is *contradicted*.
 * - **Speed-up** (steps of the paired control ÷ steps of the arm). Classes: faster from 1.1, slower to 0.9, else
 *   unchanged. *Reproduced* in the published class and within 25 % of the published value; *partly* in the class
 *   alone; *contradicted* in another class. An arm that never gets there has a speed-up of 0, and so has the
 *   (geometric) mean over seeds in one of which it never does: the class is then slower.
 * - **Assertion** (a statement with a threshold). *Reproduced* when every measured case meets it, *partly* when
 *   some do, *contradicted* when none does. Cases that no run yields do not count, and are named.
 *
 * A value that no run yields makes a claim *not-tested*, with the reason; a verdict is about the number alone, and
 * controls may contradict its interpretation: those are claims of their own.
 */
import { Schema } from "effect"

export const Verdict = Schema.Literals(["reproduced", "partly", "contradicted", "not-tested"])
export type Verdict = typeof Verdict.Type

/** What was published: a value, a range, an upper bound, or a statement; and where. */
export const Published = Schema.Union([
  Schema.Struct({ value: Schema.Finite, source: Schema.String }),
  Schema.Struct({ low: Schema.Finite, high: Schema.Finite, source: Schema.String }),
  Schema.Struct({ atMost: Schema.Finite, source: Schema.String }),
  Schema.Struct({ statement: Schema.String, source: Schema.String }),
])
export type Published = typeof Published.Type

export interface Judgement {
  readonly verdict: Verdict
  /** One sentence: which rule, and what met or missed it. */
  readonly because: string
}

/** What a rule judges: the mean over seeds, and each seed's value. */
export interface Measured {
  readonly value: number | null
  readonly perSeed: ReadonlyArray<{ readonly seed: number; readonly value: number | null }>
}

const digits = (x: number): string => (Math.abs(x) >= 100 ? x.toFixed(0) : x.toPrecision(3))

/** How many times larger the larger of two positive numbers is. */
const factor = (a: number, b: number): number => Math.max(a / b, b / a)

const untested: Judgement = { verdict: "not-tested", because: "no run yields a value" }

const values = ({ perSeed }: Measured): ReadonlyArray<number> =>
  perSeed.flatMap(({ value }) => (value === null ? [] : [value]))

export const judgeMagnitude = (published: Published, measured: Measured): Judgement => {
  const { value } = measured
  if (value === null) return untested
  const seeds = values(measured)
  if ("value" in published) {
    if (value <= 0) {
      const because = `mean ${digits(value)} is no positive number, so no factor from ${digits(published.value)}`
      return { verdict: "contradicted", because }
    }
    const off = factor(value, published.value)
    const because = `mean ${digits(value)} is a factor ${off.toFixed(2)} from ${digits(published.value)} (reproduced to 1.5, partly to 3)`
    return { verdict: off <= 1.5 ? "reproduced" : off <= 3 ? "partly" : "contradicted", because }
  }
  if ("low" in published) {
    const { low, high } = published
    const within = (x: number, slack: number) => x >= low / slack && x <= high * slack
    const inside = seeds.filter((x) => within(x, 1.25)).length
    const because = `${inside} of ${seeds.length} seeds in ${digits(low)} – ${digits(high)} give or take 1.25, mean ${digits(value)}`
    if (inside === seeds.length) return { verdict: "reproduced", because }
    return { verdict: within(value, 3) ? "partly" : "contradicted", because }
  }
  if ("atMost" in published) {
    const { atMost } = published
    const below = seeds.filter((x) => x <= atMost * 1.25).length
    const because = `${below} of ${seeds.length} seeds at most ${digits(atMost)} give or take 1.25, mean ${digits(value)}`
    if (below === seeds.length) return { verdict: "reproduced", because }
    return { verdict: value <= atMost * 2 ? "partly" : "contradicted", because }
  }
  return untested
}

type SpeedClass = "faster" | "slower" | "unchanged"

export const speedClass = (speedup: number): SpeedClass =>
  speedup >= 1.1 ? "faster" : speedup <= 0.9 ? "slower" : "unchanged"

export const judgeSpeedup = (published: number, measured: Measured): Judgement => {
  const { value } = measured
  if (value === null) return { verdict: "not-tested", because: "the natural run did not grok" }
  const wanted = speedClass(published)
  const found = speedClass(value)
  const off = Math.abs(value / published - 1)
  const seeds = values(measured)
  const never = seeds.filter((speedup) => speedup === 0).length
  const because =
    value === 0
      ? `never grokked in ${never} of ${seeds.length} seeds, which counts as slower; published ${wanted} at ${published.toFixed(2)}×`
      : `${found} at ${value.toFixed(2)}×; published ${wanted} at ${published.toFixed(2)}× (${Math.round(100 * off)} % off)`
  if (found !== wanted) return { verdict: "contradicted", because }
  return { verdict: off <= 0.25 ? "reproduced" : "partly", because }
}

/** @param cases what was looked at, and whether it meets the assertion; null where no run yields it */
export const judgeAssertion = (
  cases: ReadonlyArray<{ readonly name: string; readonly holds: boolean | null }>,
): Judgement => {
  const tested = cases.filter(({ holds }) => holds !== null)
  if (tested.length === 0) return untested
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
        verdict: "contradicted",
        because: `holds ${n === 1 ? "not in the one case" : `in none of ${n} cases`}: ${named}${rest}`,
      }
    : { verdict: "partly", because: `fails in ${failing.length} of ${n} cases: ${named}${rest}` }
}

/** Judges an assertion by the mean of each case. */
export const judgeEach = (
  cases: ReadonlyArray<readonly [name: string, measured: Measured | undefined]>,
  holds: (x: number) => boolean,
) =>
  judgeAssertion(
    cases.map(([name, measured]) => {
      const value = measured?.value ?? null
      return {
        name: value === null ? name : `${name} ${value >= 100 ? value.toFixed(0) : value.toPrecision(3)}`,
        holds: value === null ? null : holds(value),
      }
    }),
  )

/** What stands beside a claim about gradients, without the update rows that it is compared with. */
export const ofGradients = (beside: Readonly<Record<string, Measured>>) =>
  Object.entries(beside).filter(([name]) => !name.startsWith("update rows"))
