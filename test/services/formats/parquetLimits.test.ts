/** Parquet files whose digest is right and whose content is not meant well. */
import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { table } from "arquero"
import { Effect, Result } from "effect"
import * as fc from "fast-check"
import { decodeTable, encodeTable, MalformedTable } from "../../../src/services/formats/parquet.ts"
import { checkTable } from "../../../src/services/formats/parquetLimits.ts"
import { LARGEST_PAGE } from "../../../src/services/formats/parquetPages.ts"
import { MOST_COLUMNS } from "../../../src/services/formats/parquetSchema.ts"

const repeated = <A>(count: number, value: (i: number) => A) =>
  Array.from({ length: count }, (_, i) => value(i))

describe("limits of Parquet", () => {
  const columns: Readonly<Record<string, (i: number) => boolean | number | string | null>> = {
    "one integer": () => 1,
    integers: (i) => i,
    "one number": () => 0.5,
    numbers: (i) => i / 3,
    "one text": () => "x",
    texts: (i) => `text ${i % 300}`,
    "different texts": (i) => `text ${i}`,
    "true alone": () => true,
    booleans: (i) => i % 3 === 0,
    "nothing at all": () => null,
    gaps: (i) => (i % 5 === 0 ? null : i),
    "gaps in texts": (i) => (i % 5 === 0 ? null : `${i % 7}`),
    "gaps in booleans": (i) => (i % 5 === 0 ? null : i % 2 === 0),
  }
  it.each(Object.entries(columns))("let pass a column of %s, of any length", (_, value) => {
    for (const rows of [0, 1, 2, 7, 8, 9, 16, 17, 999, 1000, 1001, 150_000]) {
      const bytes = encodeTable(table({ x: repeated(rows, value) }))
      const check = checkTable(bytes)
      assert.isTrue(
        Result.isSuccess(check),
        `${rows} rows: ${Result.isFailure(check) && check.failure.message}`,
      )
    }
  })

  it("let pass every table that this project has committed", () => {
    const directory = new URL("../../../artifacts/paper/tables/", import.meta.url)
    const tables = readdirSync(directory).filter((name) => name.endsWith(".parquet"))
    assert.isAbove(tables.length, 0)
    for (const name of tables) {
      assert.isTrue(Result.isSuccess(checkTable(readFileSync(new URL(name, directory)))), name)
    }
  })

  it("let pass tables of many columns", () => {
    const wide = (count: number) =>
      encodeTable(table(Object.fromEntries(repeated(count, (i) => [`c${i}`, [i]]))))
    assert.isTrue(Result.isSuccess(checkTable(wide(MOST_COLUMNS))))
    assert.isTrue(Result.isFailure(checkTable(wide(MOST_COLUMNS + 1))))
  })
})

/** Thrift's compact protocol: fields by number, as [type, content]. */
type Field = readonly [type: number, content: ReadonlyArray<number>]

const varint = (value: number): ReadonlyArray<number> =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]
const zigzag = (value: number) => varint(value < 0 ? -2 * value - 1 : 2 * value)
const i32 = (value: number): Field => [5, zigzag(value)]
const i64 = (value: number): Field => [6, zigzag(value)]
const struct = (fields: Readonly<Record<number, Field>>): ReadonlyArray<number> => [
  ...Object.entries(fields).flatMap(([field, [type, content]]) => [
    type,
    ...zigzag(Number(field)),
    ...content,
  ]),
  0,
]
const nested = (fields: Readonly<Record<number, Field>>): Field => [12, struct(fields)]
const text = (value: string): ReadonlyArray<number> => [
  ...varint(value.length),
  ...new TextEncoder().encode(value),
]
const list = (type: number, items: ReadonlyArray<ReadonlyArray<number>>, size = items.length): Field => [
  9,
  [0xf0 + type, ...varint(size), ...items.flat()],
]
const bytes4 = (value: number) => [...new Uint8Array(Uint32Array.of(value).buffer)]

interface Page {
  readonly type: number
  readonly size: number
  readonly header: Readonly<Record<number, Field>>
  readonly content: ReadonlyArray<number>
  readonly compressedSize?: number
}

