/** What the cases of `pnpm bench` share: their options' form, how figures are printed, where they are recorded. */
import { cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { DateTime, Effect, FileSystem, Schema } from "effect"
import { Flag } from "effect/cli"
import { quantile } from "../src/numerics/statistics.ts"

export const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** A count of at least 1. */
export const count = (name: string, byDefault: number, description: string) =>
  Flag.Int(name).pipe(
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThan(0))),
    Flag.withDefault(byDefault),
    Flag.withDescription(description),
  )

export const recording = (file: string) =>
  Flag.Boolean("record").pipe(
    Flag.withDefault(false),
    Flag.withDescription(`Append the figures to bench/results/${file}`),
  )

/** `median (lowest–highest)`. */
export const spread = (values: ReadonlyArray<number>, unit: string): string => {
  const [low, middle, high] = [0, 0.5, 1].map((q) => quantile(values, q).toFixed(2))
  return `${middle}${unit} (${low}–${high})`
}

/** Appends one line to a file of results: when and where, then the figures. */
export const append = Effect.fn("append")(function* (file: string, figures: object) {
  const fs = yield* FileSystem.FileSystem
  const at = DateTime.formatIso(yield* DateTime.now)
  const machine = `${cpus()[0]?.model} x${cpus().length}`
  yield* fs.makeDirectory(here("./results"), { recursive: true })
  const line = JSON.stringify({ at, machine, ...figures })
  yield* fs.writeFileString(here(`./results/${file}`), `${line}\n`, { flag: "a" })
})
