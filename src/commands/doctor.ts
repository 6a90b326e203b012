/** `doctor`: which engines work on this machine, how fast and how exactly, and what to do about those that do not. */
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { Console, Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { Checked, checkEngine } from "../services/engine/check.ts"
import { type EngineName, engineNames } from "../services/engine/engines.ts"
import { findAddon } from "../services/engine/tfjsNode/binding.ts"
import { descriptions } from "./descriptions.ts"
import { json } from "./options.ts"
import { printJson } from "./printJson.ts"

export const Doctor = Schema.Struct({
  /** Name and driver of every NVIDIA GPU, as `nvidia-smi` lists them. */
  gpus: Schema.Array(Schema.String),
  engines: Schema.Array(Checked),
})
export type Doctor = typeof Doctor.Type

const THREADS = availableParallelism()
const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url))
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Doctor))

/** What a command prints, or nothing where it does not start or fails. */
const output = Effect.fn("output")(function* (command: string, args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  return yield* Effect.option(spawner.string(ChildProcess.make(command, args, { stderr: "ignore" })))
})

/** Whether the engine may take down the process: that of every run cannot, and what is not there cannot either. */
const isRisky = (engine: EngineName) => {
  if (engine === "onnx") return Effect.succeed(false)
  return engine === "onnx-webgpu" ? Effect.succeed(true) : Effect.map(findAddon, Option.isSome)
}

/** Checks an engine, in a process of its own where native code may take it down. */
const check = Effect.fn("check")(function* (engine: EngineName) {
  if (!(yield* isRisky(engine))) return yield* checkEngine(engine, THREADS)
  const text = yield* output(process.execPath, [MAIN, "doctor", "--engine", engine, "--json"])
  const checked = Option.isSome(text) ? yield* Effect.option(decode(text.value)) : Option.none()
  const [own] = Option.isSome(checked) ? checked.value.engines : []
  const failed: Checked = {
    engine,
    usable: false,
    version: null,
    device: "",
    products: null,
    error: null,
    because: "it takes down the process that loads it",
    next: `see what it says: pnpm pipeline doctor --engine ${engine}`,
  }
  return own ?? failed
})

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
  error,
  because,
  next,
}: Checked): ReadonlyArray<string> =>
  usable
    ? [
        `${engine.padEnd(16)}works: ${products?.toFixed(0)} GFLOP/s, within ${error?.toExponential(0)} of the reference`,
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
          onSome: (engine) => Effect.map(checkEngine(engine, THREADS), (checked) => [checked]),
          // One after the other: rates are of an idle machine.
          onNone: () => Effect.forEach(engineNames, check),
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