const page = ({ type, size, header, content, compressedSize = content.length }: Page) => [
  ...struct({ 1: i32(type), 2: i32(size), 3: i32(compressedSize), ...header }),
  ...content,
]

interface Data {
  readonly content: ReadonlyArray<number>
  readonly count: number
  readonly size?: number
  readonly encoding?: number
  readonly compressedSize?: number
  readonly nulls?: number
}

const data = ({ content, count, size = content.length, encoding = 0, compressedSize, nulls = 0 }: Data) =>
  page({
    type: 3,
    size,
    content,
    ...(compressedSize === undefined ? {} : { compressedSize }),
    header: {
      8: nested({ 1: i32(count), 2: i32(nulls), 3: i32(count), 4: i32(encoding), 5: i32(0), 6: i32(0) }),
    },
  })

const dictionary = (content: ReadonlyArray<number>, count: number) =>
  page({ type: 2, size: content.length, content, header: { 7: nested({ 1: i32(count), 2: i32(0) }) } })

interface File {
  readonly pages: ReadonlyArray<number>
  readonly rows: number
  /** BOOLEAN 0, INT32 1, DOUBLE 5, BYTE_ARRAY 6. */
  readonly type?: number
  readonly codec?: number
  /** How often the same row group is there. */
  readonly groups?: number
  readonly chunkSize?: number
}

const file = ({ pages, rows, type = 1, codec = 0, groups = 1, chunkSize = pages.length }: File) => {
  const chunk = struct({
    2: i64(4),
    3: nested({
      1: i32(type),
      2: list(5, []),
      3: list(8, [text("x")]),
      4: i32(codec),
      5: i64(rows),
      6: i64(pages.length),
      7: i64(chunkSize),
      9: i64(4),
    }),
  })
  const group = struct({ 1: list(12, [chunk]), 2: i64(pages.length), 3: i64(rows) })
  return footed(
    pages,
    struct({
      1: i32(2),
      2: list(12, [
        struct({ 4: [8, text("root")], 5: i32(1) }),
        struct({ 1: i32(type), 3: i32(0), 4: [8, text("x")] }),
      ]),
      3: i64(rows * groups),
      4: list(12, Array(groups).fill(group)),
    }),
  )
}

const footed = (pages: ReadonlyArray<number>, metadata: ReadonlyArray<number>) => {
  const magic = [...new TextEncoder().encode("PAR1")]
  return Uint8Array.from([...magic, ...pages, ...metadata, ...bytes4(metadata.length), ...magic])
}

const two = [...bytes4(3), ...bytes4(4)]
/** Snappy: a length, then two literals' worth of bytes. */
const snappyTwo = [8, (8 - 1) << 2, ...two]
/** A run of one value. */
const run = (count: number, value: ReadonlyArray<number> = [0]) => [...varint(2 * count), ...value]
const packedRun = (groups: number) => varint(2 * groups + 1)

