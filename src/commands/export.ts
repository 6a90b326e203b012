/** `export <what> --out FILE`: results of the store as one file, for `import` elsewhere. */
import { Console, Effect, FileSystem, Layer, Path, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import packageJson from "../../package.json" with { type: "json" }
import { Progress } from "../services/Progress.ts"
import { select } from "../services/share/collect.ts"
import { exportArchive } from "../services/share/exportArchive.ts"
import { openArchive } from "../services/share/readArchive.ts"
import { BadInput, suggest } from "./BadInput.ts"
import { descriptions } from "./descriptions.ts"
import { json, store } from "./options.ts"
import { printJson } from "./printJson.ts"
import { storeLayer } from "./services.ts"

/** What `--json` prints. */
export const Exported = Schema.Struct({
  file: Schema.String,
  records: Schema.Int,
  artifacts: Schema.Int,
  bytes: Schema.Int,
})

/** A file may be replaced only if it is an earlier export. */
const checkReplaceable = Effect.fnUntraced(function* (out: string) {
  const fs = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  yield* fs
    .access(dirname(out), { writable: true })
    .pipe(Effect.mapError(() => new BadInput({ message: `--out ${out}: cannot write there` })))
  if (!(yield* fs.exists(out))) return
  yield* Effect.scoped(openArchive(out)).pipe(
    Effect.mapError(
      () =>
        new BadInput({ message: `--out ${out}: is there, and is no earlier export; choose another name` }),
    ),
  )
})

export const exportResults = Command.make(
  "export",
  {
    what: Argument.String("what").pipe(
      Argument.withDescription(
        "A command as `status` shows it, the first digits of a key, or a stage's label",
      ),
    ),
    out: Flag.String("out").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("File to write; it must not exist, unless it is an earlier export"),
    ),
    store,
    json,
  },
  ({ what, out, json }) =>
    Effect.gen(function* () {
      const progress = yield* Progress
      const path = yield* Path.Path
      const file = path.resolve(out)
      const selection = yield* select(what)
      yield* checkReplaceable(file)
      const exporting = exportArchive(selection, { file, grokscope: packageJson.version })
      const { records, artifacts, bytes } = yield* progress.running("export", exporting)
      if (json) return yield* printJson(Exported, { file, records, artifacts, bytes })
      yield* Console.log(
        `wrote ${records} records and ${artifacts} artifacts (${Math.ceil(bytes / 1e6)} MB) to ${out}; \`import ${path.basename(out)}\` takes them into another store`,
      )
    }).pipe(
      Effect.catchTags({
        NothingSelected: ({ message, valid }) =>
          Effect.fail(new BadInput({ message: `${message}${suggest(what, valid)}` })),
        CannotWrite: ({ message }) => Effect.fail(new BadInput({ message: `--out: ${message}` })),
      }),
    ),
).pipe(
  Command.provide((options) => Layer.merge(storeLayer(options), Progress.layer(process.stderr))),
  Command.withDescription(descriptions.export),
  Command.withExamples([
    {
      command: "pnpm pipeline export reproduce-all --out paper.tar",
      description: "All that a run asked for",
    },
    {
      command: 'pnpm pipeline export "train add/42" --out train.tar',
      description: "One stage's output, and what its input leads to",
    },
  ]),
)
