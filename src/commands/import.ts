/** `import FILE`: takes results that `export` wrote into the store, all of them verified, or none. */
import { Console, Effect, Layer, Path, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { Journal } from "../services/Journal.ts"
import { Progress } from "../services/Progress.ts"
import { importArchive } from "../services/share/importArchive.ts"
import { openArchive } from "../services/share/readArchive.ts"
import { BadInput } from "./BadInput.ts"
import { descriptions } from "./descriptions.ts"
import { json, store } from "./options.ts"
import { printJson } from "./printJson.ts"
import { storeLayer } from "./services.ts"

/** What `--json` prints: what the archive holds, and how much of it the store did not have. */
export const Imported = Schema.Struct({
  command: Schema.String,
  file: Schema.String,
  records: Schema.Int,
  artifacts: Schema.Int,
  bytes: Schema.Int,
  newRecords: Schema.Int,
  newArtifacts: Schema.Int,
})

export const importResults = Command.make(
  "import",
  {
    file: Argument.String("file").pipe(Argument.withDescription("A file that `export` wrote")),
    store,
    json,
  },
  ({ file, json }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress
        const { basename } = yield* Path.Path
        const command = `import ${basename(file)}`
        // If these fail nothing was changed, whatever the reason.
        const badInput = Effect.mapError(({ message }: Error) => new BadInput({ message }))
        const archive = yield* badInput(openArchive(file))
        const importing = badInput(importArchive(archive, command))
        const { found, artifacts, bytes, newRecords, newArtifacts } = yield* progress.running(
          "import",
          importing,
        )
        yield* Effect.provide(
          Effect.gen(function* () {
            const { append } = yield* Journal
            for (const named of found) yield* append({ _tag: "Found", ...named })
          }),
          Journal.layer(command),
        )
        if (json) {
          return yield* printJson(Imported, {
            command: archive.manifest.origin.command,
            file,
            records: found.length,
            artifacts,
            bytes,
            newRecords,
            newArtifacts,
          })
        }
        yield* Console.log(
          `imported ${archive.manifest.origin.command} from ${file}: ${newRecords} of ${found.length} records and ${newArtifacts} of ${artifacts} artifacts (${Math.ceil(bytes / 1e6)} MB) are new; all are verified`,
        )
      }),
    ),
).pipe(
  Command.provide((options) => Layer.merge(storeLayer(options), Progress.layer(process.stderr))),
  Command.withDescription(descriptions.import),
  Command.withExamples([
    {
      command: "pnpm pipeline import paper.tar && pnpm pipeline reproduce-all",
      description: "Use another's results",
    },
  ]),
)