describe("a made-up Parquet file", () => {
  const good: ReadonlyArray<readonly [string, Uint8Array, ReadonlyArray<unknown>]> = [
    ["of plain integers", file({ pages: data({ content: two, count: 2 }), rows: 2 }), [3, 4]],
    [
      "of compressed integers",
      file({ pages: data({ content: snappyTwo, count: 2, size: 8 }), rows: 2, codec: 1 }),
      [3, 4],
    ],
    [
      "of places in a dictionary",
      file({
        pages: [...dictionary(two, 2), ...data({ content: [1, ...run(3, [1])], count: 3, encoding: 8 })],
        rows: 3,
      }),
      [4, 4, 4],
    ],
    [
      "in two pages",
      file({ pages: [...data({ content: two, count: 2 }), ...data({ content: two, count: 2 })], rows: 4 }),
      [3, 4, 3, 4],
    ],
    [
      "in two row groups",
      file({ pages: data({ content: two, count: 2 }), rows: 2, groups: 2 }),
      [3, 4, 3, 4],
    ],
  ]
  it.effect.each(good)("%s is read: what is changed below is all that is wrong there", ([, bytes, values]) =>
    Effect.gen(function* () {
      yield* Effect.fromResult(checkTable(bytes))
      assert.deepStrictEqual(Array.from((yield* decodeTable(bytes)).array("x")), [...values])
    }),
  )

  const ofTwo = (change: Partial<File>) =>
    file({ pages: data({ content: two, count: 2 }), rows: 2, ...change })
  const coded = (content: ReadonlyArray<number>, rows: number) =>
    file({ pages: [...dictionary(two, 2), ...data({ content, count: rows, encoding: 8 })], rows })
  const snappy = (content: ReadonlyArray<number>, size: number) =>
    file({ pages: data({ content, count: size / 4, size }), rows: size / 4, codec: 1 })
  const bad: ReadonlyArray<readonly [string, Uint8Array, RegExp]> = [
    ["of a billion rows in one run", coded([1, ...run(1e9, [1])], 1e9), /above the limit of \d+ cells/],
    [
      "of many row groups that are one",
      ofTwo({
        pages: data({ content: [0, ...run(1e5, [])], count: 1e5, encoding: 8 }),
        rows: 1e5,
        groups: 300,
      }),
      /\d+ cells/,
    ],
    [
      "whose run is longer than its rows",
      coded([1, ...run(1e9, [1])], 10),
      /a run of 1000000000 values, of 10/,
    ],
    [
      "whose packed run is longer than its rows",
      coded([1, ...packedRun(2 ** 28)], 10),
      /a run of 2147483648 values/,
    ],
    ["whose packed run is cut off", coded([8, ...packedRun(2), 1], 10), /16 bytes, but only 1/],
    ["of packed values of no bits before others", coded([0, ...packedRun(1), ...run(2, [])], 10), /no bits/],
    ["of runs of nothing", coded([1, ...run(0), ...run(10)], 10), /a run of 0 values/],
    ["of places of 32 bits", coded([32, ...run(10, [0, 0, 0, 0])], 10), /32 bits/],
    ["whose run has a number that is not short", coded([1, 0x94, 0x80, 0x00, 1], 10), /not as short/],
    [
      "with a page of no values",
      ofTwo({ pages: [...data({ content: [], count: 0 }), ...data({ content: two, count: 2 })] }),
      /a page of 0 values/,
    ],
    ["with fewer values than rows", ofTwo({ rows: 3 }), /1 of 3 rows have no value/],
    ["with more values than rows", ofTwo({ rows: 1 }), /a page of 2 values/],
    [
      "with more nulls than values",
      file({ pages: data({ content: two, count: 2, nulls: 3 }), rows: 2 }),
      /3 of them null/,
    ],
    [
      "with values that are cut off",
      file({ pages: data({ content: two, count: 20 }), rows: 20 }),
      /20 values in 8 bytes/,
    ],
    [
      "with a page that goes backwards",
      file({ pages: data({ content: two, count: 2, compressedSize: -8 }), rows: 2 }),
      /no natural number/,
    ],
    [
      "with a page beyond its column",
      file({ pages: data({ content: two, count: 2, compressedSize: 9 }), rows: 2 }),
      /9 bytes, but only 8/,
    ],
    ["with a column beyond the file", ofTwo({ chunkSize: 1e6 }), /not within the file/],
    [
      "with a dictionary of a billion values",
      file({
        pages: [...dictionary(two, 1e9), ...data({ content: [1, ...run(2)], count: 2, encoding: 8 })],
        rows: 2,
      }),
      /a dictionary of 1000000000/,
    ],
    [
      "with a text of 4 GiB",
      file({ pages: data({ content: bytes4(0xffffffff), count: 1 }), rows: 1, type: 6 }),
      /4294967295 bytes, but only 0/,
    ],
    ["whose page says it is huge", snappy(snappyTwo, 2 ** 30), /cells|above the limit/],
    [
      "whose page says it is larger than allowed",
      file({ pages: data({ content: snappyTwo, count: 2, size: LARGEST_PAGE + 1 }), rows: 2, codec: 1 }),
      /above the limit/,
    ],
    [
      "whose Snappy data says it is longer than it is",
      snappy([...varint(4000), (8 - 1) << 2, ...two], 4000),
      /says that it has 4000/,
    ],
    [
      "whose Snappy data reaches back too far",
      snappy([8, (4 - 1) << 2, 1, 2, 3, 4, 1, 9], 8),
      /reaches back too far/,
    ],
    [
      "whose Snappy data repeats nothing",
      snappy([8, (4 - 1) << 2, 1, 2, 3, 4, 1, 0], 8),
      /reaches back too far/,
    ],
    ["whose Snappy literal is of 4 GiB", snappy([8, 63 << 2, 0xff, 0xff, 0xff, 0xff], 8), /cut off/],
    ["whose Snappy data ends in a tag", snappy([8, (4 - 1) << 2, 1, 2, 3, 4, 2], 8), /reaches back|cut off/],
    ["of another codec", ofTwo({ codec: 2 }), /another one/],
    ["of 64-bit integers", ofTwo({ type: 2 }), /unknown type/],
    [
      "with a list of a billion columns",
      footed([], struct({ 2: list(12, [], 1e9) })),
      /a list of 1000000000/,
    ],
    [
      "with lists in lists in lists",
      footed([], struct({ 2: [9, Array.from({ length: 1000 }, () => 0x19)] })),
      /nested too deep/,
    ],
    ["with structs in structs", footed([], Array(1000).fill(0x1c)), /nested too deep/],
    ["with a field twice", footed([], [0x15, 2, 0x05, 2, 2, 0]), /field 1 after field 1/],
    ["with a number beyond 2^53", footed([], struct({ 3: [6, [...Array(9).fill(0xff), 1]] })), /too large/],
    ["with metadata that is cut off", footed([], [0x15]), /bounds|offset|Offset/],
    ["with something after its metadata", footed([], [...struct({}), 0, 0]), /after the metadata/],
  ]
  it.each(bad)("%s is refused", (_, bytes, says) => {
    const before = process.memoryUsage()
    const failure = Result.getOrThrow(Result.flip(checkTable(bytes)))
    const after = process.memoryUsage()
    assert.instanceOf(failure, MalformedTable)
    assert.match(failure.message, says)
    assert.isBelow(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers, 2 ** 26)
  })
})

