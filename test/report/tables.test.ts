import { assert, describe, it } from "@effect/vitest"
import { fromCSV } from "arquero"
import { Effect, Exit } from "effect"
import { smokeScale } from "../../src/pipelines/paper.ts"
import {
  fromParquet,
  schemas,
  type TableName,
  type Tables,
  tableNames,
  toCsv,
  toParquet,
  toTable,
} from "../../src/report/tables.ts"
import { asPublished, tablesIn } from "./madeUp.ts"

/** Nulls in every column that may hold them, text that CSV has to quote, numbers at the ends of their range. */
const awkward: Pick<Tables, "runs" | "interventions" | "coupling" | "spectra"> = {
  runs: [
    {
      experiment: 'a "quoted", comma\nand line',
      operation: "add",
      seed: 42,
      steps: 8000,
      firstHalf: null,
      firstThreshold: null,
      stopStep: null,
      finalTrainAccuracy: 1,
      finalTestAccuracy: 0.012_345_678_901_234_5,
    },
    {
      experiment: "single",
      operation: "sub",
      seed: 4_294_967_295,
      steps: 3300,
      firstHalf: 2650,
      firstThreshold: 2825,
      stopStep: 3300,
      finalTrainAccuracy: 0.1 + 0.2,
      finalTestAccuracy: 5e-324,
    },
  ],
  interventions: [
    {
      operation: "add",
      seed: 42,
      arm: "control",
      version: null,
      steps: 3300,
      firstHalf: 2650,
      firstThreshold: 2825,
      stopStep: 3300,
      normRatio: null,
      cosine: null,
      energyShare: null,
      removedEnergy: null,
    },
  ],
  coupling: [20, 7].map((rowCount) => ({
    experiment: "single",
    operation: "add",
    seed: 42,
    rows: "update",
    window: "published",
    draw: 0,
    windowRows: 20,
    directions: 3,
    step: 0,
    rowCount,
    meanR: null,
    R1: 3.5,
    R2: null,
    R3: null,
    denominator: 1e-12,
    denominatorIqr: 0,
  })),
  spectra: [],
}

const roundTrip = <Name extends TableName>(name: Name, rows: Tables[Name]) =>
  fromParquet(name, toParquet(name, rows))

describe("tables as Parquet", () => {
  it.effect("come back as they were: nulls, quotes, every digit", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* roundTrip("runs", awkward.runs), awkward.runs)
      assert.deepStrictEqual(yield* roundTrip("interventions", awkward.interventions), awkward.interventions)
      assert.deepStrictEqual(yield* roundTrip("coupling", awkward.coupling), awkward.coupling)
    }),
  )

  it.effect("come back without rows", () =>
    Effect.gen(function* () {
      for (const name of tableNames) assert.deepStrictEqual([...(yield* roundTrip(name, []))], [])
    }),
  )

  it.effect("come back for every table of a reproduction", () =>
    Effect.gen(function* () {
      const tables = yield* tablesIn(asPublished, smokeScale)
      for (const name of tableNames) {
        assert.isAbove(tables[name].length, 0, name)
        assert.strictEqual(
          JSON.stringify(yield* roundTrip(name, tables[name])),
          JSON.stringify(
            tables[name].map((row) =>
              // Columns in the order of the Schema.
              Object.fromEntries(
                Object.keys(schemas[name].fields).map((key) => [key, Reflect.get(row, key)]),
              ),
            ),
          ),
          name,
        )
      }
    }),
  )

  it.effect("are refused where they are another table", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(fromParquet("coupling", toParquet("runs", awkward.runs)))
      assert.isTrue(Exit.isFailure(exit))
    }),
  )

  it("are the same bytes for the same rows", () => {
    const [once, again] = [toParquet("runs", awkward.runs), toParquet("runs", [...awkward.runs])]
    assert.isTrue(Buffer.from(once).equals(Buffer.from(again)))
  })
})

describe("tables as CSV", () => {
  it("have a column for each field, in the order of the Schema, with or without rows", () => {
    for (const name of tableNames) {
      assert.strictEqual(toCsv(name, []), `${Object.keys(schemas[name].fields).join(",")}\n`, name)
      assert.deepStrictEqual(toTable(name, []).columnNames(), Object.keys(schemas[name].fields))
    }
  })

  it("write nulls as nothing, and quote what has to be quoted", () => {
    const lines = toCsv("coupling", awkward.coupling).trimEnd().split("\n")
    assert.deepStrictEqual(lines.slice(1), [
      "single,add,42,update,published,0,20,3,0,20,,3.5,,,1e-12,0",
      "single,add,42,update,published,0,20,3,0,7,,3.5,,,1e-12,0",
    ])
    assert.include(toCsv("runs", awkward.runs), '"a ""quoted"", comma\nand line",add,42,8000,,,,1,')
  })

  it("lose no digit", () => {
    const { experiment: _, ...numbers } = awkward.runs[1]
    const csv = toCsv("runs", [{ ...numbers, experiment: "single" }])
    assert.deepStrictEqual({ ...fromCSV(csv).object(0) }, { experiment: "single", ...numbers })
  })

  it("end with a line break, and print no missing value as a word", () => {
    for (const csv of [toCsv("runs", awkward.runs), toCsv("interventions", awkward.interventions)]) {
      assert.isTrue(csv.endsWith("\n") && !csv.endsWith("\n\n"))
      assert.notMatch(csv, /null|undefined|NaN|Infinity/)
    }
  })
})
