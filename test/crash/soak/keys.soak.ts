import { cpSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import { cli, repository } from "../../commands/process.ts"
import { leaves } from "../../pipelines/leaves.ts"
import { labels } from "../../pipelines/tiny.ts"
import { importClosure } from "../../services/importClosure.ts"
import { temporaryDirectory } from "../../services/store/temporary.ts"
import { run } from "../starved.ts"
import { computedIn } from "../stores.ts"
import { runPart } from "./figures.ts"
import { seed, shareOf } from "./settings.ts"

/** The file of each stage of `single`, by the first word of its labels. */
const MODULES: Readonly<Record<string, string>> = {
  "generate-data": "generateData",
  train: "train",
  "capture-gradients": "captureGradients",
  "rolling-svd": "rollingSvd",
  "measure-null": "measureNull",
  "measure-coupling": "measureCoupling",
}

/** A copy of the project to edit. */
const copied = Effect.map(temporaryDirectory, (root) => {
  for (const name of ["src", "package.json", "tsconfig.json"]) {
    cpSync(join(repository, name), join(root, name), { recursive: true })
  }
  symlinkSync(join(repository, "node_modules"), join(root, "node_modules"))
  return root
})

it.live("an edit of the code is seen where it counts, and nowhere else", () =>
  runPart(
    "keys",
    Effect.gen(function* () {
      const root = yield* copied
      const store = join(root, "store")
      const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts"))
        .map((file) => join(root, "src", file))
      let before: ReadonlyArray<string> = []
      /** Runs, and says what was computed. */
      const again = Effect.gen(function* () {
        const { code, stderr } = yield* cli(run(store), { of: root })
        assert.strictEqual(code, 0, stderr)
        const all = [...computedIn(store)]
        for (const label of before) all.splice(all.indexOf(label), 1)
        before = computedIn(store)
        return all
      })
      assert.deepStrictEqual(yield* again, [...labels].sort())

      for (const file of sources) utimesSync(file, new Date(), new Date())
      assert.deepStrictEqual(yield* again, [], "every file touched")

      for (const file of sources) {
        writeFileSync(file, `/* Above. */\n${readFileSync(file, "utf8")}\n// Below.\n`)
      }
      assert.deepStrictEqual(yield* again, [], "a comment in every file")

      const helpers = readdirSync(join(root, "src", "numerics"))
      const count = shareOf(helpers.length)
      const flipped: Record<string, number> = {}
      for (let i = 0; i < count; i++) {
        const name = helpers[(seed + i) % helpers.length]
        const helper = join(root, "src", "numerics", name)
        writeFileSync(helper, `${readFileSync(helper, "utf8")}\nglobalThis.edited = ${i}\n`)
        const reading = [...labels].sort().filter((label) => {
          const stage = join(root, "src", "stages", `${MODULES[label.split(" ")[0]]}.ts`)
          return importClosure(stage).has(helper)
        })
        assert.deepStrictEqual(yield* again, reading, name)
        flipped[name] = reading.length
        yield* Console.log(`keys: ${name}`)
      }
      return {
        summary: `${sources.length} files touched, then commented: nothing ran again; ${count} numeric helpers edited: exactly the stages that are made of them ran again; ${Object.keys(leaves).length} leaves of the configuration are checked by pnpm test`,
        figures: { files: sources.length, helpers: count, ranAgain: flipped },
      }
    }),
  ).pipe(Effect.provide(NodeServices.layer)),
)
