/** What a declared ablation runs: its cells, each for every seed. Pure; whatever is wrong is found here, before anything runs. */
import { Result, Schema } from "effect"
import type { Comparison, Setting } from "./comparison.ts"
import { combining, Declaration } from "./Declaration.ts"
import type { Measure, Run } from "./Experiment.ts"
import { experiments } from "./experiments.ts"
import { firstIssue, type Tree, valueAt } from "./fields.ts"
import { PAPERS_SEEDS, seedsOf } from "./paper.ts"
import { axesOf, grid, type Settings, zip } from "./Sweep.ts"
import type { Scale } from "./scale.ts"
import { suggest } from "./suggest.ts"

/** More cells than this are taken for a mistake. */
const MOST_CELLS = 1000

/** A declaration cannot be planned. */
export class Misdeclared extends Schema.TaggedError<Misdeclared>()("Misdeclared", {
  /** Where in the declaration. */
  path: Schema.Array(Schema.Union([Schema.String, Schema.Int])),
  message: Schema.String,
}) {}

export interface PlannedCell {
  readonly id: string
  readonly settings: Settings
  readonly isBase: boolean
  readonly runs: ReadonlyArray<{ readonly seed: number; readonly measures: ReadonlyArray<Measure> }>
}

export interface PlannedAblation {
  readonly name: string
  readonly description: string
  readonly scale: Scale
  readonly seeds: ReadonlyArray<number>
  readonly axes: Comparison["axes"]
  /** What all cells have otherwise than the paper, or its scale. */
  readonly set: Settings
  /** As defined for the base; a cell's own sizes count where they vary. */
  readonly metrics: Comparison["metrics"]
  readonly waived: Comparison["waived"]
  readonly cells: ReadonlyArray<PlannedCell>
  /** Of the base, for the first seed. */
  readonly config: Tree
}

const fail = (path: Misdeclared["path"], message: string) => Result.fail(new Misdeclared({ path, message }))

const decode = Schema.decodeUnknownResult(Declaration, { onExcessProperty: "error" })

const fieldNames = Object.keys(Declaration.fields)

const combinationsOf = ({ vary, zip: zipped, list }: Declaration): ReadonlyArray<Settings> => {
  if (vary !== undefined) return grid(vary)
  return zipped === undefined ? (list ?? []) : zip(zipped)
}

/** How many cells there are, without making them. */
const countOf = ({ vary, zip: zipped, list }: Declaration): number => {
  if (vary !== undefined) return Object.values(vary).reduce((count, { length }) => count * length, 1)
  return zipped === undefined ? (list?.length ?? 0) : (Object.values(zipped)[0]?.length ?? 0)
}

/** The last part of a field's name; all of it where two fields end alike. */
const shortNames = (fields: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const last = (field: string) => field.split(".").at(-1) ?? field
  return new Map(
    fields.map((field) => [
      field,
      fields.filter((other) => last(other) === last(field)).length > 1 ? field : last(field),
    ]),
  )
}

/** Where a declaration gives a field its value in a combination. */
const placeOf = (declaration: Declaration, settings: Settings, cell: number, field: string) => {
  const way = combining.find((way) => declaration[way] !== undefined) ?? "vary"
  if (!Object.hasOwn(settings, field)) {
    return Object.hasOwn(declaration.set ?? {}, field) ? ["set", field] : [way]
  }
  if (way === "list") return [way, cell, field]
  return [way, field, declaration[way]?.[field]?.indexOf(settings[field]) ?? 0]
}

const isSeed = (settings: Settings): boolean => Object.hasOwn(settings, "seed")

/** Leaves out waived controls. */
const waiving =
  (waived: Comparison["waived"]) =>
  (measure: Measure): Measure => ({
    ...measure,
    beside: Object.fromEntries(
      Object.entries(measure.beside).filter(([name]) => !Object.hasOwn(waived, name)),
    ),
  })

