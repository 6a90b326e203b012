/** The whole paper at smoke scale, as a user runs it: to its end, killed on the way, and again. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { ClaimRow } from "../../src/pipelines/Claim.ts"
import { SMOKE_NOTE } from "../../src/pipelines/scale.ts"
import { Manifest } from "../../src/report/manifest.ts"
import { cli, lines, start } from "../commands/process.ts"
import { mismatches, readRows, readTables, repetitions } from "../report/recompute.ts"
import { filesBelow, temporaryDirectory } from "../services/store/temporary.ts"
import { differing, reportIn } from "./stores.ts"

const TIMEOUT = 900_000

/** One seed: every kind of experiment, once. */
const reproduce = (store: string, out: string) => [
  ...["reproduce-all", "--scale", "smoke", "--seeds", "1", "--workers", "2"],
  ...["--store", store, "--out", out],
]

const manifestIn = (directory: string) =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Manifest))(
    readFileSync(join(directory, "manifest.json"), "utf8"),
  )

const claimsIn = (directory: string) =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(ClaimRow)))(
    readFileSync(join(directory, "claims.json"), "utf8"),
  )

const recordCount = (store: string) =>
  existsSync(join(store, "records")) ? filesBelow(join(store, "records")).length : 0

class Reference extends Context.Service<
  Reference,
  { readonly store: string; readonly out: string; readonly stdout: string; readonly seconds: number }
>()("test/Reference") {
  static readonly layer = Layer.effect(
    Reference,
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [store, out] = [join(directory, "store"), join(directory, "out")]
      const started = performance.now()
      const { code, stdout, stderr } = yield* cli(reproduce(store, out))
      assert.strictEqual(code, 0, stderr)
      return { store, out, stdout, seconds: (performance.now() - started) / 1000 }
    }),
  )
}

layer(Reference.layer.pipe(Layer.provideMerge(NodeServices.layer)), {
  excludeTestServices: true,
  timeout: TIMEOUT,
})("reproduce-all at smoke scale", (it) => {
  it.effect("ends with a row for every claim, tables, figures and a manifest, marked as no evidence", () =>
    Effect.gen(function* () {
      const { out, stdout } = yield* Reference
      const rows = claimsIn(out)
      for (const { short, measured, number } of rows) {
        assert.include(stdout, short)
        // Its settings are such that everything has a number, and it judges none.
        assert.isNotNull(measured.value, short)
        assert.isNull(number, short)
      }
      assert.include(stdout, SMOKE_NOTE)
      assert.include(manifestIn(out).evidence, SMOKE_NOTE)
      assert.match(readFileSync(join(out, "claims.md"), "utf8"), new RegExp(SMOKE_NOTE, "i"))
      const names = filesBelow(out)
      for (const svg of names.filter((name) => name.endsWith(".svg"))) {
        assert.include(names, svg.replace(/svg$/, "png"))
      }
      assert.includeMembers(
        [...names],
        ["tables/coupling.parquet", "tables/coupling.csv", "figures/peaks.svg"],
      )
    }),
  )

  it.effect("writes numbers that its CSV files give again, and none twice where they should differ", () =>
    Effect.gen(function* () {
      const { out } = yield* Reference
      const rows = readRows(out)
      assert.deepStrictEqual(mismatches(readTables(out), rows), [])
      for (const pattern of [/^coupling\.window\.add\./, /^coupling\.epsilon\.add\./]) {
        const some = rows.filter(({ id }) => pattern.test(id))
        assert.isAbove(some.length, 1)
        assert.deepStrictEqual(repetitions(some), [], String(pattern))
      }
    }),
  )

  it.effect("prints each row once, on standard output alone where that is no terminal", () =>
    Effect.gen(function* () {
      const { store, out } = yield* Reference
      const { stdout, stderr } = yield* cli(reproduce(store, out))
      const rows = claimsIn(out).map(({ short }) => short)
      assert.isAbove(rows.length, 20)
      for (const short of rows) {
        assert.lengthOf(
          lines(stdout).filter((line) => line.startsWith(`${short}  `)),
          1,
          short,
        )
        assert.notInclude(stderr, `${short}  `)
      }
    }),
  )

  it.effect("computes nothing the second time, and writes the same", () =>
    Effect.gen(function* () {
      const { store, out, stdout } = yield* Reference
      const before = reportIn(out)
      const records = recordCount(store)
      const again = yield* cli(reproduce(store, out))
      assert.strictEqual(again.code, 0, again.stderr)
      assert.strictEqual(again.stdout, stdout)
      assert.strictEqual(recordCount(store), records)
      assert.match(again.stderr, /done 0, cached \d+/)
      assert.deepStrictEqual(differing(reportIn(out), before), [])
    }),
  )

  it.effect(
    "killed three times on the way, it ends with identical artifacts",
    () =>
      Effect.gen(function* () {
        const { out: expected, store: reference } = yield* Reference
        const directory = yield* temporaryDirectory
        const [store, out] = [join(directory, "store"), join(directory, "out")]
        const total = recordCount(reference)
        for (const share of [0.1, 0.4, 0.8]) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const child = yield* start(reproduce(store, out))
              while (recordCount(store) < share * total) {
                assert.isTrue(yield* child.isRunning, "ended before it could be killed")
                yield* Effect.sleep(5)
              }
              yield* child.kill("SIGKILL")
              assert.strictEqual((yield* child.finished).signal, "SIGKILL")
            }),
          )
          // Nothing is written before everything is there.
          assert.isFalse(existsSync(join(out, "claims.json")))
        }
        const { code, stderr } = yield* cli(reproduce(store, out))
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(differing(reportIn(out), reportIn(expected)), [])
        assert.deepStrictEqual(
          manifestIn(out).stages.map(({ label, key }) => ({ label, key })),
          manifestIn(expected).stages.map(({ label, key }) => ({ label, key })),
        )
      }),
    TIMEOUT,
  )
})
