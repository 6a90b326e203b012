/** The ablations that ship: every file of `ablations/`, by its name. Adding a file adds an ablation. */
import { Effect, FileSystem, Path } from "effect"
import { Ablation } from "./Ablation.ts"

const directory = `${import.meta.dirname}/ablations`

/** Their names, without loading them. */
export const ablationNames = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const files = yield* fs.readDirectory(directory)
  return files
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -".ts".length))
    .sort()
})

/** What the file of an ablation declares. */
export const loadAblation = Effect.fn("loadAblation")(function* (name: string) {
  const path = yield* Path.Path
  const address = yield* path.toFileUrl(path.join(directory, `${name}.ts`))
  const module: unknown = yield* Effect.promise(() => import(address.href))
  const declared = Object(module).default
  if (declared instanceof Ablation) return declared.declaration
  return yield* Effect.die(new Error(`ablations/${name}.ts exports no Ablation as its default`))
})
