/** `import FILE`: takes results that `export` wrote into the store, all of them verified, or none. */
import { Console, Effect, Layer, Path } from "effect"
import { Argument, Command } from "effect/cli"
import { Journal } from "../services/Journal.ts"
import { Progress } from "../services/Progress.ts"
import { importArchive } from "../services/share/importArchive.ts"
import { openArchive } from "../services/share/readArchive.ts"
import { BadInput } from "./BadInput.ts"
import { store, storeLayer } from "./options.ts"

export const importResults = Command.make(
  "import",
  {
    file: Argument.String("file").pipe(Argument.withDescription("A file that `export` wrote")),
    store,
  },
  ({ file }) =>
    Effect.gen(function* () {
      const progress = yield* Progress
      const { basename } = yield* Path.Path
      const imported = yield* Effect.scoped(
        Effect.gen(function* () {
          const archive = yield* openArchive(file)
          const taken = yield* progress.running("import", importArchive(archive))
          return { ...taken, origin: archive.manifest.origin }
        }),
      ).pipe(
        // Nothing was changed, whatever the reason.
        Effect.mapError(({ message }) => new BadInput({ message })),
      )
      const { found, artifacts, bytes, newRecords, newArtifacts, origin } = imported
      yield* Effect.provide(
        Effect.gen(function* () {
          const { append } = yield* Journal
          for (const named of found) yield* append({ _tag: "Found", ...named })
        }),
        Journal.layer(`import ${basename(file)}`),
      )
      yield* Console.log(
        `imported ${origin.command} from ${file}: ${newRecords} of ${found.length} records and ${newArtifacts} of ${artifacts} artifacts (${Math.ceil(bytes / 1e6)} MB) are new; all are verified`,
      )
    }),
).pipe(
  Command.provide((options) => Layer.merge(storeLayer(options), Progress.layer(process.stderr))),
  Command.withDescription("Take results that `export` wrote into the store: all of them verified, or none"),
  Command.withExamples([
    {
      command: "pnpm pipeline import paper.tar && pnpm pipeline reproduce-all",
      description: "Use another's results",
    },
  ]),
)
