/**
 * How long a computation takes, judged by stored ones that are most like it. Pure, and knows no stage: what a computation's
 * cost goes with is declared in a `Law`.
 */
import { median } from "../numerics/statistics.ts"
import type { StageRecord } from "./ArtifactStore.ts"
import { makeNearest, type Sought } from "./nearest.ts"

/** Time goes with `count`; it goes with `size` too, but less than in proportion: small tensors leave a processor half idle. */
export interface Work {
  /** Such as steps, or points. */
  readonly count: number
  /** Operations of one, in any unit. */
  readonly size: number
}

/** What the cost of a stage goes with. Inputs and outputs are encoded, and may be those of other versions. */
export interface Law {
  /** Undefined where it cannot be told. Without it, neighbours cost what they cost. */
  readonly work?: (input: unknown, output: unknown) => Work | undefined
  /** Amount that is stored, in any unit. */
  readonly size?: (input: unknown, output: unknown) => number | undefined
  /** What the output is likely to be, as far as the cost of anything depends on it, judged by a neighbour's, of `before`. */
  readonly likely?: (input: unknown, output: unknown, before: unknown) => unknown
  /** The costliest output that can be. */
  readonly costliest?: (input: unknown, output: unknown) => unknown
  /** Share of the work that is left where a cursor has so many entries. */
  readonly left?: (input: unknown, output: unknown, entries: number) => number
}

export interface Wanted extends Sought {
  /** Of stored computations that are equally near, those that runs call the same tell most. */
  readonly label: string
  readonly input: unknown
  /** Entries that its cursor has. */
  readonly entries: number
}

/** A stored computation, and how many times as much a forecast takes of its time and room. */
export interface Basis {
  readonly record: StageRecord
  readonly times: Span
  readonly room: number
}

/** A number that is not known exactly. */
export interface Span {
  readonly likely: number
  readonly low: number
  readonly high: number
}

export interface Forecast {
  readonly seconds: Span
  /** What it is judged by. */
  readonly basis: ReadonlyArray<Basis>
  /** What its output is likely to be, as far as costs depend on it. */
  readonly output: unknown
}

/** Neighbours that a forecast counts, at most. */
const MOST = 9

const inputOf = ({ preimage }: { readonly preimage: unknown }): unknown => Object(preimage).input

const ratio = (wanted: number | undefined, known: number | undefined): number =>
  wanted === undefined || known === undefined || known <= 0 ? 1 : wanted / known

/** Time goes with size to these powers: from hardly, for the smallest tensors, to in proportion, for the largest. */
const POWERS = { low: 0.4, likely: 0.7, high: 1 }

/** How many times as long one takes as the other. */
const timesOf = (wanted: Work | undefined, known: Work | undefined): Span => {
  const count = ratio(wanted?.count, known?.count)
  const size = ratio(wanted?.size, known?.size)
  const [one, other] = [count * size ** POWERS.low, count * size ** POWERS.high]
  return { likely: count * size ** POWERS.likely, low: Math.min(one, other), high: Math.max(one, other) }
}

const scaled = ({ likely, low, high }: Span, by: number): Span => ({
  likely: likely * by,
  low: low * by,
  high: high * by,
})

/**
 * A function that forecasts computations of a stage from its `records`, newest first. If there are any of `machine`, only
 * these count. `labels` is what runs called each key.
 */
export const makeForecast = (
  records: ReadonlyArray<StageRecord>,
  {
    machine,
    labels,
    law = {},
  }: {
    readonly machine: string
    readonly labels: ReadonlyMap<string, string>
    readonly law?: Law | undefined
  },
) => {
  const here = records.filter(({ provenance }) => provenance.machine === machine)
  const counted = here.length > 0 ? here : records
  const nearest = makeNearest(counted)
  return (wanted: Wanted): Forecast | undefined => {
    const { input, entries, label } = wanted
    const [closest, ...others] = nearest(wanted, ({ key }) => labels.get(key) === label)
    if (closest === undefined) return undefined
    const judge = ({ of: record }: { readonly of: StageRecord }, expect = law.likely) => {
      const output = expect === undefined ? record.output : expect(input, record.output, inputOf(record))
      const times = timesOf(law.work?.(input, output), law.work?.(inputOf(record), record.output))
      const room = ratio(law.size?.(input, output), law.size?.(inputOf(record), record.output))
      const left = entries === 0 ? 1 : (law.left?.(input, output, entries) ?? 1)
      return { record, output, times: scaled(times, left), room: room * left }
    }
    const secondsOf = ({ record, times }: Basis) => scaled(times, record.provenance.seconds)
    const among = (most: number) =>
      [closest, ...others.filter(({ changed }) => changed <= most)].slice(0, MOST)
    const basis = among(closest.changed)
      .filter(({ preferred }) => preferred === closest.preferred)
      .map((each) => judge(each))
    const likely = median(basis.map((each) => secondsOf(each).likely))
    // Those that differ a little more say how much one field can matter.
    const around = among(closest.changed + 1).map((each) => secondsOf(judge(each)))
    const costliest = law.costliest === undefined ? [] : [secondsOf(judge(closest, law.costliest))]
    return {
      seconds: {
        likely,
        low: Math.min(likely, ...around.map(({ low }) => low)),
        high: Math.max(likely, ...[...around, ...costliest].map(({ high }) => high)),
      },
      basis,
      output: basis[0].output,
    }
  }
}
