/** A plan: what a run would find and compute, by stage, and what that would take. */
import { Effect, Schema } from "effect"
import { median } from "../numerics/statistics.ts"
import { type Group, groupOf, typicalSeconds } from "../pipelines/costs.ts"
import { sources } from "../pipelines/derive.ts"
import { scales } from "../pipelines/scale.ts"
import type { Surveyed } from "../pipelines/survey.ts"
import type { StageRecord } from "../services/ArtifactStore.ts"
import type { Forecast } from "../services/forecast.ts"
import { reachableFrom, referencesOf } from "../services/references.ts"
import { beginning, makespan } from "../services/schedule.ts"
import type { Foreseen } from "./foresee.ts"

/** Seconds; `low` and `high` from stored runs that differ a little more, and from a training that ends at its last step. */
const Span = Schema.Struct({ likely: Schema.Finite, low: Schema.Finite, high: Schema.Finite })
type Span = typeof Span.Type

const OfStage = Schema.Struct({
  stage: Schema.String,
  cached: Schema.Int,
  /** At most, where some have no key before others are computed. */
  toRun: Schema.Int,
  /** Of all of them, one after another; null without history of the stage. */
  seconds: Schema.NullOr(Span),
  /** Of one, on the average. */
  secondsEach: Schema.NullOr(Schema.Finite),
  /** That the store grows by. */
  bytes: Schema.Int,
})

/** What `plan --json` prints. */
export const Plan = Schema.Struct({
  pipeline: Schema.String,
  scale: Schema.Literals(scales),
  set: Schema.Array(Schema.String),
  store: Schema.String,
  workers: Schema.Int,
  cached: Schema.Int,
  toRun: Schema.Int,
  /** Whether some of these may be found after all, once what they depend on is computed. */
  atMost: Schema.Boolean,
  /** Those to run, by what they are. */
  groups: Schema.Struct({
    trainings: Schema.Int,
    interventions: Schema.Int,
    dataSets: Schema.Int,
    analyses: Schema.Int,
  }),
  /** In the order of the paper's method. */
  stages: Schema.Array(OfStage),
  /** From start to end with that many workers; what has no history is not counted. */
  seconds: Span,
  bytes: Schema.Int,
  /** Stages to run that the store has no history of. */
  withoutHistory: Schema.Array(Schema.String),
})
export type Plan = typeof Plan.Type

interface Planned extends Surveyed {
  readonly forecast: Forecast | undefined
}

/** Bytes of everything that a record leads to; of what it names alone where something on the way is damaged. */
const sizeOf = ({ output }: StageRecord) =>
  reachableFrom(output).pipe(
    Effect.catchTag("DamagedArtifact", () => Effect.succeed(referencesOf(output))),
    Effect.map((references) => references.reduce((sum, { bytes }) => sum + bytes, 0)),
  )

const bytesOf = Effect.fnUntraced(function* (
  forecast: Forecast | undefined,
  known: Map<StageRecord, number>,
) {
  if (forecast === undefined) return 0
  const sizes = yield* Effect.forEach(
    forecast.basis,
    Effect.fnUntraced(function* ({ record, room }) {
      const size = known.get(record) ?? (yield* sizeOf(record))
      known.set(record, size)
      return size * room
    }),
  )
  return Math.round(median(sizes))
})

const sum = (values: ReadonlyArray<number>): number => values.reduce((total, value) => total + value, 0)

const spanOf = (of: (which: (forecast: Forecast) => number) => number): Span => ({
  likely: of(({ seconds }) => seconds.likely),
  low: of(({ seconds }) => seconds.low),
  high: of(({ seconds }) => seconds.high),
})

/** From start to end, with what a run takes beside its stages. */
const wallTime = (
  computations: ReadonlyArray<Planned>,
  { history: { overhead }, starting }: Pick<Foreseen, "history" | "starting">,
  workers: number,
): Span => {
  const places = new Map(computations.map(({ identity }, place) => [identity, place]))
  const identities = new Map(computations.map(({ node, identity }) => [node, identity]))
  const after = computations.map(({ node }) =>
    node.upstream.flatMap(sources).flatMap((source) => places.get(identities.get(source) ?? "") ?? []),
  )
  const typical = computations.map(({ node }, place) => ({
    seconds: typicalSeconds[node.stage] ?? 0,
    after: after[place],
  }))
  const order = beginning(typical, workers)
  const ranks = new Map(order.map((place, rank) => [place, rank]))
  return spanOf((which) => {
    const jobs = order.map((place) => {
      const { forecast } = computations[place]
      return {
        seconds: forecast === undefined ? 0 : which(forecast) + overhead.each,
        after: after[place].flatMap((i) => ranks.get(i) ?? []),
      }
    })
    return starting + makespan(jobs, { workers, starting: overhead.starting })
  })
}

export const planOf = Effect.fn("planOf")(function* (foreseen: Foreseen, workers: number) {
  const { surveyed, forecasts } = foreseen
  // Nodes of the same stage and input are one computation.
  const unique = [...new Map(surveyed.map((one) => [one.identity, one])).values()]
  const computations = unique
    .filter(({ state }) => state._tag !== "Found")
    .map((one): Planned => ({ ...one, forecast: forecasts.get(one.node) }))
  const sizes = new Map<StageRecord, number>()
  const bytes = new Map(
    yield* Effect.forEach(computations, (one) =>
      Effect.map(bytesOf(one.forecast, sizes), (size): readonly [Planned, number] => [one, size]),
    ),
  )
  const stages = [...Map.groupBy(unique, ({ node }) => node.stage)].map(([stage, ofStage]) => {
    const toRun = computations.filter(({ node }) => node.stage === stage)
    const known = toRun.flatMap(({ forecast }) => forecast ?? [])
    const seconds = known.length === 0 ? null : spanOf((which) => sum(known.map(which)))
    return {
      stage,
      cached: ofStage.length - toRun.length,
      toRun: toRun.length,
      seconds,
      secondsEach: seconds === null ? null : seconds.likely / known.length,
      bytes: sum(toRun.map((one) => bytes.get(one) ?? 0)),
    }
  })
  const count = (group: Group) => computations.filter(({ node }) => groupOf(node.stage) === group).length
  return {
    workers,
    cached: unique.length - computations.length,
    toRun: computations.length,
    atMost: computations.some(({ state }) => state._tag === "Awaiting"),
    groups: {
      trainings: count("training"),
      interventions: count("intervention"),
      dataSets: count("data set"),
      analyses: count("analysis"),
    },
    stages,
    seconds: wallTime(computations, foreseen, workers),
    bytes: sum([...bytes.values()]),
    withoutHistory: stages
      .filter(({ toRun, seconds }) => toRun > 0 && seconds === null)
      .map(({ stage }) => stage),
  }
})
