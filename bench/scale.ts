/**
 * `pnpm bench scale`: how a training step grows with the model's width and with the modulus, beside its matrix products alone:
 * where the step grows faster than they do, something other than arithmetic does.
 */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import { median } from "../src/numerics/statistics.ts"
import { append, count, recording } from "./measured.ts"
import { time } from "./race.ts"

const NAME = "scale"
const THREADS = 1

/** The paper's size is the first of each. */
const sizes = [
  ...[128, 256, 512, 1024].map((width) => ({ width, modulus: 97 })),
  ...[97, 199, 307, 499].map((modulus) => ({ width: 128, modulus })),
]

export const scale = Command.make(
  NAME,
  {
    rounds: count("rounds", 3, "Alternations"),
    steps: count("steps", 50, "Timed steps of each process"),
    record: recording(NAME),
  },
  Effect.fn(function* ({ rounds, steps, record }) {
    const measured = sizes.map((size) => ({
      ...size,
      timings: [] as Effect.Success<ReturnType<typeof time>>[],
    }))
    for (let round = 0; round < rounds; round++) {
      for (const { width, modulus, timings } of measured) {
        const options = ["--width", String(width), "--modulus", String(modulus)]
        timings.push(yield* time({ peer: "grokscope", script: "ours/step.ts", options }, THREADS, steps))
      }
    }
    const rows = measured.map(({ width, modulus, timings }) => ({
      width,
      modulus,
      ms: median(timings.map(({ msPerStep }) => median(msPerStep))),
      productsMs: median(timings.flatMap(({ floorMs }) => floorMs ?? [])),
      peakMegabytes: Math.max(...timings.map(({ peakMegabytes }) => peakMegabytes ?? 0)),
    }))
    yield* Console.log("\n width  modulus   ms per step   products alone   ratio   peak MB")
    for (const { width, modulus, ms, productsMs, peakMegabytes } of rows) {
      const cells = [
        String(width).padStart(6),
        String(modulus).padStart(8),
        ms.toFixed(2).padStart(13),
        productsMs.toFixed(2).padStart(16),
        (ms / productsMs).toFixed(2).padStart(7),
        String(peakMegabytes).padStart(9),
      ]
      yield* Console.log(cells.join(" "))
    }
    if (record) yield* append(NAME, { threads: THREADS, rounds, steps, rows })
  }),
).pipe(Command.withDescription("A training step of wider models and larger moduli"))
