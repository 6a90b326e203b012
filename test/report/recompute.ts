/**
 * Computes the numbers of claims.json again from the CSV files beside it, by their recipes alone. Shares no code with what
 * wrote them: its own reading of CSV, its own means and its own t quantiles.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Recipe, Source } from "../../src/pipelines/recipe.ts"

type Cell = string | null
type Row = Readonly<Record<string, Cell>>

/** The rows of a CSV file whose cells hold no quoted line breaks. */
const readCsv = (file: string): ReadonlyArray<Row> => {
  const [head = "", ...lines] = readFileSync(file, "utf8").trimEnd().split("\n")
  const split = (line: string): ReadonlyArray<Cell> =>
    [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain = ""]) =>
      quoted === undefined ? (plain === "" ? null : plain) : quoted.replaceAll('""', '"'),
    )
  const names = split(head).map(String)
  return lines.map((line) => {
    const cells = split(line)
    return Object.fromEntries(names.map((name, i) => [name, cells[i] ?? null]))
  })
}

interface RunOf {
  readonly seed: number
  readonly operation?: string | undefined
}

/** What is asked for of one quantity in claims.json. */
export interface Quantified {
  readonly recipe: Recipe
  readonly unit: string
  readonly value: number | null
  readonly low: number | null
  readonly high: number | null
  readonly interval?: string | undefined
  readonly n: number
  readonly perSeed: ReadonlyArray<RunOf & { readonly value: number | null }>
}

const average = (values: ReadonlyArray<number>): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** A function that computes a recipe for a run, from the tables of a directory. */
export const recomputing = (directory: string) => {
  const tables = new Map<string, ReadonlyArray<Row>>()
  const tableOf = (name: string): ReadonlyArray<Row> => {
    const known = tables.get(name) ?? readCsv(join(directory, "tables", `${name}.csv`))
    tables.set(name, known)
    return known
  }
  const matches = (row: Row, field: string, wanted: string | number | null): boolean => {
    const cell = row[field] ?? null
    return wanted === null || cell === null ? cell === wanted : cell === String(wanted)
  }
  /** When the run reached the stop rule's accuracy. */
  const grokked = ({ table, where }: Source, { seed, operation }: RunOf): number => {
    const experiment = table === "multitask" ? "multitask" : (where.experiment ?? "single")
    const of = table === "multitask" ? "all" : (operation ?? where.operation ?? "add")
    const run = tableOf("runs").find(
      (row) =>
        matches(row, "experiment", experiment) && matches(row, "operation", of) && matches(row, "seed", seed),
    )
    return run?.firstThreshold == null ? Number.POSITIVE_INFINITY : Number(run.firstThreshold)
  }
  const ofSource = (source: Source, run: RunOf): number | null => {
    const { table, where, column, statistic } = source
    const rows = tableOf(table).filter(
      (row) =>
        matches(row, "seed", run.seed) &&
        (run.operation === undefined || matches(row, "operation", run.operation)) &&
        Object.entries(where).every(([field, wanted]) => matches(row, field, wanted)),
    )
    const known = rows.flatMap((row) => {
      const cell = row[column] ?? null
      return cell === null ? [] : [{ step: Number(row.step), value: Number(cell) }]
    })
    const values = known.map(({ value }) => value)
    const over = (chosen: ReadonlyArray<number>) => (chosen.length === 0 ? null : average(chosen))
    const split = statistic.startsWith("mean") ? grokked(source, run) : 0
    switch (statistic) {
      case "value":
        if (rows.length > 1) throw new Error(`${JSON.stringify(source)} finds ${rows.length} rows`)
        return values[0] ?? null
      case "peak":
        return values.length === 0 ? null : Math.max(...values)
      case "mean":
        return over(values)
      case "meanBefore":
        return over(known.filter(({ step }) => step < split).map(({ value }) => value))
      case "meanAfter":
        return over(known.filter(({ step }) => step >= split).map(({ value }) => value))
      case "shareAboveOne":
        return over(values.map((value) => (value > 1 ? 1 : 0)))
      case "first":
        return known.toSorted((a, b) => a.step - b.step)[0]?.value ?? null
    }
  }
  const of = (recipe: Recipe, run: RunOf): number | null => {
    if ("table" in recipe) return ofSource(recipe, run)
    if ("divide" in recipe) {
      const [above, below] = recipe.divide.map((part) => of(part, run))
      return above === null || below === null || below === 0 ? null : above / below
    }
    if ("speedup" in recipe) {
      const [control, arm] = recipe.speedup.map((part) => of(part, run))
      return control === null ? null : arm === null ? 0 : control / arm
    }
    const parts = recipe.over.map((operation) => of(recipe.of, { ...run, operation }))
    const known = parts.flatMap((part) => (part === null ? [] : [part]))
    if (known.length === 0 || known.length < parts.length) return null
    switch (recipe.combine) {
      case "largest-over-smallest":
        return Math.max(...known) / Math.min(...known)
      case "geometric-mean":
        return Math.exp(average(known.map(Math.log)))
      case "mean":
        return average(known)
    }
  }
  return of
}

