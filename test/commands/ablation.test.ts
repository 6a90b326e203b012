import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Comparison } from "../../src/pipelines/comparison.ts"
import { Manifest } from "../../src/report/manifest.ts"
import { tiny } from "../pipelines/tiny.ts"
import { temporaryDirectory } from "../services/store/temporary.ts"
import { cli, lines } from "./process.ts"

const TIMEOUT = 180_000

/** `tiny` in an ablation's file: dotted fields below `set`. */
const leaves = (tree: object, prefix = ""): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(tree).flatMap(([key, value]) =>
    typeof value === "object" && value !== null
      ? leaves(value, `${prefix}${key}.`)
      : [[`${prefix}${key}`, value]],
  )

const declaration = {
  description: "Heads of a tiny network <b>",
  base: "single",
  set: Object.fromEntries(leaves(tiny).filter(([field]) => field !== "seed")),
  seeds: 2,
  measure: ["grok-step", "gradient-peak", "test-accuracy"],
  vary: { "model.heads": [1, 2] },
}

const arms = {
  ...declaration,
  base: "interventions",
  set: { ...declaration.set, "intervention.window": 3, "intervention.warmup": 3 },
  measure: ["speedup", "norm-ratio"],
  vary: { "intervention.rank": [0, 2] },
}

const workplace = Effect.map(temporaryDirectory, (root) => ({
  file: (name: string, content: unknown) => {
    writeFileSync(join(root, name), typeof content === "string" ? content : JSON.stringify(content))
    return join(root, name)
  },
  root,
  run: (file: string, ...more: ReadonlyArray<string>) =>
    cli(["run", file, "--scale", "smoke", "--workers", "1", ...more], { cwd: root }),
}))

/** How many stages a run computed, and found, by its last line of progress. */
const counts = (stderr: string) => {
  const [, computed, cached] = /done (\d+), cached (\d+), running 0, waiting 0/.exec(stderr) ?? []
  return { computed: Number(computed), cached: Number(cached) }
}

const read = <A>(schema: Schema.ConstraintDecoder<A>, ...path: ReadonlyArray<string>) =>
  Schema.decodeUnknownSync(Schema.fromJsonString(schema))(readFileSync(join(...path), "utf8"))

describe("an ablation from a file", () => {
  it.live(
    "is run, shares every cached prefix, and computes nothing twice",
    () =>
      Effect.gen(function* () {
        const { root, file, run } = yield* workplace
        const first = yield* run(file("mine.json", declaration))
        assert.strictEqual(first.code, 0, first.stderr)
        assert.include(first.stdout, "heads=2 (base)")
        // The data sets do not depend on heads.
        assert.deepStrictEqual(counts(first.stderr), { computed: 22, cached: 2 }, first.stderr)

        const results = join(root, "artifacts/smoke-ablations/mine")
        const comparison = read(Comparison, results, "comparison.json")
        assert.deepStrictEqual(
          comparison.cells.map(({ id, isBase }) => [id, isBase]),
          [
            ["heads=1", false],
            ["heads=2", true],
          ],
        )
        for (const { measured } of comparison.cells) {
          assert.strictEqual(measured["gradient-peak"].n, 2)
          assert.deepStrictEqual(
            measured["grok-step"].perSeed.map(({ seed }) => seed),
            [42, 137],
          )
        }
        const { files, stages } = read(Manifest, results, "manifest.json")
        assert.includeMembers(Object.keys(files ?? {}), ["comparison.csv", "figures/gradient-peak.svg"])
        assert.strictEqual(stages.length, 22)

        const before = readdirSync(results, { recursive: true }).map(String).sort()
        const again = yield* run(join(root, "mine.json"))
        assert.strictEqual(again.code, 0, again.stderr)
        assert.deepStrictEqual(counts(again.stderr), { computed: 0, cached: 24 })
        assert.strictEqual(again.stdout, first.stdout)
        assert.deepStrictEqual(readdirSync(results, { recursive: true }).map(String).sort(), before)

        // One cell more trains it, and nothing else.
        const more = { ...declaration, vary: { "model.heads": [1, 2, 4] } }
        const third = yield* run(file("more.json", more))
        assert.strictEqual(third.code, 0, third.stderr)
        assert.strictEqual(lines(third.stderr).filter((line) => /^train .* done in/.test(line)).length, 2)
        assert.notMatch(third.stderr, /(heads=1|heads=2)\/.* done in/)
      }).pipe(Effect.provide(NodeServices.layer)),
    TIMEOUT,
  )

  it.live(
    "has each arm beside its matched controls",
    () =>
      Effect.gen(function* () {
        const { root, file, run } = yield* workplace
        const { code, stderr, stdout } = yield* run(file("arms.json", arms), "--json")
        assert.strictEqual(code, 0, stderr)
        const printed = Schema.decodeUnknownSync(Schema.fromJsonString(Comparison))(stdout)
        assert.deepStrictEqual(
          printed,
          read(Comparison, root, "artifacts/smoke-ablations/arms/comparison.json"),
        )
        const [none, two] = printed.cells.map(({ measured }) => measured["norm-ratio"])
        assert.strictEqual(none.value, 0)
        assert.isAbove(two.value ?? 0, 0)
        assert.closeTo(two.beside["random subspace, natural norm"].value ?? 0, 1, 1e-6)
        assert.strictEqual(two.beside.frozen.value, 0)
      }).pipe(Effect.provide(NodeServices.layer)),
    TIMEOUT,
  )

  it.live(
    "that is wrong gets one line with its file and line, and leaves nothing behind",
    () =>
      Effect.gen(function* () {
        const { root, file, run } = yield* workplace
        const cases = [
          [
            "bad.yaml",
            "description: x\nbase: single\nseeds: 2\nmeasure: [grok-stp]\nvary: {model.heads: [1]}\n",
          ],
          ["bad.json", `{"description": "x",\n"base": "single",\n"seeds": 0}`],
          ["deep.yaml", "[".repeat(100_000)],
          ["bad name.yaml", "x"],
          ["heads.json", JSON.stringify(declaration)],
        ] as const
        for (const [name, text] of cases) {
          const path = file(name, text)
          const { code, stdout, stderr } = yield* run(path)
          assert.strictEqual(code, 2, stderr)
          assert.strictEqual(stdout, "")
          assert.strictEqual(lines(stderr).length, 1, stderr)
          assert.include(stderr, path)
        }
        const missing = yield* run("nowhere.yaml")
        assert.strictEqual(missing.code, 2)
        assert.include(missing.stderr, "nowhere.yaml")
        const unknown = yield* run("haeds")
        assert.include(unknown.stderr, "did you mean heads?")
        assert.isFalse(existsSync(join(root, "artifacts")))
      }).pipe(Effect.provide(NodeServices.layer)),
    TIMEOUT,
  )
})
