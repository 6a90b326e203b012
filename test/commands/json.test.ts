/** Every command's `--json` on one tiny store, read by the Schema that docs/json.md names. */
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Accepted } from "../../src/commands/accept.ts"
import { Compared } from "../../src/commands/compared.ts"
import { Explanation } from "../../src/commands/explained.ts"
import { Exported } from "../../src/commands/export.ts"
import { ExportedTwin } from "../../src/commands/exportTwin.ts"
import { Collection } from "../../src/commands/gc.ts"
import { Imported } from "../../src/commands/import.ts"
import { Listing } from "../../src/commands/list.ts"
import { Pins } from "../../src/commands/pin.ts"
import { Plan } from "../../src/commands/planned.ts"
import { SingleResult } from "../../src/commands/results.ts"
import { Records, ShownArtifact } from "../../src/commands/show.ts"
import { Status } from "../../src/commands/status.ts"
import { Reruns, Verified } from "../../src/commands/verify.ts"
import { StageRecord } from "../../src/services/ArtifactStore.ts"
import { Pin } from "../../src/services/pins.ts"
import { settings, tiny } from "../pipelines/tiny.ts"
import { temporaryDirectory } from "../services/store/temporary.ts"
import { cli } from "./process.ts"

/** The whole standard output of a command that succeeds, as its Schema says, with no field that this does not know. */
const printed = Effect.fnUntraced(function* <A>(
  schema: Schema.ConstraintCodec<A, unknown>,
  ...args: ReadonlyArray<string>
) {
  const { code, stdout, stderr } = yield* cli([...args, "--json"])
  assert.strictEqual(code, 0, `${args.join(" ")}: ${stderr}`)
  return Schema.decodeUnknownSync(Schema.fromJsonString(schema), { onExcessProperty: "error" })(stdout)
})

it.live(
  "every command's --json is what its Schema says; what is refused prints nothing but its error line",
  () =>
    Effect.gen(function* () {
      const root = yield* temporaryDirectory
      const at = ["--store", join(root, "store")]
      const fields = settings(tiny).flatMap((setting) => ["--set", setting])
      const small = ["--scale", "smoke", "--threads", "1", ...fields, ...at]

      yield* printed(SingleResult, "run", "single", ...small)
      yield* printed(Listing, "list")
      yield* printed(Listing, "list", "heads")
      const foreseen = yield* printed(Plan, "plan", "single", ...small)
      assert.strictEqual(foreseen.toRun, 0)
      const { stages } = yield* printed(
        Explanation,
        ...["explain", "train", "--scale", "smoke"],
        ...fields,
        ...at,
      )
      assert.deepStrictEqual(
        stages.map(({ state }) => state),
        ["found"],
      )
      const { runs } = yield* printed(Status, "status", ...at)
      const [trained] = yield* printed(Records, "show", "train", ...at)
      yield* printed(StageRecord, "show", trained.key, ...at)
      const { curve } = Schema.decodeUnknownSync(
        Schema.Struct({ curve: Schema.Struct({ digest: Schema.String }) }),
      )(trained.output)
      yield* printed(ShownArtifact, "show", curve.digest, ...at)
      const { same } = yield* printed(Compared, "diff", trained.key, "train", ...at)
      assert.isTrue(same)
      yield* printed(Verified, "verify", ...at)
      yield* printed(Reruns, "verify", "--rerun", "generate-data", ...at)
      yield* printed(Accepted, "accept", "train", "--because", "a test", ...at)
      const pinned = yield* printed(Pin, "pin", "train", "--because", "a test", ...at)
      const { pins } = yield* printed(Pins, "pin", ...at)
      assert.deepStrictEqual(pins, [pinned])
      assert.deepStrictEqual(yield* printed(Pin, "unpin", "train", ...at), pinned)
      yield* printed(Collection, "gc", "--dry-run", ...at)
      const file = join(root, "all.tar")
      const exported = yield* printed(Exported, "export", runs[0].command, "--out", file, ...at)
      const imported = yield* printed(Imported, "import", file, "--store", join(root, "other"))
      assert.strictEqual(imported.newRecords, exported.records)
      yield* printed(ExportedTwin, "export-twin", "--steps", "2", "--out", join(root, "twin"), ...small)

      for (const args of [
        ["show", "nonsense"],
        ["accept", "train", "--because", " "],
        ["unpin", "nonsense"],
        ["export", "nonsense", "--out", file],
      ]) {
        const { code, stdout, stderr } = yield* cli([...args, ...at, "--json"])
        assert.deepStrictEqual([code, stdout], [2, ""])
        assert.match(stderr, /^error: [^\n]+\n$/)
      }
    }).pipe(Effect.provide(NodeServices.layer)),
  180_000,
)
