/** `gc`: deletes what no run that counts, no pin and no living process needs. */
import { Console, Effect, Layer, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { Account } from "../services/gc/account.ts"
import { gc as collectGarbage } from "../services/gc/gc.ts"
import { Leases } from "../services/Leases.ts"
import { Progress } from "../services/Progress.ts"
import { BadInput } from "./BadInput.ts"
import { bytesText, parseBytes } from "./byteSize.ts"
import { descriptions } from "./descriptions.ts"
import { gcText } from "./gcText.ts"
import { json, store } from "./options.ts"
import { requireStore, requireWritable, storeLayer } from "./services.ts"

const dryRun = Flag.Boolean("dry-run").pipe(
  Flag.withDescription("Delete nothing; say what would go and what is kept"),
  Flag.withDefault(false),
)

const all = Flag.Boolean("all").pipe(
  Flag.withDescription("List each single thing that goes, not a line for each stage"),
  Flag.withDefault(false),
)

const keepUnder = Flag.String("keep-under").pipe(
  Flag.withMetavar("SIZE"),
  Flag.withDescription(
    "Such as 5GB or 500MiB: also drop results of runs, those first that free most for the time to compute them again",
  ),
  Flag.optional,
)

/** What `--json` prints. */
export const Collection = Schema.Struct({
  store: Schema.String,
  dryRun: Schema.Boolean,
  /** Bytes that the store was to have at most. */
  keepUnder: Schema.optionalKey(Schema.Int),
  ...Account.fields,
})

/** What may not be dropped is more than the store was to have. */
class NoRoom extends Schema.TaggedError<NoRoom>()("NoRoom", { message: Schema.String }) {}

const noRoom = (store: string, limit: number, { kept }: Account): NoRoom => {
  const { pins, processes, unfinished } = kept
  const reasons = [
    [pins.reduce((sum, { bytes }) => sum + bytes, 0), "pinned (see `pnpm pipeline pin`)"],
    [processes.bytes, "in use by running processes"],
    [unfinished, "of computations that did not end (run their command again)"],
  ] as const
  const why = reasons.flatMap(([bytes, what]) => (bytes > 0 ? [`${bytesText(bytes)} ${what}`] : []))
  const all = why.length === 0 ? "something was written meanwhile, run this again" : why.join(", ")
  return new NoRoom({
    message: `--keep-under ${bytesText(limit)}: ${store} still needs ${bytesText(kept.bytes)}: ${all}`,
  })
}

const limitOf = (given: Option.Option<string>) =>
  Effect.transposeOption(
    Option.map(given, (text) =>
      Effect.mapError(
        Effect.fromOption(parseBytes(text)),
        () =>
          new BadInput({
            message: `--keep-under ${text}: give a size such as 5GB, 1.5GiB or 800 MB (B, kB, MB, GB, TB, KiB, MiB, GiB)`,
          }),
      ),
    ),
  )

export const gc = Command.make("gc", { store, dryRun, keepUnder, all, json }, (options) =>
  Effect.gen(function* () {
    const progress = yield* Progress
    const limit = Option.getOrUndefined(yield* limitOf(options.keepUnder))
    yield* requireStore(options.store)
    if (!options.dryRun) yield* requireWritable
    const { dryRun } = options
    const account = yield* progress.running("gc", collectGarbage({ dryRun, keepUnder: limit }))
    const collection = {
      store: options.store,
      dryRun,
      ...(limit === undefined ? {} : { keepUnder: limit }),
      ...account,
    }
    yield* Console.log(
      options.json
        ? JSON.stringify(yield* Schema.encodeEffect(Collection)(collection), null, 2)
        : gcText(account, options),
    )
    if (limit !== undefined && account.kept.bytes > limit) return yield* noRoom(options.store, limit, account)
  }).pipe(
    Effect.provide(
      Leases.layer("gc").pipe(
        Layer.provideMerge(Layer.merge(storeLayer(options), Progress.layer(process.stderr))),
      ),
    ),
  ),
).pipe(
  Command.withDescription(descriptions.gc),
  Command.withExamples([
    { command: "pnpm pipeline gc --dry-run", description: "What would go, and what is kept for what" },
    { command: "pnpm pipeline gc --keep-under 5GB", description: "Also drop what is quickly computed again" },
  ]),
)
