import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import {
  compute,
  estimateOf,
  mismatches,
  parseCsv,
  type Recipe,
  type Row,
  readRows,
  readTables,
  repetitions,
  t975,
} from "./recompute.ts"

const paper = join(import.meta.dirname, "../../artifacts/paper")

describe("artifacts/paper/claims.json", () => {
  const rows = readRows(paper)

  it("says of every number where in the tables it is found", () => {
    const without = rows.filter(({ recipe }) => recipe === undefined).map(({ id }) => id)
    assert.deepStrictEqual(
      without,
      [],
      "written before numbers had recipes: run `pnpm pipeline reproduce-all` again",
    )
  })

  // Until the run that is committed has ended: then its evidence does not say so any more, and these tests run.
  const isWhole = !readFileSync(join(paper, "manifest.json"), "utf8").includes("the run is under way")

  it.runIf(isWhole)("has measured everything: what has not run cannot be compared", () => {
    const absent = rows.flatMap(({ id, measured, missing = [] }) => [
      ...(measured.perSeed.length === 0 ? [id] : []),
      ...missing.map(({ name }) => `${id}, ${name}`),
    ])
    assert.deepStrictEqual(absent, [], "written before all stages had run: run `pnpm pipeline reproduce-all`")
  })

  it("is what the CSV files say: every run of every number, its mean, its interval and its test", () => {
    assert.deepStrictEqual(mismatches(readTables(paper), rows), [])
  })

  it("repeats no row exactly among rows that should differ", () => {
    for (const pattern of [
      /^coupling\.window\.add\./,
      /^coupling\.epsilon\.add\./,
      /^coupling\.single\..*\.peak$/,
      /^coupling\.per-example\./,
      /within-5-percent$/,
      /^coupling\.multitask\./,
    ]) {
      const some = rows.filter(({ id }) => pattern.test(id))
      const known = some.filter(({ measured }) => measured.value !== null)
      if (isWhole) assert.isAbove(known.length, 1, `${pattern}: nothing to compare`)
      assert.deepStrictEqual(repetitions(some), [], String(pattern))
    }
  })
})

describe("a search for repetitions", () => {
  const row = (id: string, ...values: ReadonlyArray<number | null>) => ({
    id,
    measured: { perSeed: values.map((value, seed) => ({ seed, value })) },
  })

  it("finds rows that share all values, and no others", () => {
    const rows = [
      row("a", 162, 132),
      row("b", 162, 132),
      row("c", 162, 133),
      row("d", 162),
      row("e", 132, 162),
    ]
    assert.deepStrictEqual(repetitions(rows), [["a", "b"]])
  })

  it("does not take rows without values for one another", () => {
    assert.deepStrictEqual(repetitions([row("a"), row("b"), row("c", null), row("d", null)]), [])
  })
})

const tables = new Map(
  Object.entries({
    coupling: `experiment,operation,seed,rows,draw,step,meanR
single,add,1,update,0,0,
single,add,1,update,0,100,2
single,add,1,update,0,200,0.5
single,add,1,update,0,300,5
single,mul,1,update,0,0,4
single,mul,1,update,0,300,1
single,add,1,gradient,0,100,30
single,add,1,gradient,1,100,40
`,
    runs: `experiment,operation,seed,firstThreshold
single,add,1,200
single,mul,1,
multitask,all,1,100
`,
    multitask: `operation,seed,step,meanR
add,1,0,3
add,1,100,7
`,
    arms: `operation,seed,arm,version,stopStep
add,1,control,,3000
add,1,keep,gradient,1500
add,1,keep,update,
add,2,control,,
add,2,keep,gradient,1500
`,
    quoted: `name,seed,value
"a, ""b""",1,3
`,
  }).map(([name, text]) => [name, parseCsv(text)] as const),
)

