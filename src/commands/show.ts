import { Console, Effect, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import type { ArtifactRef } from "../services/Artifact.ts"
import { ArtifactStore, type StageRecord } from "../services/ArtifactStore.ts"
import { getJson, getTable, getTensors } from "../services/artifacts.ts"
import { BadInput, suggest } from "./BadInput.ts"
import { json, store, storeLayer } from "./options.ts"

/** What an artifact holds, small enough to print. */
const contents = Effect.fn("contents")(function* (ref: ArtifactRef) {
  switch (ref.format) {
    case "json":
      return yield* getJson(Schema.Unknown, ref)
    case "parquet": {
      const rows = yield* getTable(ref)
      return { rows: rows.numRows(), columns: rows.columnNames(), first: rows.slice(0, 10).objects() }
    }
    case "safetensors": {
      const tensors = yield* getTensors(ref)
      return Object.fromEntries(
        Object.entries(tensors).map(([name, { dtype, shape }]) => [name, `${dtype} [${shape.join(", ")}]`]),
      )
    }
  }
})

const summary = ({ stage, key, provenance, output }: StageRecord) => ({
  stage,
  key,
  committedAt: provenance.committedAt,
  seconds: provenance.seconds,
  output,
})

export const show = Command.make(
  "show",
  {
    artifact: Argument.String("artifact").pipe(
      Argument.withDescription("A stage's name, or the first digits of a key or of an artifact's digest"),
    ),
    store,
    json,
  },
  (options) =>
    Effect.gen(function* () {
      const { find, records } = yield* ArtifactStore
      const print = (value: unknown) => Console.log(JSON.stringify(value, null, 2))
      const name = options.artifact
      const all = yield* records
      const stages = [...new Set(all.map(({ stage }) => stage))]
      if (stages.includes(name)) {
        const ofStage = all.filter(({ stage }) => stage === name).map(summary)
        if (options.json) return yield* print(ofStage)
        const lines = ofStage.map(
          ({ key, committedAt, seconds }) => `${key.slice(0, 12)}  ${committedAt}  ${seconds.toFixed(1)} s`,
        )
        return yield* Console.log(lines.join("\n"))
      }
      if (!/^[0-9a-f]{4,64}$/.test(name)) {
        return yield* new BadInput({
          message:
            stages.length === 0
              ? `no stage ${name} in ${options.store}, which has no results yet; run a pipeline first`
              : `unknown stage ${name}${suggest(name, stages)}`,
        })
      }
      const records_ = all.filter(({ key }) => key.startsWith(name))
      const blobs = yield* find(name)
      const [record] = records_
      const [blob] = blobs
      if (records_.length + blobs.length > 1) {
        return yield* new BadInput({ message: `${name} is the start of several; give more digits` })
      }
      if (record !== undefined) return yield* print(record)
      if (blob !== undefined) return yield* print({ ...blob, contents: yield* contents(blob) })
      return yield* new BadInput({ message: `nothing in ${options.store} starts with ${name}` })
    }).pipe(Effect.provide(storeLayer(options))),
).pipe(
  Command.withDescription("Show what a stage has stored, a record or an artifact"),
  Command.withExamples([{ command: "pnpm pipeline show train", description: "All stored trainings" }]),
)
