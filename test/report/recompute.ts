/**
 * Computes the numbers of a reproduction again from its CSV files alone, by code of its own: nothing here is imported from
 * the code that made them. What a recipe means stands in src/pipelines/recipe.ts.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

type Cells = Readonly<Record<string, string>>
type Tables = ReadonlyMap<string, ReadonlyArray<Cells>>

interface Run {
  readonly seed: number
  readonly operation?: string
}
interface RunValue extends Run {
  readonly value: number | null
}

/** A quantity as claims.json has it. */
export interface Stated {
  readonly value: number | null
  readonly low: number | null
  readonly high: number | null
  readonly interval?: string
  readonly n: number
  readonly unit: string
  readonly perSeed: ReadonlyArray<RunValue>
  readonly test?: { readonly p: number; readonly attainable: number }
}

interface Source {
  readonly table: string
  readonly where: Readonly<Record<string, string | number | null>>
  readonly column: string
  readonly statistic: string
}
export type Recipe =
  | Source
  | { readonly divide: readonly [Recipe, Recipe] }
  | { readonly speedup: readonly [Recipe, Recipe] }
  | { readonly over: ReadonlyArray<string>; readonly combine: string; readonly of: Recipe }

export interface Row {
  readonly id: string
  readonly measured: Stated
  readonly recipe?: Recipe
  readonly beside: Readonly<Record<string, Stated & { readonly recipe: Recipe }>>
  readonly controls?: Readonly<Record<string, Stated & { readonly recipe: Recipe }>>
  /** What should stand beside it and was not measured. */
  readonly missing?: ReadonlyArray<{ readonly name: string }>
}

/** The fields of a line of CSV. */
const fieldsOf = (line: string): ReadonlyArray<string> => {
  const fields: Array<string> = []
  let field = ""
  let isQuoted = false
  for (let i = 0; i < line.length; i += 1) {
    const c = line[i]
    if (isQuoted && c === '"' && line[i + 1] === '"') {
      field += '"'
      i += 1
    } else if (c === '"') isQuoted = !isQuoted
    else if (c === "," && !isQuoted) {
      fields.push(field)
      field = ""
    } else field += c
  }
  return [...fields, field]
}

/** The rows of a CSV text whose fields hold no line breaks. */
export const parseCsv = (text: string): ReadonlyArray<Cells> => {
  const [header, ...lines] = text.split("\n").filter((line) => line !== "")
  const names = fieldsOf(header)
  return lines.map((line) => {
    const fields = fieldsOf(line)
    if (fields.length !== names.length) throw new Error(`${fields.length} fields of ${names.length}: ${line}`)
    return Object.fromEntries(names.map((name, i) => [name, fields[i]]))
  })
}

/** The tables of a directory that a reproduction wrote. */
export const readTables = (directory: string): Tables =>
  new Map(
    readdirSync(join(directory, "tables"))
      .filter((name) => name.endsWith(".csv"))
      .map((name) => [
        name.slice(0, -".csv".length),
        parseCsv(readFileSync(join(directory, "tables", name), "utf8")),
      ]),
  )

const numberOf = (cell: string): number => {
  const value = Number(cell)
  if (cell === "" || !Number.isFinite(value)) throw new Error(`“${cell}” is no number`)
  return value
}

const isCell = (cell: string | undefined, wanted: string | number | null): boolean => {
  if (cell === undefined) throw new Error("there is no such column")
  if (wanted === null) return cell === ""
  return typeof wanted === "number" ? cell !== "" && Number(cell) === wanted : cell === wanted
}

const matching = (tables: Tables, name: string, where: Source["where"]): ReadonlyArray<Cells> => {
  const rows = tables.get(name)
  if (rows === undefined) throw new Error(`there is no table ${name}`)
  return rows.filter((row) => Object.entries(where).every(([column, wanted]) => isCell(row[column], wanted)))
}

