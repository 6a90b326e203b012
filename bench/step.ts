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

const Positive = Schema.Int.check(Schema.isGreaterThan(0))

interface Competitor {
  readonly peer: string
  readonly command: string
  readonly script: string
}

const grokscope: Competitor = { peer: "grokscope", command: process.execPath, script: "./grokscope_step.ts" }
const peers: ReadonlyArray<Competitor> = [
  { peer: "pytorch", command: "python3", script: "./peers/pytorch_step.py" },
  { peer: "jax", command: "python3", script: "./peers/jax_step.py" },
]

/** One process's timing; fails where the peer is not installed. */
const time = Effect.fn("time")(function* ({ command, script }: Competitor, threads: number, steps: number) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const output = yield* spawner.string(
    ChildProcess.make(command, [here(script), "--threads", String(threads), "--steps", String(steps)], {
      stderr: "ignore",
    }),
  )
  return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Timing))(output.trim())
})

/** `median (lowest–highest)`. */
const spread = (values: ReadonlyArray<number>, unit: string): string => {
  const [low, middle, high] = [0, 0.5, 1].map((q) => quantile(values, q).toFixed(2))
  return `${middle}${unit} (${low}–${high})`
}

export const step = Command.make(
  "step",
  {
    rounds: Flag.Int("rounds").pipe(
      Flag.withSchema(Positive),
      Flag.withDefault(7),
      Flag.withDescription("Alternations"),
    ),
    steps: Flag.Int("steps").pipe(
      Flag.withSchema(Positive),
      Flag.withDefault(100),
      Flag.withDescription("Timed steps of each process"),
    ),
    record: Flag.Boolean("record").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Append the figures to bench/results/step.ndjson"),
    ),
  },
  Effect.fn(function* ({ rounds, steps, record }) {
    const fs = yield* FileSystem.FileSystem
    for (const threads of [1, 2]) {
      const timings: Array<ReadonlyMap<string, Timing>> = []
      for (let round = 0; round < rounds; round++) {
        const ours = yield* time(grokscope, threads, steps)
        const theirs = yield* Effect.forEach(peers, (peer) => Effect.option(time(peer, threads, steps)))
        timings.push(
          new Map([ours, ...theirs.flatMap(Option.toArray)].map((timing) => [timing.peer, timing])),
        )
      }
      /** Median step of each round in which the peer ran, and its ratio to ours in the same round. */
      const roundsOf = (peer: string) =>
        timings.flatMap((round) => {
          const theirs = round.get(peer)
          const ours = round.get(grokscope.peer)
          if (theirs === undefined || ours === undefined) return []
          const milliseconds = median(theirs.msPerStep)
          return [{ milliseconds, ratio: median(ours.msPerStep) / milliseconds }]
        })
      yield* Console.log(`\n${threads} thread${threads > 1 ? "s" : ""}, ${rounds} rounds of ${steps} steps`)
      for (const { peer } of [grokscope, ...peers]) {
        const measured = roundsOf(peer)
        if (measured.length === 0) {
          yield* Console.log(
            `  ${peer.padEnd(10)} did not run; it needs python3 with bench/peers/requirements.txt`,
          )
          continue
        }
        const milliseconds = spread(
          measured.map((round) => round.milliseconds),
          " ms",
        )
        const ratios = spread(
          measured.map((round) => round.ratio),
          "",
        )
        yield* Console.log(
          `  ${peer.padEnd(10)} ${milliseconds}${peer === grokscope.peer ? "" : `   ours / ${peer} ${ratios}`}`,
        )
      }
      const all = timings.flatMap((round) => [...round.values()])
      const peak = Math.max(...all.map(({ peakMegabytes }) => peakMegabytes ?? 0))
      yield* Console.log(`  our peak memory ${peak} MB`)
      if (record) {
        const at = DateTime.formatIso(yield* DateTime.now)
        const machine = `${cpus()[0]?.model} x${cpus().length}`
        const versions = Object.fromEntries(all.map(({ peer, version }) => [peer, version]))
        const figures = Object.fromEntries(
          [grokscope, ...peers].map(({ peer }) => [
            peer,
            roundsOf(peer).map(({ milliseconds }) => Number(milliseconds.toFixed(3))),
          ]),
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
