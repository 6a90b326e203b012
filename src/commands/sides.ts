/** What a person names for `diff`: a directory of results, a cell of an ablation, or a stored result. */
import { Effect, FileSystem, Option, Path, Predicate, Schema } from "effect"
import { ClaimRow, type Estimate } from "../pipelines/Claim.ts"
import { type Cell, Comparison } from "../pipelines/comparison.ts"
import { MANIFEST, readManifest } from "../report/manifest.ts"
import { ArtifactStore, type StageRecord } from "../services/ArtifactStore.ts"
import { labelsOf, pastRuns } from "../services/Journal.ts"
import { referencesOf } from "../services/references.ts"
import { sha256 } from "../services/store/canonical.ts"
import { BadInput, suggest } from "./BadInput.ts"
import { candidates } from "./candidates.ts"
import type { Metric, Side } from "./compared.ts"
import { named } from "./named.ts"
import { oneLine } from "./oneLine.ts"

const COMPARISON = "comparison.json"
const CLAIMS = "claims.json"

/** Digest and path of every file of a directory but those that are compared field by field. */
const filesOf = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const files = new Map<string, { readonly digest: string; readonly path: string }>()
  for (const name of (yield* fs.readDirectory(directory, { recursive: true })).toSorted()) {
    const path = join(directory, name)
    if ([MANIFEST, COMPARISON].includes(name) || (yield* fs.stat(path)).type !== "File") continue
    files.set(name, { digest: sha256(yield* fs.readFile(path)), path })
  }
  return files
})

const decodeFile = Effect.fnUntraced(function* <A>(file: string, schema: Schema.ConstraintCodec<A, unknown>) {
  const fs = yield* FileSystem.FileSystem
  return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(yield* fs.readFileString(file))
})

interface WithOthers extends Estimate {
  /** Other definitions and controls. */
  readonly beside: Readonly<Record<string, Estimate>>
}

/** A number, and what stands beside it under names of its own. */
const metricsOf = (id: string, { beside, ...metric }: WithOthers & Metric) => [
  [id, metric] as const,
  ...Object.entries(beside).map(([name, other]) => [`${id} (${name})`, other] as const),
]

const reproduction = Effect.fnUntraced(function* (name: string) {
  const { join } = yield* Path.Path
  const { evidence, config, versions, engine } = yield* readManifest(name)
  const rows = yield* decodeFile(join(name, CLAIMS), Schema.Array(ClaimRow))
  const metrics = rows.flatMap(({ id, measured, number, reading, beside, controls }) =>
    metricsOf(id, {
      ...measured,
      ...(number === null || reading === null ? {} : { verdict: `${number.verdict}, ${reading.verdict}` }),
      beside: { ...beside, ...controls },
    }),
  )
  const made = { evidence, versions, engine }
  const settings = Predicate.isObject(config) ? { ...config, ...made } : made
  const side: Side = {
    name,
    kind: "results of reproduce-all",
    settings,
    metrics: new Map(metrics),
    files: yield* filesOf(name),
  }
  return side
})

const cellMetrics = ({ measured }: Cell, prefix = "") =>
  Object.entries(measured).flatMap(([id, metric]) => metricsOf(`${prefix}${id}`, metric))

const ablation = Effect.fnUntraced(function* (name: string, comparison: Comparison) {
  const { cells, metrics: definitions, description: _, ...settings } = comparison
  const byId = Object.fromEntries(cells.map(({ id, measured: _, ...cell }) => [id, cell]))
  const side: Side = {
    name,
    kind: "an ablation",
    settings: {
      ...settings,
      metrics: Object.fromEntries(definitions.map(({ id, ...metric }) => [id, metric])),
      cells: byId,
    },
    metrics: new Map(cells.flatMap((cell) => cellMetrics(cell, `${cell.id}: `))),
    files: yield* filesOf(name),
  }
  return side
})