/** The step that parts before from after: null where the run never got there. */
const partingStep = (tables: Tables, { table, where }: Source, run: Run): number | null => {
  const own = table === "coupling" ? { experiment: where.experiment ?? null } : { experiment: "single" }
  const operation = run.operation ?? where.operation ?? "add"
  const whose = table === "multitask" ? { experiment: "multitask", operation: "all" } : { ...own, operation }
  const rows = matching(tables, "runs", { ...whose, seed: run.seed })
  if (rows.length !== 1) throw new Error(`${rows.length} rows of runs for ${JSON.stringify(whose)}`)
  const [{ firstThreshold }] = rows
  return firstThreshold === "" ? null : numberOf(firstThreshold)
}

const average = (values: ReadonlyArray<number>): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length

const ofSource = (tables: Tables, source: Source, run: Run): number | null => {
  const { table, column, statistic } = source
  const rows = matching(tables, table, { ...source.where, ...run })
  if (rows.length === 0) throw new Error(`no rows of ${table} for ${JSON.stringify({ ...source, ...run })}`)
  if (rows.some((row) => row[column] === undefined)) throw new Error(`${table} has no column ${column}`)
  if (statistic === "value") {
    if (rows.length !== 1) throw new Error(`${rows.length} rows of ${table} where there should be one`)
    return rows[0][column] === "" ? null : numberOf(rows[0][column])
  }
  // A step that is there twice is two series taken for one.
  const isSeries = rows.every(({ step }) => step !== undefined)
  if (isSeries && new Set(rows.map(({ step }) => step)).size < rows.length) {
    throw new Error(`several series of ${table} for ${JSON.stringify({ ...source, ...run })}`)
  }
  const points = rows
    .filter((row) => row[column] !== "")
    .map((row) => ({ step: numberOf(row.step), value: numberOf(row[column]) }))
    .sort((a, b) => a.step - b.step)
  const all = points.map(({ value }) => value)
  switch (statistic) {
    case "peak":
      return all.length === 0 ? null : Math.max(...all)
    case "mean":
      return average(all)
    case "shareAboveOne":
      return all.length === 0 ? null : all.filter((value) => value > 1).length / all.length
    case "first":
      return all[0] ?? null
    case "meanBefore":
    case "meanAfter": {
      const parting = partingStep(tables, source, run) ?? Number.POSITIVE_INFINITY
      const isIn = (step: number) => (statistic === "meanBefore" ? step < parting : step >= parting)
      return average(points.filter(({ step }) => isIn(step)).map(({ value }) => value))
    }
    default:
      throw new Error(`what is ${statistic}?`)
  }
}

/** What a recipe makes of the tables for one run; null where the run has no such number. */
export const compute = (tables: Tables, recipe: Recipe, run: Run): number | null => {
  if ("divide" in recipe) {
    const [above, below] = recipe.divide.map((one) => compute(tables, one, run))
    return above === null || below === null || below === 0 ? null : above / below
  }
  if ("speedup" in recipe) {
    const [control, arm] = recipe.speedup.map((one) => compute(tables, one, run))
    if (control === null) return null
    return arm === null ? 0 : control / arm
  }
  if ("over" in recipe) {
    const values = recipe.over.map((operation) => compute(tables, recipe.of, { ...run, operation }))
    const known = values.filter((value) => value !== null)
    if (known.length === 0 || known.length < values.length) return null
    if (recipe.combine === "largest-over-smallest") return Math.max(...known) / Math.min(...known)
    if (recipe.combine === "geometric-mean") return known.reduce((a, b) => a * b, 1) ** (1 / known.length)
    return average(known)
  }
  return ofSource(tables, recipe, run)
}

/** ∫ cos^k from 0 to `to`, by Simpson's rule. */
const cosineIntegral = (k: number, to: number): number => {
  const n = 20_000
  let sum = 0
  for (let i = 0; i <= n; i += 1) {
    const weight = i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2
    sum += weight * Math.cos((to * i) / n) ** k
  }
  return (sum * to) / n / 3
}

