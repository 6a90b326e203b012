/** `diff <a> <b>`: settings, metrics and files in which two results differ. */
import { Console, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { BadInput } from "./BadInput.ts"
import { Compared, compare } from "./compared.ts"
import { comparedText } from "./comparedText.ts"
import { descriptions } from "./descriptions.ts"
import { json, store } from "./options.ts"
import { printJson } from "./printJson.ts"
import { storeLayer } from "./services.ts"
import { sideOf } from "./sides.ts"

const side = (name: string) =>
  Argument.String(name).pipe(
    Argument.withDescription(
      "A directory of reproduce-all or of an ablation, DIRECTORY:CELL, a label, or the first digits of a key",
    ),
  )

export const diff = Command.make("diff", { a: side("a"), b: side("b"), store, json }, (options) =>
  Effect.gen(function* () {
    const a = yield* sideOf(options.a, options.store)
    const b = yield* sideOf(options.b, options.store)
    if (a.kind !== b.kind) {
      return yield* new BadInput({
        message: `${a.name} is ${a.kind} and ${b.name} is ${b.kind}; give two of one kind`,
      })
    }
    const compared = compare(a, b)
    if (options.json) return yield* printJson(Compared, compared)
    return yield* Console.log(comparedText(compared))
  }).pipe(Effect.provide(storeLayer(options))),
).pipe(
  Command.withDescription(descriptions.diff),
  Command.withExamples([
    {
      command: "pnpm pipeline diff artifacts/paper artifacts/smoke",
      description: "Two reproductions: claims, tables and figures",
    },
    {
      command: "pnpm pipeline diff artifacts/ablations/heads:heads=2 artifacts/ablations/heads:heads=4",
      description: "Two cells of an ablation",
    },
    { command: "pnpm pipeline diff 'train add/42' 3fa9c1", description: "Two stored results" },
  ]),
)
