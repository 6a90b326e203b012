/** `verify`: whether everything in a store is what its name says. */
import { Console, Effect, FileSystem, Layer, Schema } from "effect"
import { Command } from "effect/cli"
import { Progress } from "../services/Progress.ts"
import { verify as verifyStore } from "../services/verify.ts"
import { BadInput } from "./BadInput.ts"
import { json, store, storeLayer } from "./options.ts"

/** Something in the store is bad. */
class StoreDamaged extends Schema.TaggedError<StoreDamaged>()("StoreDamaged", {
  store: Schema.String,
  damages: Schema.Int,
}) {
  override get message() {
    return `${this.damages} damages in ${this.store}, listed above; run the same pipeline again to compute anew what is missing`
  }
}

export const verify = Command.make("verify", { store, json }, (options) =>
  Effect.gen(function* () {
    const progress = yield* Progress
    const fs = yield* FileSystem.FileSystem
    if (!(yield* fs.exists(options.store))) {
      return yield* new BadInput({ message: `--store ${options.store}: there is no store` })
    }
    const found = yield* progress.running("verify", verifyStore)
    const { blobs, bytes, records, cursors, damages } = found
    const megabytes = Math.round(bytes / 1e6)
    yield* Console.log(
      options.json
        ? JSON.stringify({ store: options.store, ...found }, null, 2)
        : [
            ...damages,
            `${blobs} artifacts (${megabytes} MB), ${records} records and ${cursors} cursors checked in ${options.store}: ${damages.length === 0 ? "all are what they should be" : `${damages.length} damages`}`,
          ].join("\n"),
    )
    if (damages.length > 0) {
      return yield* new StoreDamaged({ store: options.store, damages: damages.length })
    }
  }).pipe(Effect.provide(Layer.merge(storeLayer(options), Progress.layer(process.stderr)))),
).pipe(
  Command.withDescription(
    "Check every artifact, record and cursor of the store; move what is bad to quarantine",
  ),
  Command.withExamples([{ command: "pnpm pipeline verify", description: "Check artifacts/store" }]),
)
