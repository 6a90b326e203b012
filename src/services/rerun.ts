/**
 * Computes stored outputs again, from the beginning and beside the store, and grades how far they are from what is stored.
 * The grade goes to the record's provenance; nothing else of the store changes.
 */
import { DateTime, Effect, FileSystem, Option, Schema } from "effect"
import { ArtifactStore, type StageRecord } from "./ArtifactStore.ts"
import { distance } from "./distance.ts"
import { type Grade, gradeOf } from "./Grade.ts"
import { machine } from "./machine.ts"
import { Progress } from "./Progress.ts"
import type { Recomputable } from "./recomputable.ts"
import { stageCode } from "./stageCode.ts"
import { digestOf } from "./store/canonical.ts"

const Preimage = Schema.Struct({ input: Schema.Unknown })

/** The input of a record that the present code of its stage computed. */
export const inputOf = Effect.fn("inputOf")(function* (stage: Recomputable, { key, preimage }: StageRecord) {
  const before = Schema.decodeUnknownOption(Preimage)(preimage)
  if (Option.isNone(before)) return Option.none<unknown>()
  const { input } = before.value
  return digestOf({ ...(yield* stageCode(stage)), input }) === key ? Option.some(input) : Option.none()
})

/** A store that reads from the one at hand and writes to a directory that is gone when the scope closes. */
const beside = Effect.gen(function* () {
  const store = yield* ArtifactStore
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ directory: store.root, prefix: "rerun-" })
  const scratch = yield* Effect.provide(ArtifactStore, ArtifactStore.layer(directory))
  return ArtifactStore.of({
    ...scratch,
    has: (ref) => Effect.flatMap(scratch.has(ref), (is) => (is ? Effect.succeed(true) : store.has(ref))),
    get: (ref) => Effect.flatMap(scratch.has(ref), (is) => (is ? scratch : store).get(ref)),
  })
})

/** Computes a record's output again and stores the grade with it. `input` is that of {@link inputOf}. */
export const rerun = Effect.fn("rerun")(function* (
  stage: Recomputable,
  record: StageRecord,
  input: unknown,
  label: string,
) {
  const store = yield* ArtifactStore
  const progress = yield* Progress
  const grade: Grade = yield* Effect.scoped(
    Effect.gen(function* () {
      const scratch = yield* beside
      return yield* progress.running(label, stage.compute(input)).pipe(
        Effect.flatMap((output) => distance(record.output, output)),
        Effect.map(gradeOf),
        Effect.provideService(ArtifactStore, scratch),
      )
    }),
  )
  const at = DateTime.formatIso(yield* DateTime.now)
  const determinism = { grade, at, machine: machine() }
  yield* store.commitRecord({ ...record, provenance: { ...record.provenance, determinism } })
  return grade
})