const cellOf = Effect.fnUntraced(function* (name: string, comparison: Comparison, id: string) {
  const { cells, config, scale, evidence, seeds } = comparison
  const cell = cells.find((cell) => cell.id === id)
  if (cell === undefined) {
    const ids = cells.map(({ id }) => id)
    return yield* new BadInput({ message: `${name}: there is no cell ${id}${suggest(id, ids)}` })
  }
  const side: Side = {
    name,
    kind: "a cell of an ablation",
    settings: { ...cell.settings, failed: cell.failed, scale, evidence, seeds, config },
    metrics: new Map(cellMetrics(cell)),
    files: new Map(),
  }
  return side
})

/** Numbers of an output, by dotted path; what is an artifact is no number. */
const numbersOf = (value: unknown, path = ""): ReadonlyArray<readonly [string, number | null]> => {
  if (typeof value === "number" || value === null) return [[path, value]]
  if (!Predicate.isObject(value) || "digest" in value) return []
  return Object.entries(value).flatMap(([key, part]) => numbersOf(part, path === "" ? key : `${path}.${key}`))
}

const single = (value: number | null): Metric => ({
  value,
  low: null,
  high: null,
  n: value === null ? 0 : 1,
  unit: "",
  perSeed: [],
})

const storedResult = Effect.fnUntraced(function* (name: string, { stage, preimage, output }: StageRecord) {
  const { pathOf } = yield* ArtifactStore
  const { input, ...rest } = Predicate.isObject(preimage) ? { input: {}, ...preimage } : { input: {} }
  const files = Object.entries(Object(output)).flatMap(([field, value]) =>
    referencesOf(value).map(
      (ref, i, { length }) =>
        [length === 1 ? field : `${field}[${i}]`, { digest: ref.digest, path: pathOf(ref) }] as const,
    ),
  )
  const side: Side = {
    name,
    kind: `a result of ${stage}`,
    settings: { ...(Predicate.isObject(input) ? input : { input }), ...rest },
    metrics: new Map(numbersOf(output).map(([path, value]) => [path, single(value)])),
    files: new Map(files),
  }
  return side
})

/** `directory` and `cell` of `directory:cell`, at each colon that there is. */
const splits = (given: string): ReadonlyArray<readonly [string, string]> =>
  [...given.matchAll(/:/g)].map(({ index }) => [given.slice(0, index), given.slice(index + 1)])

const unreadable = (name: string) =>
  Effect.mapError((error: Error) =>
    error instanceof BadInput ? error : new BadInput({ message: `${name}: ${oneLine(error)}` }),
  )

/** Reads what `given` names. */
export const sideOf = Effect.fn("sideOf")(function* (given: string, directoryOfStore: string) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const has = (directory: string, name: string) => fs.exists(join(directory, name))
  const comparisonIn = (directory: string) => decodeFile(join(directory, COMPARISON), Comparison)
  if (yield* has(given, COMPARISON)) {
    return yield* Effect.flatMap(comparisonIn(given), (found) => ablation(given, found)).pipe(
      unreadable(given),
    )
  }
  if (yield* has(given, MANIFEST)) return yield* reproduction(given).pipe(unreadable(given))
  for (const [directory, cell] of splits(given)) {
    if (!(yield* has(directory, COMPARISON))) continue
    return yield* Effect.flatMap(comparisonIn(directory), (found) => cellOf(given, found, cell)).pipe(
      unreadable(given),
    )
  }
  if (yield* fs.exists(given)) {
    return yield* new BadInput({ message: `${given}: holds neither ${MANIFEST} nor ${COMPARISON}` })
  }
  const { record, records } = yield* ArtifactStore
  const found = yield* named(
    given,
    candidates(yield* records, labelsOf(yield* pastRuns)),
    `neither a directory of results is called so, nor a stored result: ${directoryOfStore}`,
  )
  const stored = yield* record(found.stage, found.key)
  if (Option.isNone(stored)) {
    return yield* new BadInput({ message: `${given} was deleted meanwhile; compute it again` })
  }
  return yield* storedResult(given, stored.value)
})