/** @param set fields changed on the command line, over those of the declaration */
export const planAblation = (
  name: string,
  declared: unknown,
  scale: Scale,
  set: Settings = {},
): Result.Result<PlannedAblation, Misdeclared> =>
  Result.gen(function* () {
    const unknown = Object.keys(Object(declared)).find((key) => !fieldNames.includes(key))
    if (unknown !== undefined) {
      return yield* fail([unknown], `unknown field ${unknown}${suggest(unknown, fieldNames)}`)
    }
    const declaration = yield* Result.mapError(decode(declared), ({ issue }) => {
      const { path, message } = firstIssue(issue, declared)
      return new Misdeclared({ path, message })
    })
    const { base, description, seeds: policy, measure: ids, waive: waived = {} } = declaration
    const experiment = experiments[base]
    const fixed = { ...declaration.set, ...set }
    const count = countOf(declaration)
    if (count > MOST_CELLS)
      return yield* fail([], `Expected at most ${MOST_CELLS} combinations, got ${count}`)
    const combinations = combinationsOf(declaration)
    if (isSeed(fixed) || combinations.some(isSeed)) {
      return yield* fail([], "seed is no setting: say which under seeds")
    }
    const seeds = typeof policy === "number" ? seedsOf(policy) : policy
    const [firstSeed = PAPERS_SEEDS[0]] = seeds
    if (new Set(seeds).size < seeds.length) return yield* fail(["seeds"], "Expected every seed once")

    const found = experiment.at(scale, { ...fixed, seed: firstSeed }, name)
    const reference = yield* Result.mapError(found, ({ field, message }) => {
      return new Misdeclared({ path: placeOf(declaration, {}, 0, field), message: `${field}: ${message}` })
    })
    const known = reference.measures.map(({ id }) => id)
    const strange = ids.findIndex((id) => !known.includes(id))
    if (strange >= 0) {
      const id = ids[strange]
      return yield* fail(["measure", strange], `unknown measure ${id}${suggest(id, known)}`)
    }
    const chosen = ids.flatMap((id) => reference.measures.filter((measure) => measure.id === id))
    const controls = [...new Set(chosen.flatMap(({ beside }) => Object.keys(beside)))]
    for (const control of Object.keys(waived)) {
      if (!controls.includes(control)) {
        return yield* fail(["waive", control], `there is no control ${control}${suggest(control, controls)}`)
      }
    }

    const axes = axesOf(combinations)
    const names = shortNames(Object.keys(axes))
    const runOf = (settings: Settings, cell: number, seed: number, id: string) =>
      experiment.at(scale, { ...fixed, ...settings, seed }, `${id}/${seed}`).pipe(
        Result.mapError(({ field, message }) => {
          const path = placeOf(declaration, settings, cell, field)
          return new Misdeclared({ path, message: `${field}: ${message}` })
        }),
      )
    const measured = ({ measures }: Run) =>
      ids.flatMap((id) => measures.filter((measure) => measure.id === id)).map(waiving(waived))
    const cells: Array<PlannedCell> = []
    for (const [cell, settings] of combinations.entries()) {
      const id = Object.entries(settings)
        .map(([field, value]) => `${names.get(field)}=${value}`)
        .join(" ")
      const runs: Array<PlannedCell["runs"][number]> = []
      for (const seed of seeds) {
        runs.push({ seed, measures: measured(yield* runOf(settings, cell, seed, id)) })
      }
      const isBase = Object.entries(settings).every(
        ([field, value]) => valueAt(reference.config, field) === value,
      )
      cells.push({ id, settings, isBase, runs })
    }
    if (new Set(cells.map(({ id }) => id)).size < cells.length) {
      return yield* fail([], "Expected every combination once")
    }
    return {
      name,
      description,
      scale,
      seeds,
      set: fixed,
      axes: Object.entries(axes).map(
        ([field, values]): { field: string; values: ReadonlyArray<Setting> } => ({
          field,
          values,
        }),
      ),
      metrics: chosen.map(({ id, definition, unit }) => ({ id, definition, unit })),
      waived,
      cells,
      config: reference.config,
    }
  })