const quantiles = new Map<number, number>()

/** The 0.975 quantile of Student's t: with t = √ν tan θ its density is that of cos^(ν−1) θ. */
export const t975 = (degrees: number): number => {
  const known = quantiles.get(degrees)
  if (known !== undefined) return known
  const half = cosineIntegral(degrees - 1, Math.PI / 2)
  let [low, high] = [0, Math.PI / 2]
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2
    if (cosineIntegral(degrees - 1, middle) / half / 2 + 0.5 < 0.975) low = middle
    else high = middle
  }
  const t = Math.sqrt(degrees) * Math.tan((low + high) / 2)
  quantiles.set(degrees, t)
  return t
}

const sumOfSquares = (values: ReadonlyArray<number>): number =>
  values.reduce((sum, value) => sum + value * value, 0)

/** Half the 95 % interval of the mean of a full table, from the sums of squares of its two-way analysis; else undefined. */
const pooledHalf = (
  runs: ReadonlyArray<{ readonly seed: number; readonly operation?: string; readonly y: number }>,
): number | undefined => {
  const operations = [...new Set(runs.map(({ operation }) => operation))]
  const seeds = [...new Set(runs.map(({ seed }) => seed))]
  const degrees = (operations.length - 1) * (seeds.length - 1)
  const isFull = operations.every((operation) =>
    seeds.every(
      (seed) => runs.filter((run) => run.operation === operation && run.seed === seed).length === 1,
    ),
  )
  if (runs.some(({ operation }) => operation === undefined) || degrees === 0 || !isFull) return undefined
  const centre = runs.reduce((sum, { y }) => sum + y, 0) / runs.length
  const centred = runs.map((run) => ({ ...run, y: run.y - centre }))
  const meanOf = (some: typeof centred) => some.reduce((sum, { y }) => sum + y, 0) / some.length
  const total = sumOfSquares(centred.map(({ y }) => y))
  const byOperation = operations.map((one) => meanOf(centred.filter(({ operation }) => operation === one)))
  const bySeed = seeds.map((one) => meanOf(centred.filter(({ seed }) => seed === one)))
  const rest = total - seeds.length * sumOfSquares(byOperation) - operations.length * sumOfSquares(bySeed)
  return t975(degrees) * Math.sqrt(Math.max(0, rest) / degrees / runs.length)
}

/** Every sum of numbers with either sign. */
const signedSums = ([first, ...rest]: ReadonlyArray<number>): ReadonlyArray<number> =>
  first === undefined ? [0] : signedSums(rest).flatMap((sum) => [sum + first, sum - first])

/** What a quantity is, of the values of its runs. */
export const estimateOf = (unit: string, perSeed: ReadonlyArray<RunValue>): Omit<Stated, "perSeed"> => {
  const known = perSeed.flatMap(({ value, ...run }) => (value === null ? [] : [{ ...run, value }]))
  const values = known.map(({ value }) => value)
  const n = values.length
  const isLog = unit === "ratio" || unit === "×"
  const ys = isLog ? values.map((value) => Math.log(value)) : values
  const back = (y: number) => (isLog ? Math.exp(y) : y)
  const centre = average(ys)
  const base = { value: centre === null ? null : back(centre), low: null, high: null, n, unit }
  if (centre === null || n < 2 || ys.some((y) => y === Number.NEGATIVE_INFINITY)) return base
  if (n < 5) return { ...base, low: Math.min(...values), high: Math.max(...values), interval: "range" }
  const pooled =
    unit === "ratio"
      ? pooledHalf(known.map(({ value, ...run }) => ({ ...run, y: Math.log(value) })))
      : undefined
  const spread = Math.sqrt(sumOfSquares(ys.map((y) => y - centre)) / (n - 1) / n)
  const half = pooled ?? t975(n - 1) * spread
  const ends = {
    low: back(centre - half),
    high: back(centre + half),
    interval: pooled === undefined ? "t" : "pooled",
  }
  if (unit !== "×") return { ...base, ...ends }
  // A value of exactly 1 says nothing about which way.
  const logs = ys.filter((y) => y !== 0)
  if (logs.length > 20) throw new Error("more pairs than can be enumerated")
  const sums = signedSums(logs).map(Math.abs)
  const observed = Math.abs(logs.reduce((sum, y) => sum + y, 0))
  // Sums that differ by rounding alone are equally far.
  const rounding = 1e-11 * logs.reduce((sum, y) => sum + Math.abs(y), 0)
  const hits = sums.filter((sum) => sum >= observed - rounding).length
  return {
    ...base,
    ...ends,
    test: { p: hits / sums.length, attainable: Math.min(1, 2 / 2 ** logs.length) },
  }
}

