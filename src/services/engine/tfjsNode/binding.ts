/**
 * TensorFlow's C library as `@tensorflow/tfjs-node-gpu` uses it: a native addon, built by `setUp.ts` or by the package's own
 * install script. One addon serves the CPU and NVIDIA's GPUs; which, depends on the TensorFlow that it was built against.
 */
import { createRequire } from "node:module"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import util from "node:util"
import type { KernelBackend } from "@tensorflow/tfjs"
import { Config, Effect, FileSystem, Option } from "effect"
import { EngineUnavailable } from "../EngineUnavailable.ts"

export const PACKAGE = "@tensorflow/tfjs-node-gpu"
const ADDON = "tfjs_binding.node"

const require = createRequire(import.meta.url)

/** The directory that `setUp.ts` builds in: nothing else is there. */
export const folder = Effect.gen(function* () {
  const cache = yield* Config.option(Config.NonEmptyString("XDG_CACHE_HOME"))
  const parent = Option.getOrElse(cache, () => join(homedir(), ".cache"))
  return join(parent, "grokscope", "engines", "tfjs-node-gpu")
}).pipe(Effect.orDie)

export const addonIn = (directory: string): string => join(directory, ADDON)

/** The package's directory, where it is installed: it is an optional dependency. */
export const packageDirectory = Effect.sync(() => {
  try {
    return Option.some(dirname(require.resolve(`${PACKAGE}/package.json`)))
  } catch {
    return Option.none<string>()
  }
})

/** Where the addon is, if anywhere: the one that `setUp.ts` built goes first. */
export const findAddon = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const own = addonIn(yield* folder)
  const installed = Option.map(yield* packageDirectory, (directory) =>
    join(directory, "lib", "napi-v8", ADDON),
  )
  for (const path of [own, ...Option.toArray(installed)]) {
    if (yield* Effect.orElseSucceed(fs.exists(path), () => false)) return Option.some(path)
  }
  return Option.none<string>()
})

/** What we use of the addon; the package's classes use the rest. */
export interface Binding {
  readonly TF_Version: string
  readonly isUsingGpuDevice: () => boolean
  /** Tensors that TensorFlow holds for this thread. */
  readonly getNumOfTensors: () => number
}

/** What the package's own index would do, but for the check of where the addon is. */
interface Loaded {
  readonly binding: Binding
  readonly version: string
  readonly makeBackend: () => KernelBackend
}

/** Everything that the addon needs to see in the environment of the process before it is loaded. */
export const prepare = (options: { readonly gpu: boolean; readonly threads: number }): void => {
  // Its info lines would come between ours.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2"
  // Sums in an order that depends on nothing but their lengths.
  process.env.TF_ENABLE_ONEDNN_OPTS ??= "0"
  process.env.TF_NUM_INTRAOP_THREADS ??= String(options.threads)
  process.env.TF_NUM_INTEROP_THREADS ??= "1"
  if (!options.gpu) process.env.CUDA_VISIBLE_DEVICES = "-1"
  // tfjs-node calls what Node 23 removed.
  if (!("isNullOrUndefined" in util)) {
    Object.assign(util, { isNullOrUndefined: (value: unknown) => value === undefined || value === null })
  }
}

const readVersion = (): string => {
  const { version }: { readonly version: string } = require(`${PACKAGE}/package.json`)
  return version
}

/** Version of the package, where it is installed. */
export const packageVersion = Effect.sync(readVersion)

/** Loads an addon; throws where that is not possible. */
export const load = (addon: string): Loaded => {
  const binding: Binding = require(addon)
  const version = readVersion()
  const {
    NodeJSKernelBackend,
  }: { readonly NodeJSKernelBackend: new (...of: [Binding, string]) => KernelBackend } = require(
    `${PACKAGE}/dist/nodejs_kernel_backend.js`,
  )
  require(`${PACKAGE}/dist/register_all_kernels.js`)
  return { binding, version, makeBackend: () => new NodeJSKernelBackend(binding, PACKAGE) }
}

/** Loads the addon. */
export const openBinding = Effect.fn("openBinding")(function* (
  engine: string,
  options: { readonly gpu: boolean; readonly threads: number },
) {
  const addon = yield* findAddon
  if (Option.isNone(addon)) {
    return yield* new EngineUnavailable({
      engine,
      because: "it is not set up",
      next: "pip install tensorflow (or tensorflow[and-cuda] for NVIDIA's GPUs), then: pnpm pipeline setup-engine tfjs-node-gpu",
    })
  }
  const loaded = yield* Effect.try({
    try: () => {
      prepare(options)
      return load(addon.value)
    },
    catch: (cause) =>
      new EngineUnavailable({
        engine,
        because: `${addon.value} does not load: ${cause instanceof Error ? cause.message : String(cause)}`,
        next: "set it up anew: pnpm pipeline setup-engine tfjs-node-gpu",
      }),
  })
  if (options.gpu && !loaded.binding.isUsingGpuDevice()) {
    return yield* new EngineUnavailable({
      engine,
      because: `TensorFlow ${loaded.binding.TF_Version} finds no GPU`,
      next: "--engine tfjs-node runs it on the CPU; for a GPU, see that nvidia-smi lists it and set up with tensorflow[and-cuda]",
    })
  }
  return loaded
})
