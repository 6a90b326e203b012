/** Without a disk to fill; full disks, read-only ones and few open files are in `soak/resources.soak.ts`. */
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { temporaryDirectory } from "../services/store/temporary.ts"
import { ending, starved } from "./starved.ts"

/** In blocks of 512 bytes. Node would keep what it compiled as well. */
const small = { limit: "-f 5", env: { NODE_DISABLE_COMPILE_CACHE: "1" } }

it.live(
  "a run whose files do not fit says so in one line, and ends as any other where they do",
  () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [store, plain] = [join(directory, "store"), join(directory, "plain")]
      yield* starved(store, /EFBIG: file too large/, small)
      assert.deepStrictEqual(yield* ending(store), yield* ending(plain))
    }).pipe(Effect.provide(NodeServices.layer)),
  180_000,
)