type Figure = number | null | undefined

/** CSV files hold every digit of a double, so only the order of additions differs. */
const TOLERANCE = 1e-9

const isClose = (a: Figure, b: Figure): boolean =>
  typeof a === "number" && typeof b === "number"
    ? Math.abs(a - b) <= TOLERANCE * Math.max(Math.abs(a), Math.abs(b))
    : (a ?? null) === (b ?? null)

const quantitiesOf = (row: Row) => [
  { name: row.id, stated: row.measured, recipe: row.recipe },
  ...[row.beside, row.controls ?? {}].flatMap((quantities) =>
    Object.entries(quantities).map(([name, one]) => ({
      name: `${row.id}, ${name}`,
      stated: one,
      recipe: one.recipe,
    })),
  ),
]

/** What the tables do not give again of one quantity, in words. */
const mismatchesOf = (
  tables: Tables,
  { name, stated, recipe }: ReturnType<typeof quantitiesOf>[number],
): ReadonlyArray<string> => {
  if (recipe === undefined) return [`${name}: there is no recipe`]
  const differing = (what: string, given: Figure, found: Figure) =>
    isClose(given, found) ? [] : [`${name}, ${what}: ${given}, the tables say ${found}`]
  const found = estimateOf(stated.unit, stated.perSeed)
  return [
    ...stated.perSeed.flatMap(({ value, ...run }) => {
      const of = `${run.operation ?? ""}/${run.seed}`
      try {
        return differing(of, value, compute(tables, recipe, run))
      } catch (error) {
        return [`${name}, ${of}: ${error instanceof Error ? error.message : error}`]
      }
    }),
    ...(["value", "low", "high", "n"] as const).flatMap((key) => differing(key, stated[key], found[key])),
    ...(stated.interval === found.interval
      ? []
      : [`${name}: its interval is called ${stated.interval}, and is ${found.interval}`]),
    ...differing("p", stated.test?.p, found.test?.p),
    ...differing("attainable p", stated.test?.attainable, found.test?.attainable),
  ]
}

/** Every number of claims that the tables do not give again, in words. */
export const mismatches = (tables: Tables, rows: ReadonlyArray<Row>): ReadonlyArray<string> =>
  rows.flatMap(quantitiesOf).flatMap((quantity) => mismatchesOf(tables, quantity))

/** The rows of a directory that a reproduction wrote, as JSON has them. */
export const readRows = (directory: string): ReadonlyArray<Row> =>
  JSON.parse(readFileSync(join(directory, "claims.json"), "utf8"))

/** Groups of claims that share the value of every run exactly, which what is measured apart hardly does. */
export const repetitions = (
  rows: ReadonlyArray<{ readonly id: string; readonly measured: Pick<Stated, "perSeed"> }>,
): ReadonlyArray<ReadonlyArray<string>> => {
  const known = rows.filter(({ measured }) => measured.perSeed.some(({ value }) => value !== null))
  const byValues = Map.groupBy(known, ({ measured }) =>
    measured.perSeed
      .map(({ seed, operation, value }) => `${operation}/${seed} ${value}`)
      .sort()
      .join("; "),
  )
  return [...byValues.values()].filter((group) => group.length > 1).map((group) => group.map(({ id }) => id))
}
