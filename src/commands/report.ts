/** `report`: one HTML file of what `reproduce-all` and ablations wrote. */
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { BadInput } from "./BadInput.ts"
import { bytesText } from "./byteSize.ts"
import { descriptions } from "./descriptions.ts"

export const from = Flag.String("from").pipe(
  Flag.withMetavar("DIR"),
  Flag.withDescription("Directory that reproduce-all wrote"),
  Flag.withDefault("artifacts/paper"),
)

export const ablations = Flag.String("ablations").pipe(
  Flag.withMetavar("DIR"),
  Flag.withDescription("Directory of ablations, a directory each; it need not be there"),
  Flag.withDefault("artifacts/ablations"),
)

const out = Flag.String("out").pipe(
  Flag.withMetavar("FILE"),
  Flag.withDescription("The file to write"),
  Flag.withDefault("report.html"),
)

// Loading these takes longer than everything that other commands load.
const loadWriting = Effect.promise(() => import("../report/html/write.ts"))

export const report = Command.make(
  "report",
  { from, ablations, out },
  Effect.fn(function* ({ from, ablations, out }) {
    const { writePage } = yield* loadWriting
    const bytes = yield* writePage(from, ablations, out).pipe(
      Effect.catchTag("UnreadableResults", ({ message }) => Effect.fail(new BadInput({ message }))),
    )
    yield* Console.log(`${out}: ${bytesText(bytes)}`)
  }),
).pipe(
  Command.withDescription(descriptions.report),
  Command.withExamples([
    { command: "pnpm pipeline report", description: "Everything below artifacts/ as report.html" },
    {
      command: "pnpm pipeline report --from artifacts/smoke --out smoke.html",
      description: "Of a smoke run",
    },
  ]),
)
