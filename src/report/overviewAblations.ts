/** The ablations that stand in the overview of a reproduction, as far as they were run. */
import { Effect, FileSystem, Option, Path, Schema } from "effect"
import { Comparison } from "../pipelines/comparison.ts"
import { SMOKE_NOTE } from "../pipelines/scale.ts"

/** What sets the gap between gradients and updates. */
const DRAWN = ["weight-decay", "blocks"]

/** Those of the same scale as the results in `directory`, whose evidence says which. */
export const readAblations = Effect.fn("readAblations")(function* (directory: string, evidence: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const isSmoke = evidence.startsWith(SMOKE_NOTE)
  const parent = path.join(directory, "..", isSmoke ? "smoke-ablations" : "ablations")
  const texts = yield* Effect.forEach(DRAWN, (name) =>
    Effect.option(fs.readFileString(path.join(parent, name, "comparison.json"))),
  )
  return yield* Effect.forEach(texts.flatMap(Option.toArray), (text) =>
    Schema.decodeUnknownEffect(Schema.fromJsonString(Comparison))(text),
  )
})
