/** What the cases of `pnpm bench` share: their options' form, how figures are printed, where they are recorded. */
import { cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { Clock, DateTime, Effect, FileSystem, Schema } from "effect"
import { Flag } from "effect/cli"
import { quantile } from "../src/numerics/statistics.ts"

export const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Milliseconds that an effect takes, and its result. */
export const timed = Effect.fn("timed")(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const start = yield* Clock.currentTimeNanos
  const result = yield* effect
  return { result, milliseconds: Number((yield* Clock.currentTimeNanos) - start) / 1e6 }
})

/** A count of at least 1. */
export const count = (name: string, byDefault: number, description: string) =>
  Flag.Int(name).pipe(
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThan(0))),
    Flag.withDefault(byDefault),
    Flag.withDescription(description),
  )

/** Whether to keep the figures of a case. */
export const recording = (name: string) =>
  Flag.Boolean("record").pipe(
    Flag.withDefault(false),
    Flag.withDescription(`Append the figures to bench/results/${name}.ndjson`),
  )

/** `median (lowest–highest)`. */
export const spread = (values: ReadonlyArray<number>, unit: string): string => {
  const [low, middle, high] = [0, 0.5, 1].map((q) => quantile(values, q).toFixed(2))
  return `${middle}${unit} (${low}–${high})`
}

/** What tells processors of one name apart, where the kernel says so: a cloud's `AMD EPYC` is of several generations. */
const generation = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.orElseSucceed(fs.readFileString("/proc/cpuinfo"), () => "")
  const field = (name: string) => new RegExp(`^${name}\\s*: (\\d+)$`, "m").exec(text)?.[1]
  const [family, model] = [field("cpu family"), field("model")]
  return family === undefined || model === undefined ? "" : ` family ${family} model ${model}`
})

/** Appends one line to the results of a case: when and where, then the figures. */
export const append = Effect.fn("append")(function* (name: string, figures: object) {
  const fs = yield* FileSystem.FileSystem
  const at = DateTime.formatIso(yield* DateTime.now)
  const machine = `${cpus()[0]?.model}${yield* generation} x${cpus().length}`
  yield* fs.makeDirectory(here("./results"), { recursive: true })
  const line = JSON.stringify({ at, machine, ...figures })
  yield* fs.writeFileString(here(`./results/${name}.ndjson`), `${line}\n`, { flag: "a" })
})
