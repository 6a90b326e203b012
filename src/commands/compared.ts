/** Two results of one kind side by side, as data. Pure. */
import { Schema } from "effect"
import { Estimate } from "../pipelines/Claim.ts"
import { differences } from "../services/differences.ts"

const Metric = Schema.Struct({ ...Estimate.fields, verdict: Schema.optionalKey(Schema.String) })
export type Metric = typeof Metric.Type

/** One of the two, whatever kind it is of. */
export interface Side {
  /** As the person named it. */
  readonly name: string
  readonly kind: string
  /** What it was made with. */
  readonly settings: unknown
  readonly metrics: ReadonlyMap<string, Metric>
  readonly files: ReadonlyMap<string, { readonly digest: string; readonly path: string }>
}

/** What `diff --json` prints. What only one of the two has is null, or a missing field, in the other. */
export const Compared = Schema.Struct({
  kind: Schema.String,
  a: Schema.String,
  b: Schema.String,
  same: Schema.Boolean,
  settings: Schema.Array(
    Schema.Struct({
      path: Schema.String,
      a: Schema.optionalKey(Schema.Unknown),
      b: Schema.optionalKey(Schema.Unknown),
    }),
  ),
  metrics: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      a: Schema.NullOr(Metric),
      b: Schema.NullOr(Metric),
      /** b - a; null where one has no value. */
      difference: Schema.NullOr(Schema.Finite),
      /** Whether the intervals overlap; null where one has none. */
      overlap: Schema.NullOr(Schema.Boolean),
    }),
  ),
  /** Where to find both of each file whose bytes differ. */
  files: Schema.Array(
    Schema.Struct({ name: Schema.String, a: Schema.NullOr(Schema.String), b: Schema.NullOr(Schema.String) }),
  ),
})
export type Compared = typeof Compared.Type

const names = (a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): ReadonlyArray<string> => [
  ...new Set([...a.keys(), ...b.keys()]),
]

const differenceOf = (a: Metric | undefined, b: Metric | undefined): number | null =>
  a === undefined || b === undefined || a.value === null || b.value === null ? null : b.value - a.value

const overlapOf = (a: Metric | undefined, b: Metric | undefined): boolean | null => {
  if (a === undefined || b === undefined) return null
  if (a.low === null || a.high === null || b.low === null || b.high === null) return null
  return a.low <= b.high && b.low <= a.high
}

export const compare = (a: Side, b: Side): Compared => {
  const settings = differences(a.settings, b.settings).map(({ path, before, after }) => ({
    path,
    ...(before === undefined ? {} : { a: before }),
    ...(after === undefined ? {} : { b: after }),
  }))
  const metrics = names(a.metrics, b.metrics).flatMap((id) => {
    const [before, after] = [a.metrics.get(id), b.metrics.get(id)]
    if (differences(before, after).length === 0) return []
    return [
      {
        id,
        a: before ?? null,
        b: after ?? null,
        difference: differenceOf(before, after),
        overlap: overlapOf(before, after),
      },
    ]
  })
  const files = names(a.files, b.files).flatMap((name) => {
    const [before, after] = [a.files.get(name), b.files.get(name)]
    if (before?.digest === after?.digest) return []
    return [{ name, a: before?.path ?? null, b: after?.path ?? null }]
  })
  const same = settings.length + metrics.length + files.length === 0
  return { kind: a.kind, a: a.name, b: b.name, same, settings, metrics, files }
}
