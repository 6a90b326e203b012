/**
 * Results that a person wants to keep, whichever runs come after.
 *
 *     pins/<key>.json   the record that is pinned, when and why
 *
 * The name of the file is what counts: a damaged pin goes on holding its record.
 */
import { Effect, FileSystem, Option, Path, Schema } from "effect"
import { Digest } from "./Artifact.ts"
import { ArtifactStore, StoreFailure } from "./ArtifactStore.ts"
import { commitFile } from "./store/files.ts"
import { sealed, unsealed } from "./store/sealed.ts"

export const Pin = Schema.Struct({
  stage: Schema.String,
  key: Digest,
  /** What runs call it, where a journal knew that. */
  label: Schema.optionalKey(Schema.String),
  at: Schema.String,
  because: Schema.optionalKey(Schema.String),
})
export type Pin = typeof Pin.Type

const decode = Schema.decodeUnknownOption(Pin)

const failed = (operation: string, path: string) =>
  Effect.mapError((cause: unknown) => new StoreFailure({ operation, path, cause }))

const directory = Effect.gen(function* () {
  const { root } = yield* ArtifactStore
  const { join } = yield* Path.Path
  return join(root, "pins")
})

/** All pins, by key. */
export const pins = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const below = yield* directory
  const names = yield* fs.readDirectory(below).pipe(
    Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed([])),
    failed("list", below),
  )
  const keys = names.flatMap((name) => /^([0-9a-f]{64})\.json$/.exec(name)?.[1] ?? []).sort()
  return yield* Effect.forEach(keys, (key) =>
    fs.readFileString(join(below, `${key}.json`)).pipe(
      Effect.option,
      Effect.map((text): Pin => {
        const pin = text.pipe(
          Option.flatMap(unsealed),
          Option.flatMap(decode),
          Option.filter((pin) => pin.key === key),
        )
        return Option.getOrElse(pin, () => ({
          stage: "unknown",
          key,
          at: "unknown",
          because: "the file of this pin cannot be read",
        }))
      }),
    ),
  )
})

/** Pins a record; a pin that it has already is replaced. */
export const putPin = Effect.fn("putPin")(function* (pin: Pin) {
  const { join } = yield* Path.Path
  const file = join(yield* directory, `${pin.key}.json`)
  yield* commitFile(file, new TextEncoder().encode(sealed(pin))).pipe(failed("write", file))
})

export const removePin = Effect.fn("removePin")(function* ({ key }: Pick<Pin, "key">) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const file = join(yield* directory, `${key}.json`)
  yield* fs.remove(file, { force: true }).pipe(failed("delete", file))
})
