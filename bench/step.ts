/** `pnpm bench step`: our training step beside PyTorch's and JAX's, in alternation, at 1 and at 2 threads. */
import { cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { Console, DateTime, Effect, FileSystem, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { median, quantile } from "../src/numerics/statistics.ts"

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const Timing = Schema.Struct({
  peer: Schema.String,
  version: Schema.String,
  threads: Schema.Int,
  msPerStep: Schema.Array(Schema.Finite),
  peakMegabytes: Schema.optionalKey(Schema.Int),
})
type Timing = typeof Timing.Type

const competitors = [
  { peer: "grokscope", command: process.execPath, script: "./grokscope_step.ts" },
  { peer: "pytorch", command: "python3", script: "./peers/pytorch_step.py" },
  { peer: "jax", command: "python3", script: "./peers/jax_step.py" },
] as const

/** One process's timing; none where the peer is not installed. */
const time = Effect.fn("time")(function* (
  { command, script }: (typeof competitors)[number],
  threads: number,
  steps: number,
) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const output = yield* spawner.string(
    ChildProcess.make(command, [here(script), "--threads", String(threads), "--steps", String(steps)], {
      stderr: "ignore",
    }),
  )
  return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Timing))(output.trim())
}, Effect.option)

/** `median (lowest–highest)`. */
const spread = (values: ReadonlyArray<number>, unit: string): string => {
  const [low, middle, high] = [0, 0.5, 1].map((q) => quantile(values, q).toFixed(2))
  return `${middle}${unit} (${low}–${high})`
}

export const step = Command.make(
  "step",
  {
    rounds: Flag.Int("rounds").pipe(Flag.withDefault(7), Flag.withDescription("Alternations")),
    steps: Flag.Int("steps").pipe(Flag.withDefault(100), Flag.withDescription("Timed steps of each process")),
    record: Flag.Boolean("record").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Append the figures to bench/results/step.ndjson"),
    ),
  },
  Effect.fn(function* ({ rounds, steps, record }) {
    const fs = yield* FileSystem.FileSystem
    for (const threads of [1, 2]) {
      const timings: Array<Array<Timing>> = []
      for (let round = 0; round < rounds; round++) {
        const results = yield* Effect.forEach(competitors, (competitor) => time(competitor, threads, steps))
        timings.push(results.flatMap(Option.toArray))
      }
      const roundMedian = (peer: string): ReadonlyArray<number> =>
        timings.flatMap((round) =>
          round.filter((timing) => timing.peer === peer).map(({ msPerStep }) => median(msPerStep)),
        )
      const ours = roundMedian("grokscope")
      yield* Console.log(`\n${threads} thread${threads > 1 ? "s" : ""}, ${rounds} rounds of ${steps} steps`)
      for (const { peer } of competitors) {
        const theirs = roundMedian(peer)
        if (theirs.length < ours.length) {
          yield* Console.log(
            `  ${peer.padEnd(10)} not timed: python3 with bench/peers/requirements.txt is needed`,
          )
          continue
        }
        const ratios = ours.map((milliseconds, i) => milliseconds / theirs[i])
        const ratio = peer === "grokscope" ? "" : `   ours / ${peer} ${spread(ratios, "")}`
        yield* Console.log(`  ${peer.padEnd(10)} ${spread(theirs, " ms")}${ratio}`)
      }
      const peak = Math.max(...timings.flat().map(({ peakMegabytes }) => peakMegabytes ?? 0))
      yield* Console.log(`  our peak memory ${peak} MB`)
      if (record) {
        const at = DateTime.formatIso(yield* DateTime.now)
        const machine = `${cpus()[0]?.model} x${cpus().length}`
        const versions = Object.fromEntries(timings.flat().map(({ peer, version }) => [peer, version]))
        const figures = Object.fromEntries(
          competitors.map(({ peer }) => [peer, roundMedian(peer).map((ms) => Number(ms.toFixed(3)))]),
        )
        const line = {
          at,
          machine,
          versions,
          threads,
          rounds,
          steps,
          medianMsPerRound: figures,
          peakMegabytes: peak,
        }
        yield* fs.makeDirectory(here("./results"), { recursive: true })
        yield* fs.writeFileString(here("./results/step.ndjson"), `${JSON.stringify(line)}\n`, { flag: "a" })
      }
    }
  }),
).pipe(Command.withDescription("One training step: grokscope, PyTorch, JAX"))
