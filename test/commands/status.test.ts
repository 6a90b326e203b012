import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, Schema } from "effect"
import { Status } from "../../src/commands/status.ts"
import { settings, tiny } from "../pipelines/tiny.ts"
import { temporaryDirectory } from "../services/store/temporary.ts"
import { cli, lines, start } from "./process.ts"

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Status))

describe("status --watch", () => {
  it.live(
    "tells what changes, and nothing twice, until it is stopped",
    () =>
      Effect.gen(function* () {
        const store = join(yield* temporaryDirectory, "store")
        const watching = yield* start(["status", "--store", store, "--watch", "--json"])
        const told = Effect.map(watching.printed, ({ stdout }) => lines(stdout).map((line) => decode(line)))
        const until = (is: (states: ReadonlyArray<typeof Status.Type>) => boolean) =>
          told.pipe(
            Effect.filterOrFail(is),
            Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 600 }),
          )
        yield* until((states) => states.length > 0)
        const fields = settings(tiny).flatMap((field) => ["--set", field])
        const ran = yield* cli(["run", "single", "--scale", "smoke", "--store", store, ...fields])
        assert.strictEqual(ran.code, 0, ran.stderr)
        const states = yield* until((states) => states.at(-1)?.runs[0]?.outcome === "done")
        assert.deepStrictEqual(states[0], { store, working: [], runs: [] })
        const texts = states.map((state) => JSON.stringify(state))
        assert.deepStrictEqual(
          texts.filter((text, i) => text === texts[i - 1]),
          [],
        )
        yield* watching.kill("SIGINT")
        const { code, stderr } = yield* watching.finished
        assert.strictEqual(code, 130)
        assert.include(stderr, "stopped looking")
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    120_000,
  )
})
