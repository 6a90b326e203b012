/** `pin [result]`: keeps a result from garbage collection, or lists what is kept so. */
import { Console, DateTime, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { ArtifactStore, type StageRecord } from "../services/ArtifactStore.ts"
import { labelsOf, pastRuns } from "../services/Journal.ts"
import { Pin, pins, putPin } from "../services/pins.ts"
import { BadInput } from "./BadInput.ts"
import { type Candidate, named } from "./named.ts"
import { json, requireWritable, store, storeLayer } from "./options.ts"

/** What `--json` prints without a result. */
export const Pins = Schema.Struct({ store: Schema.String, pins: Schema.Array(Pin) })

const describe = ({ key, stage, label, at, because }: Pin): string =>
  `  ${key.slice(0, 12)}  ${label ?? stage}  since ${at}${because === undefined ? "" : `  because ${because}`}`

const listPins = Effect.fn("listPins")(function* (store: string, json: boolean) {
  const all = yield* pins
  if (json) {
    return yield* Console.log(JSON.stringify(yield* Schema.encodeEffect(Pins)({ store, pins: all }), null, 2))
  }
  return yield* Console.log(
    all.length === 0
      ? `nothing is pinned in ${store}`
      : [`pinned in ${store}:`, ...all.map(describe)].join("\n"),
  )
})

interface Result extends Candidate {
  readonly stage: string
}

/** Records as people know them: those that runs mentioned last come first. */
const candidates = (
  records: ReadonlyArray<StageRecord>,
  labels: ReadonlyMap<string, string>,
): ReadonlyArray<Result> => {
  const byKey = new Map(records.map((record) => [record.key, record]))
  const mentioned = [...labels].toReversed().flatMap(([key, label]) => {
    const record = byKey.get(key)
    return record === undefined ? [] : [{ key, stage: record.stage, label }]
  })
  const others = records.flatMap(({ key, stage }) => (labels.has(key) ? [] : [{ key, stage }]))
  return [...mentioned, ...others]
}

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
      yield* putPin({
        ...found,
        at: DateTime.formatIso(yield* DateTime.now),
        ...Option.match(reason, { onNone: () => ({}), onSome: (text) => ({ because: text.trim() }) }),
      })
      // A collection beside may have looked for pins before this one was there.
      if (Option.isNone(yield* record(found.stage, found.key))) {
        return yield* new BadInput({
          message: `${options.result.value} was deleted meanwhile; compute it again`,
        })
      }
      const name = `${found.label ?? found.stage} ${found.key.slice(0, 12)}`
      yield* Console.log(`${name} is kept until \`pnpm pipeline unpin ${found.key.slice(0, 12)}\``)
    }).pipe(Effect.provide(storeLayer(options))),
).pipe(
  Command.withDescription("Keep a result from garbage collection; without one, list what is pinned"),
  Command.withExamples([
    {
      command: "pnpm pipeline pin 'train add/42' --because 'figure 3 of the talk'",
      description: "Keep the newest training of that name",
    },
    { command: "pnpm pipeline pin", description: "What is pinned, since when and why" },
  ]),
)
