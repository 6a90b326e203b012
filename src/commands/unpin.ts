/** `unpin <result>`: leaves a pinned result to garbage collection again. */
import { Console, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { Pin, pins, removePin } from "../services/pins.ts"
import { descriptions } from "./descriptions.ts"
import { named } from "./named.ts"
import { json, store } from "./options.ts"
import { printJson } from "./printJson.ts"
import { storeLayer } from "./services.ts"

export const unpin = Command.make(
  "unpin",
  {
    result: Argument.String("result").pipe(
      Argument.withDescription("A label or the first digits of a key; see `pin`"),
    ),
    store,
    json,
  },
  (options) =>
    Effect.gen(function* () {
      const newestFirst = (yield* pins).toSorted((a, b) => (a.at < b.at ? 1 : -1))
      const found = yield* named(options.result, newestFirst, `the list of pins of ${options.store}`)
      yield* removePin(found)
      if (options.json) return yield* printJson(Pin, found)
      yield* Console.log(`${found.label ?? found.stage} ${found.key.slice(0, 12)} is no longer pinned`)
    }).pipe(Effect.provide(storeLayer(options))),
).pipe(
  Command.withDescription(descriptions.unpin),
  Command.withExamples([
    {
      command: "pnpm pipeline unpin 'train add/42'",
      description: "See `pnpm pipeline pin` for what is pinned",
    },
  ]),
)