/** 97.5 % quantiles of Student's t, from tables. */
const T975: Readonly<Record<number, number>> = {
  1: 12.7062047362,
  2: 4.30265272975,
  3: 3.18244630528,
  4: 2.7764451052,
  5: 2.57058183564,
  6: 2.44691185114,
  7: 2.36462425159,
  8: 2.30600413503,
  9: 2.26215716274,
  10: 2.22813885196,
  11: 2.20098516009,
  15: 2.13144954556,
  23: 2.06865761042,
}

/** Mean and ends of the interval over runs, by the kind that the estimate names. */
export const summary = ({
  unit,
  interval,
  perSeed,
}: Pick<Quantified, "unit" | "interval" | "perSeed">): {
  readonly value: number | null
  readonly low: number | null
  readonly high: number | null
} => {
  const known = perSeed.flatMap(({ value, ...run }) => (value === null ? [] : [{ ...run, value }]))
  if (known.length === 0) return { value: null, low: null, high: null }
  const isLog = unit === "ratio" || unit === "×"
  const xs = known.map(({ value }) => (isLog ? Math.log(value) : value))
  const back = (x: number) => (isLog ? Math.exp(x) : x)
  const centre = average(xs)
  const value = back(centre)
  if (interval === undefined) return { value, low: null, high: null }
  if (interval === "range") {
    return {
      value,
      low: Math.min(...known.map(({ value }) => value)),
      high: Math.max(...known.map(({ value }) => value)),
    }
  }
  const columns = new Set(known.map(({ seed }) => seed)).size
  const rows = new Set(known.map(({ operation }) => operation)).size
  const isPooled = interval === "pooled"
  const effect = (same: (run: RunOf) => boolean) => average(xs.filter((_, i) => same(known[i]))) - centre
  const residuals = xs.map((x, i) => {
    const { seed, operation } = known[i]
    if (!isPooled) return x - centre
    return x - centre - effect((run) => run.seed === seed) - effect((run) => run.operation === operation)
  })
  const degrees = isPooled ? (rows - 1) * (columns - 1) : xs.length - 1
  const variance = residuals.reduce((sum, residual) => sum + residual ** 2, 0) / degrees
  const half = (T975[degrees] ?? Number.NaN) * Math.sqrt(variance / xs.length)
  return { value, low: back(centre - half), high: back(centre + half) }
}

/** How far a number may be off: sums of other order. */
const TOLERANCE = 1e-9

const isClose = (a: number | null, b: number | null): boolean =>
  a === null || b === null ? a === b : Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a), Math.abs(b))

interface Claimed {
  readonly id: string
  readonly recipe: Recipe
  readonly measured: Omit<Quantified, "recipe">
  readonly beside: Readonly<Record<string, Quantified>>
  readonly controls: Readonly<Record<string, Quantified>>
}

/** Every number of the claims that the tables do not give again, in words. */
export const mismatches = (directory: string, rows: ReadonlyArray<Claimed>): ReadonlyArray<string> => {
  const compute = recomputing(directory)
  return rows.flatMap(({ id, recipe, measured, beside, controls }) => {
    const quantities: ReadonlyArray<readonly [string, Quantified]> = [
      [id, { recipe, ...measured }],
      ...Object.entries({ ...beside, ...controls }).map(
        ([name, quantity]) => [`${id}, ${name}`, quantity] as const,
      ),
    ]
    return quantities.flatMap(([name, quantity]) => {
      const runs = quantity.perSeed.flatMap((run) => {
        const again = compute(quantity.recipe, run)
        return isClose(again, run.value)
          ? []
          : [`${name}, ${run.operation ?? ""}/${run.seed}: ${run.value}, tables say ${again}`]
      })
      const { value, low, high } = summary(quantity)
      const isSame =
        isClose(value, quantity.value) && isClose(low, quantity.low) && isClose(high, quantity.high)
      const n = quantity.perSeed.filter(({ value }) => value !== null).length
      return [
        ...runs,
        ...(isSame && n === quantity.n
          ? []
          : [
              `${name}: ${quantity.value} [${quantity.low}, ${quantity.high}], again ${value} [${low}, ${high}]`,
            ]),
      ]
    })
  })
}

interface Measured {
  readonly id: string
  readonly measured: { readonly perSeed: ReadonlyArray<{ readonly value: number | null }> }
}

/** Ids of claims that share the value of every run exactly, which numbers that are measured apart hardly do. */
export const repetitions = (rows: ReadonlyArray<Measured>): ReadonlyArray<ReadonlyArray<string>> => {
  const byValues = Map.groupBy(
    rows.filter(({ measured }) => measured.perSeed.some(({ value }) => value !== null)),
    ({ measured }) => measured.perSeed.map(({ value }) => value).join(),
  )
  return [...byValues.values()].filter((group) => group.length > 1).map((group) => group.map(({ id }) => id))
}
