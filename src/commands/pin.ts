/** `pin [result]`: keeps a result from garbage collection, or lists what is kept so. */
import { Console, DateTime, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { ArtifactStore } from "../services/ArtifactStore.ts"
import { labelsOf, pastRuns } from "../services/Journal.ts"
import { Pin, pins, putPin } from "../services/pins.ts"
import { BadInput } from "./BadInput.ts"
import { candidates } from "./candidates.ts"
import { descriptions } from "./descriptions.ts"
import { named } from "./named.ts"
import { json, store } from "./options.ts"
import { printJson } from "./printJson.ts"
import { requireWritable, storeLayer } from "./services.ts"

/** What `--json` prints without a result; with one it prints its `Pin`. */
export const Pins = Schema.Struct({ store: Schema.String, pins: Schema.Array(Pin) })

const describe = ({ key, stage, label, at, because }: Pin): string =>
  `  ${key.slice(0, 12)}  ${label ?? stage}  since ${at}${because === undefined ? "" : `  because ${because}`}`

const listPins = Effect.fn("listPins")(function* (store: string, json: boolean) {
  const all = yield* pins
  if (json) {
    return yield* printJson(Pins, { store, pins: all })
  }
  return yield* Console.log(
    all.length === 0
      ? `nothing is pinned in ${store}`
      : [`pinned in ${store}:`, ...all.map(describe)].join("\n"),
  )
})

const because = Flag.String("because").pipe(
  Flag.withMetavar("REASON"),
  Flag.withDescription("Why it is kept; shown by `pin` and by `gc`"),
  Flag.optional,
)

export const pin = Command.make(
  "pin",
  {
    result: Argument.String("result").pipe(
      Argument.withDescription("A label, such as 'train add/42', or the first digits of a key"),
      Argument.optional,
    ),
    because,
    store,
    json,
  },
  (options) =>
    Effect.gen(function* () {
      if (Option.isNone(options.result)) {
        if (Option.isSome(options.because)) {
          return yield* new BadInput({ message: "--because: say first what to pin" })
        }
        return yield* listPins(options.store, options.json)
      }
      const { record, records } = yield* ArtifactStore
      const labels = labelsOf(yield* pastRuns)
      const found = yield* named(options.result.value, candidates(yield* records, labels), options.store)
      yield* requireWritable
      const reason = Option.filter(options.because, (text) => text.trim() !== "")
      const pinned: Pin = {
        ...found,
        at: DateTime.formatIso(yield* DateTime.now),
        ...Option.match(reason, { onNone: () => ({}), onSome: (text) => ({ because: text.trim() }) }),
      }
      yield* putPin(pinned)
      // A collection beside may have looked for pins before this one was there.
      if (Option.isNone(yield* record(found.stage, found.key))) {
        return yield* new BadInput({
          message: `${options.result.value} was deleted meanwhile; compute it again`,
        })
      }
      if (options.json) return yield* printJson(Pin, pinned)
      const name = `${found.label ?? found.stage} ${found.key.slice(0, 12)}`
      yield* Console.log(`${name} is kept until \`pnpm pipeline unpin ${found.key.slice(0, 12)}\``)
    }).pipe(Effect.provide(storeLayer(options))),
).pipe(
  Command.withDescription(descriptions.pin),
  Command.withExamples([
    {
      command: "pnpm pipeline pin 'train add/42' --because 'figure 3 of the talk'",
      description: "Keep the newest training of that name",
    },
    { command: "pnpm pipeline pin", description: "What is pinned, since when and why" },
  ]),
)