describe("any bytes", () => {
  const rows = table({
    step: [25, 50, null, 75],
    loss: [0.5, 1, 2, null],
    operation: ["add", "mul", "add", null],
    flag: [true, null, false, true],
    many: repeated(4, () => "x"),
  })
  const long = table({
    a: repeated(2000, (i) => i % 7),
    b: repeated(2000, (i) => `t${i % 5}`),
    c: repeated(2000, (i) => i > 9),
  })
  const files = [encodeTable(rows), encodeTable(long)]
  const damaged = fc.constantFrom(...files).chain((good) => {
    const place = fc.nat(good.length - 1)
    return fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 3 })
        .map((changes) => changes.reduce((bytes, [at, value]) => bytes.with(at, value), good)),
      place.map((length) => good.subarray(0, length)),
      fc.tuple(place, place).map(([a, b]) => Uint8Array.of(...good.subarray(0, a), ...good.subarray(b))),
    )
  })

  it.effect("are refused, or read as a table, in little time and memory", () =>
    Effect.promise(() => {
      let read = 0
      return fc
        .assert(
          fc.asyncProperty(damaged, (bytes) =>
            Effect.gen(function* () {
              const before = process.memoryUsage()
              const start = process.cpuUsage()
              const result = yield* Effect.result(
                Effect.andThen(Effect.fromResult(checkTable(bytes)), decodeTable(bytes)),
              )
              if (Result.isFailure(result)) assert.instanceOf(result.failure, MalformedTable)
              else read++
              const after = process.memoryUsage()
              assert.isBelow(
                after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers,
                2 ** 26,
              )
              assert.isBelow(process.cpuUsage(start).user, 1e6)
            }).pipe(Effect.runPromise),
          ),
          { numRuns: 4000 },
        )
        .then(() => assert.isAbove(read, 100, "too few of them are read to mean anything"))
    }),
  )
})
