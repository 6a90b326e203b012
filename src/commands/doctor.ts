/** `doctor`: which engines work on this machine, how fast and how exactly, and what to do about those that do not. */
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { digits } from "../report/estimateText.ts"
import type { Checked } from "../services/engine/check.ts"
import { engineNames } from "../services/engine/engines.ts"
import { checkAll, checkHere, Doctor, output } from "./checked.ts"
import { descriptions } from "./descriptions.ts"
import { json } from "./options.ts"
import { printJson } from "./printJson.ts"

const gpus = Effect.map(
  output("nvidia-smi", ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]),
  Option.match({ onNone: () => [], onSome: (text) => text.split("\n").filter((line) => line !== "") }),
)

const lines = ({
  engine,
  usable,
  version,
  device,
  products,
  step,
  error,
  because,
  next,
}: Checked): ReadonlyArray<string> =>
  usable
    ? [
        `${engine.padEnd(16)}works: ${digits(step ?? 0)} ms a training step, ${digits(products ?? 0)} GFLOP/s, ${error?.toExponential(0)} from the reference`,
        `${"".padEnd(16)}${device}`,
        `${"".padEnd(16)}${version}`,
      ]
    : [`${engine.padEnd(16)}cannot be used: ${because}`, `${"".padEnd(16)}${next}`]

const render = ({ gpus, engines }: Doctor): string =>
  [
    gpus.length === 0 ? "No NVIDIA GPU (nvidia-smi lists none)" : gpus.join("\n"),
    ...engines.flatMap((checked) => ["", ...lines(checked)]),
  ].join("\n")

export const doctor = Command.make(
  "doctor",
  {
    engine: Flag.Literals("engine", engineNames).pipe(
      Flag.withDescription("Check this one alone, in the process itself"),
      Flag.optional,
    ),
    json,
  },
  Effect.fn(function* (options) {
    const [found, engines] = yield* Effect.all(
      [
        gpus,
        Option.match(options.engine, {
          onSome: (engine) => Effect.map(checkHere(engine), (checked) => [checked]),
          onNone: () => checkAll,
        }),
      ],
      { concurrency: "unbounded" },
    )
    const result: Doctor = { gpus: found, engines }
    return yield* options.json ? printJson(Doctor, result) : Console.log(render(result))
  }),
).pipe(
  Command.withDescription(descriptions.doctor),
  Command.withExamples([
    { command: "pnpm pipeline doctor", description: "All engines" },
    { command: "pnpm pipeline doctor --engine tfjs-node", description: "One, with all that it says itself" },
  ]),
)
