/** A process of its own that writes a file again and again: arguments are its path and what it is to hold. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { commitFile } from "../../../src/services/store/files.ts"

const [path, content] = process.argv.slice(2)
const write = commitFile(path, new TextEncoder().encode(content.repeat(1000)))

await Effect.runPromise(write.pipe(Effect.repeat({ times: 200 }), Effect.provide(NodeServices.layer)))