describe("a recipe", () => {
  const of = (recipe: Recipe, operation?: string, seed = 1) =>
    compute(tables, recipe, { seed, ...(operation === undefined ? {} : { operation }) })
  const updates = (statistic: string) =>
    of(
      {
        table: "coupling",
        where: { experiment: "single", rows: "update", draw: 0 },
        column: "meanR",
        statistic,
      },
      "add",
    )

  it("summarises a series, without its empty cells", () => {
    assert.strictEqual(updates("peak"), 5)
    assert.strictEqual(updates("mean"), 2.5)
    assert.strictEqual(updates("shareAboveOne"), 2 / 3)
    assert.strictEqual(updates("first"), 2)
  })

  it("parts before from after at the first step at which the run reached the stop rule's accuracy", () => {
    assert.strictEqual(updates("meanBefore"), 2)
    assert.strictEqual(updates("meanAfter"), 2.75)
    const ofMul = (statistic: string) =>
      of(
        { table: "coupling", where: { experiment: "single", rows: "update" }, column: "meanR", statistic },
        "mul",
      )
    assert.strictEqual(ofMul("meanBefore"), 2.5)
    assert.isNull(ofMul("meanAfter"))
    const together = (statistic: string) =>
      of({ table: "multitask", where: { operation: "add" }, column: "meanR", statistic })
    assert.deepStrictEqual([together("meanBefore"), together("meanAfter")], [3, 7])
  })

  it("that finds two series where there should be one is an error, and so is one that finds none", () => {
    const gradients = (draw: object): Recipe => ({
      table: "coupling",
      where: { operation: "add", rows: "gradient", ...draw },
      column: "meanR",
      statistic: "peak",
    })
    assert.throws(() => of(gradients({})), /several series/)
    assert.throws(() => of(gradients({ draw: 2 })), /no rows/)
    assert.throws(() => of(gradients({ drawn: 2 })), /no such column/)
    assert.strictEqual(of(gradients({ draw: 1 })), 40)
  })

  it("of a speed-up is 0 where the arm never got there, and nothing where the control did not", () => {
    const speedup = (version: string, seed = 1) => {
      const source = (arm: string, version: string | null) =>
        ({
          table: "arms",
          where: { operation: "add", arm, version },
          column: "stopStep",
          statistic: "value",
        }) as const
      return of({ speedup: [source("control", null), source("keep", version)] }, undefined, seed)
    }
    assert.strictEqual(speedup("gradient"), 2)
    assert.strictEqual(speedup("update"), 0)
    assert.isNull(speedup("gradient", 2))
  })

  it("is combined over operations", () => {
    const over = (combine: string) =>
      of({
        over: ["add", "mul"],
        combine,
        of: {
          table: "coupling",
          where: { experiment: "single", rows: "update" },
          column: "meanR",
          statistic: "peak",
        },
      })
    assert.strictEqual(over("largest-over-smallest"), 5 / 4)
    assert.closeTo(over("geometric-mean") ?? Number.NaN, Math.sqrt(20), 1e-12)
    assert.strictEqual(over("mean"), 4.5)
  })

  it("reads quoted cells", () => {
    const where = { name: 'a, "b"' }
    assert.strictEqual(of({ table: "quoted", where, column: "value", statistic: "value" }), 3)
  })
})

describe("an estimate computed again", () => {
  it("has Student's t of the printed tables", () => {
    // Fisher and Yates; the same in every textbook.
    for (const [degrees, t] of [
      [1, 12.706],
      [2, 4.303],
      [4, 2.776],
      [5, 2.571],
      [6, 2.447],
      [11, 2.201],
      [23, 2.069],
    ]) {
      assert.closeTo(t975(degrees), t, 5.1e-4, String(degrees))
    }
  })

  const runs = (values: ReadonlyArray<number>, operations: ReadonlyArray<string>) =>
    values.map((value, i) => ({
      seed: i % 3,
      ...(operations.length === 0 ? {} : { operation: operations[Math.floor(i / 3)] }),
      value,
    }))

  it("is a range of fewer than five runs, and pooled over a full table of ratios alone", () => {
    const kind = (unit: string, values: ReadonlyArray<number>, operations: ReadonlyArray<string> = []) =>
      estimateOf(unit, runs(values, operations)).interval
    const six = [1, 2, 3, 4, 5, 7]
    assert.isUndefined(kind("ratio", [1]))
    assert.strictEqual(kind("ratio", six.slice(0, 4)), "range")
    assert.strictEqual(kind("ratio", six.slice(0, 5)), "t")
    assert.strictEqual(kind("ratio", six, ["add", "mul"]), "pooled")
    assert.strictEqual(kind("ratio", six.slice(0, 5), ["add", "mul"]), "t")
    assert.strictEqual(kind("×", six, ["add", "mul"]), "t")
    assert.strictEqual(kind("share", six, ["add", "mul"]), "t")
    assert.isUndefined(kind("×", [0, ...six]))
  })
})

describe("a comparison with the tables", () => {
  const stated = {
    value: 5,
    low: null,
    high: null,
    n: 1,
    unit: "ratio",
    perSeed: [{ seed: 1, operation: "add", value: 5 }],
  }
  const row: Row = {
    id: "a",
    measured: stated,
    recipe: {
      table: "coupling",
      where: { experiment: "single", rows: "update" },
      column: "meanR",
      statistic: "peak",
    },
    beside: {},
    controls: {},
  }

  it("finds a number that is not theirs, and a mean that is not of its runs", () => {
    assert.deepStrictEqual(mismatches(tables, [row]), [])
    const otherRun = { ...stated, perSeed: [{ seed: 1, operation: "mul", value: 5 }] }
    assert.match(mismatches(tables, [{ ...row, measured: otherRun }]).join(), /mul\/1: 5, the tables say 4/)
    const otherMean = { ...stated, value: 5.0001 }
    assert.match(mismatches(tables, [{ ...row, measured: otherMean }]).join(), /value: 5\.0001/)
  })

  it("finds a number that has no recipe", () => {
    const { recipe: _, ...without } = row
    assert.deepStrictEqual(mismatches(tables, [without]), ["a: there is no recipe"])
  })

  it("looks at what stands beside a claim, too", () => {
    const beside = { other: { ...stated, recipe: { divide: [row.recipe, row.recipe] } as Recipe } }
    assert.match(mismatches(tables, [{ ...row, beside }]).join(), /a, other, add\/1: 5, the tables say 1/)
  })
})
