/** `show <artifact>`: what a stage has stored, one record, or the contents of one artifact. */
import { Console, Effect, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { stageNames } from "../pipelines/registry.ts"
import { ArtifactRef } from "../services/Artifact.ts"
import { ArtifactStore, StageRecord } from "../services/ArtifactStore.ts"
import { getJson, getTable, getTensors } from "../services/artifacts.ts"
import { nameOf } from "../services/bucket/address.ts"
import { describeGrade } from "../services/Grade.ts"
import { referencesOf } from "../services/references.ts"
import { BadInput, suggest } from "./BadInput.ts"
import { descriptions } from "./descriptions.ts"
import { json, store } from "./options.ts"
import { printJson } from "./printJson.ts"
import { storeLayer } from "./services.ts"

/** What a stage's name with `--json` prints. A key prints one record. */
export const Records = Schema.Array(StageRecord)

/** What an artifact's digest prints. */
export const ShownArtifact = Schema.Struct({
  ...ArtifactRef.fields,
  file: Schema.String,
  /** JSON in full; of a table its columns and first rows, of tensors their types and shapes. */
  contents: Schema.Unknown,
})

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

/** Name of each artifact in a stage's output, by digest. */
const namesOf = (output: unknown): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(Object(output)).flatMap(([name, value]) =>
      referencesOf(value).map(({ digest }): [string, string] => [digest, name]),
    ),
  )

/** A stage's results as text: key, time, and the file of each artifact. */
const describeRecord = Effect.fnUntraced(function* ({ key, output, provenance }: StageRecord) {
  const { pathOf } = yield* ArtifactStore
  const names = namesOf(output)
  const { accepted, determinism, imported } = provenance
  return [
    `${key.slice(0, 12)}  ${provenance.committedAt}  ${provenance.seconds.toFixed(1)} s${provenance.note === undefined ? "" : `  ${provenance.note}`}`,
    ...(accepted === undefined
      ? []
      : [`  computed by other code (${accepted.from.slice(0, 12)}), accepted because ${accepted.because}`]),
    ...(determinism === undefined
      ? []
      : [`  computed again on ${determinism.machine}: ${describeGrade(determinism.grade)}`]),
    ...(imported === undefined
      ? []
      : [`  imported ${imported.at} from archive ${imported.from.slice(0, 12)}`]),
    ...referencesOf(output).map((ref) => `  ${(names.get(ref.digest) ?? "").padEnd(12)}${pathOf(ref)}`),
  ].join("\n")
})

const showStage = Effect.fn("showStage")(function* (records: ReadonlyArray<StageRecord>, json: boolean) {
  if (json) return yield* printJson(Records, records)
  return yield* Console.log((yield* Effect.forEach(records, describeRecord)).join("\n\n"))
})

const showDigest = Effect.fn("showDigest")(function* (records: ReadonlyArray<StageRecord>, prefix: string) {
  const { find, pathOf, root } = yield* ArtifactStore
  const matching = records.filter(({ key }) => key.startsWith(prefix))
  const artifacts = yield* find(prefix)
  if (matching.length + artifacts.length > 1) {
    return yield* new BadInput({ message: `${prefix} is the start of several names; give more digits` })
  }
  for (const record of matching) return yield* printJson(StageRecord, record)
  for (const ref of artifacts) {
    return yield* printJson(ShownArtifact, { ...ref, file: pathOf(ref), contents: yield* contents(ref) })
  }
  return yield* new BadInput({ message: `no key or artifact in ${nameOf(root)} starts with ${prefix}` })
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
      const { records } = yield* ArtifactStore
      const all = yield* records
      const name = options.artifact
      const ofStage = all.filter(({ stage }) => stage === name)
      if (ofStage.length > 0) return yield* showStage(ofStage, options.json)
      if (/^[0-9a-f]{4,64}$/.test(name)) return yield* showDigest(all, name)
      return yield* new BadInput({
        message: stageNames().includes(name)
          ? `${options.store} has no results yet of ${name}; run a pipeline first`
          : `unknown stage ${name}${suggest(name, stageNames())}`,
      })
    }).pipe(Effect.provide(storeLayer(options))),
).pipe(
  Command.withDescription(descriptions.show),
  Command.withExamples([
    { command: "pnpm pipeline show train", description: "All stored trainings and their files" },
    { command: "pnpm pipeline show 3fa9c1", description: "The record or artifact whose name starts so" },
  ]),
)
