/** The `pnpm pipeline` command. Keeps compiled code below node_modules: reading it again takes half of compiling it. */
import { enableCompileCache } from "node:module"
import { join } from "node:path"

enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/grokscope"))
await import("./cli.ts")
