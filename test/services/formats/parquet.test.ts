import { assert, describe, it } from "@effect/vitest"
import { type ColumnTable, desc, table } from "arquero"
import { Effect } from "effect"
import * as fc from "fast-check"
import { parquetMetadata } from "hyparquet"
import { parquetWriteBuffer } from "hyparquet-writer"
import { decodeTable, encodeTable, MalformedTable } from "../../../src/services/formats/parquet.ts"

/** Columns by name, in order, as plain arrays. */
const contents = (rows: ColumnTable) =>
  rows.columnNames().map((name) => [name, Array.from(rows.array(name))] as const)

const types = (rows: ColumnTable) =>
  parquetMetadata(encodeTable(rows))
    .schema.slice(1)
    .map(({ type }) => String(type))

const cellKinds: ReadonlyArray<fc.Arbitrary<boolean | number | string | null>> = [
  fc.boolean(),
  fc.integer(),
  fc.double(),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("add", "mul", ""),
  fc.constant(null),
]
const columnSets = fc
  .tuple(fc.nat(40), fc.uniqueArray(fc.constantFrom("a", "b.c", "10", "2", "θ", "step"), { maxLength: 5 }))
  .chain(([length, names]) =>
    fc.tuple(
      ...names.map((name) =>
        fc
          .constantFrom(...cellKinds)
          .chain((cell) => fc.array(fc.option(cell), { minLength: length, maxLength: length }))
          .map((values) => [name, values] as const),
      ),
    ),
  )

describe("parquet", () => {
  it.effect("gives back what it was given", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(columnSets, (columns) =>
          Effect.gen(function* () {
            const rows = table(new Map(columns))
            const bytes = encodeTable(rows)
            const back = yield* decodeTable(bytes)
            assert.deepStrictEqual(contents(back), contents(rows))
            assert.deepStrictEqual(encodeTable(back), bytes)
          }).pipe(Effect.runPromise),
        ),
      ),
    ),
  )

  it("chooses the type from the values, however they are stored", () => {
    const rows = table({
      flag: [true, null],
      step: Float64Array.of(25, 50),
      loss: [1, 0.5],
      wide: [1, 2 ** 31],
      negativeZero: [1, -0],
      operation: ["add", null],
      nothing: [null, undefined],
    })
    const expected = ["BOOLEAN", "INT32", "DOUBLE", "DOUBLE", "DOUBLE", "BYTE_ARRAY", "DOUBLE"]
    assert.deepStrictEqual(types(rows), expected)
    assert.deepStrictEqual(
      encodeTable(table({ x: [1, 2, 3] })),
      encodeTable(table({ x: Int32Array.of(1, 2, 3) })),
    )
  })

  it.effect("keeps -0, NaN and infinities", () =>
    Effect.gen(function* () {
      const x = [0, -0, Number.NaN, Infinity, -Infinity, null, 5e-324]
      const repeated = Array.from({ length: 700 }, (_, i) => x[i % 7])
      const back = yield* decodeTable(encodeTable(table({ x: repeated })))
      assert.isTrue(repeated.every((value, i) => Object.is(back.get("x", i), value)))
    }),
  )

  it.effect("reads many row groups and pages", () =>
    Effect.gen(function* () {
      const step = Array.from({ length: 150_000 }, (_, i) => i)
      const back = yield* decodeTable(encodeTable(table({ step, half: step.map((i) => i / 2) })))
      assert.strictEqual(back.numRows(), 150_000)
      assert.isTrue(step.every((i) => back.get("step", i) === i && back.get("half", i) === i / 2))
    }),
  )

  it.effect("writes the visible rows in their order", () =>
    Effect.gen(function* () {
      const rows = table({ x: [1, 4, 2, 3] })
        .filter((row: { x: number }) => row.x > 1)
        .orderby(desc("x"))
      const back = yield* decodeTable(encodeTable(rows))
      assert.deepStrictEqual(contents(back), [["x", [4, 3, 2]]])
    }),
  )

  it.effect("keeps the columns of a table without rows", () =>
    Effect.gen(function* () {
      const back = yield* decodeTable(encodeTable(table({ a: [], b: [] })))
      assert.deepStrictEqual(contents(back), [
        ["a", []],
        ["b", []],
      ])
    }),
  )

  it.effect("reads a Node buffer that is part of a pool", () =>
    Effect.gen(function* () {
      const bytes = encodeTable(table({ x: [1, 2] }))
      const back = yield* decodeTable(Buffer.concat([Buffer.from("pool"), bytes]).subarray(4))
      assert.deepStrictEqual(contents(back), [["x", [1, 2]]])
    }),
  )

  it("refuses to write what has no column type", () => {
    for (const x of [[1, "a"], [true, 1], [1n], [new Date(0)], [{}]]) {
      assert.throws(() => encodeTable(table({ x })), /^column x: /)
    }
  })
})

describe("malformed parquet", () => {
  const good = encodeTable(table({ step: [25, 50], operation: ["add", "mul"] }))
  const withColumn = (name: string, data: Array<unknown>) =>
    new Uint8Array(parquetWriteBuffer({ columnData: [{ name, data }] }))
  const cases: ReadonlyArray<readonly [string, Uint8Array]> = [
    ["nothing at all", new Uint8Array(0)],
    ["another kind of file", new TextEncoder().encode("PAR1 this is not a table PAR2")],
    ["a footer alone", good.slice(-8)],
    ["a file cut at its end", good.slice(0, -5)],
    ["a file cut at its beginning", good.slice(20)],
    ["a column of dates", withColumn("when", [new Date(0)])],
    ["a column of objects", withColumn("what", [{ a: 1 }])],
    ["a column of big integers", withColumn("big", [1n])],
    ["a column named __proto__", withColumn("__proto__", [1])],
  ]

  it.effect.each(cases)("%s", ([, bytes]) =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(decodeTable(bytes))
      assert.instanceOf(failure, MalformedTable)
    }),
  )
})
