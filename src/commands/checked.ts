/** Engines checked, each in a process of its own where native code may take it down: what `doctor` says and `--engine auto` chooses by. */
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { Console, Effect, Fiber, Option, Schema } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { paper } from "../pipelines/sizes.ts"
import { Checked, checkEngine } from "../services/engine/check.ts"
import { type EngineName, engineNames } from "../services/engine/engines.ts"
import { isVulkanThere } from "../services/engine/onnx/vulkan.ts"
import { findAddon } from "../services/engine/tfjsNode/binding.ts"

/** What `doctor --json` prints. */
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
export const output = Effect.fn("output")(function* (command: string, args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  return yield* Effect.option(spawner.string(ChildProcess.make(command, args, { stderr: "ignore" })))
})

/** Whether the engine may take down the process: that of every run cannot, and what is not there cannot either. */
const isRisky = (engine: EngineName) => {
  if (engine === "onnx") return Effect.succeed(false)
  return engine === "onnx-webgpu" ? Effect.sync(isVulkanThere) : Effect.map(findAddon, Option.isSome)
}

/** The paper's training. */
const timed = {
  shape: { modulus: paper.data.modulus, tasks: 1, ...paper.model },
  optimizer: paper.train,
  batchSize: paper.train.batchSize,
}

/** Checks an engine in this process, its rates when `idle` ends. */
export const checkHere = (engine: EngineName, idle: Effect.Effect<unknown> = Effect.void) =>
  checkEngine(engine, THREADS, timed, idle)

/** Checks an engine where it can do no harm. */
const check = Effect.fn("check")(function* (engine: EngineName) {
  if (!(yield* isRisky(engine))) return yield* checkHere(engine)
  const text = yield* output(process.execPath, [MAIN, "doctor", "--engine", engine, "--json"])
  const checked = Option.isSome(text) ? yield* Effect.option(decode(text.value)) : Option.none()
  const [own] = Option.isSome(checked) ? checked.value.engines : []
  const failed: Checked = {
    engine,
    usable: false,
    version: null,
    device: "",
    products: null,
    step: null,
    error: null,
    because: "it takes down the process that loads it",
    next: `see what it says: pnpm pipeline doctor --engine ${engine}`,
  }
  return own ?? failed
})

const [first, ...others] = engineNames

/** All engines: the first is compared with the reference while the others start, then each measures its rates alone. */
export const checkAll = Effect.gen(function* () {
  const rest = yield* Effect.forkChild(Effect.forEach(others, check))
  return [yield* checkHere(first, Fiber.await(rest)), ...(yield* Fiber.join(rest))]
})

/** The usable engine with the shortest training step; says which on standard error. */
export const fastest = Effect.gen(function* () {
  const usable = (yield* checkAll).flatMap(({ engine, usable, step }) =>
    usable && step !== null ? [{ engine, step }] : [],
  )
  usable.sort((a, b) => a.step - b.step)
  const text = usable.map(({ engine, step }) => `${engine} ${step.toFixed(0)} ms`).join(", ")
  const chosen: EngineName = usable[0]?.engine ?? "onnx"
  yield* Console.error(`--engine auto takes ${chosen}; a training step of the paper's size: ${text}`)
  return chosen
})
