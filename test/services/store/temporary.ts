/** Stores in fresh directories that are gone after the test. */
import { readdirSync } from "node:fs"
import { join, relative } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { Effect, FileSystem, Layer } from "effect"
import { ArtifactStore } from "../../../src/services/ArtifactStore.ts"

/** A fresh directory, removed when the scope closes. */
export const temporaryDirectory = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "grokscope-test-" }),
)

/** An empty store, another one each time this is called. */
export const temporaryStore = () =>
  Layer.unwrap(Effect.map(temporaryDirectory, ArtifactStore.layer)).pipe(
    Layer.provideMerge(NodeServices.layer),
  )

/** Every file below a directory, hidden ones too, by path relative to it. */
export const filesBelow = (directory: string): ReadonlyArray<string> =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort()

/** What writers leave behind when they are killed. */
export const temporaryFilesBelow = (directory: string): ReadonlyArray<string> =>
  filesBelow(directory).filter((file) => file.endsWith(".tmp"))
