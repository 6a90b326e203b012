import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cli, repository } from "./process.ts"

const ESCAPE = "\u001b"

/** The subcommands, as the help names them. */
const subcommands = Effect.map(cli(["--help"]), ({ stdout }) =>
  [...stdout.slice(stdout.indexOf("SUBCOMMANDS")).matchAll(/^ {2}([a-z-]+) {2}/gm)].map(([, name]) => name),
)

describe("help", () => {
  it.live(
    "has an example of every command, without colour where it is piped; docs/cli.md names each",
    () =>
      Effect.gen(function* () {
        const names = yield* subcommands
        assert.isAtLeast(names.length, 14)
        const documented = readFileSync(join(repository, "docs/cli.md"), "utf8")
        for (const name of names) {
          const { code, stdout, stderr } = yield* cli([name, "--help"])
          assert.deepStrictEqual([code, stderr], [0, ""])
          assert.match(stdout, /^EXAMPLES$[\s\S]+^ {2}pnpm pipeline /m, name)
          assert.notInclude(stdout, ESCAPE)
          assert.match(documented, new RegExp(`^\\| \`${name}[ \`]`, "m"), name)
        }
      }),
    120_000,
  )

  it.live("honours NO_COLOR before FORCE_COLOR", () =>
    Effect.gen(function* () {
      const plain = yield* cli(["--help"], { env: { NO_COLOR: "1", FORCE_COLOR: "1" } })
      assert.notInclude(plain.stdout + plain.stderr, ESCAPE)
    }),
  )
})

describe("completion", () => {
  it.live("in bash is a script that bash accepts, and names every subcommand", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* cli(["--completions", "bash"])
      assert.strictEqual(code, 0)
      assert.strictEqual(spawnSync("bash", ["-n"], { input: stdout }).status, 0)
      for (const name of yield* subcommands) assert.match(stdout, new RegExp(`\\b${name}\\b`))
    }),
  )
})
