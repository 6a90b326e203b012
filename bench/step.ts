/** `pnpm bench step`: our training step beside PyTorch's and JAX's, in alternation, at 1 and at 2 threads. */
import { Console, Effect, Option, Schema } from "effect"
import { Command } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { median } from "../src/numerics/statistics.ts"
import { append, count, here, recording, spread } from "./measured.ts"

const FILE = "step.ndjson"

const Timing = Schema.Struct({
  peer: Schema.String,
  version: Schema.String,
  threads: Schema.Int,
  msPerStep: Schema.Array(Schema.Finite),
  peakMegabytes: Schema.optionalKey(Schema.Int),
})
type Timing = typeof Timing.Type

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

export const step = Command.make(
  "step",
  {
    rounds: count("rounds", 7, "Alternations"),
    steps: count("steps", 100, "Timed steps of each process"),
    record: recording(FILE),
  },
  Effect.fn(function* ({ rounds, steps, record }) {
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
        const versions = Object.fromEntries(all.map(({ peer, version }) => [peer, version]))
        const figures = Object.fromEntries(
          [grokscope, ...peers].map(({ peer }) => [
            peer,
            roundsOf(peer).map(({ milliseconds }) => Number(milliseconds.toFixed(3))),
          ]),
        )
        yield* append(FILE, {
          versions,
          threads,
          rounds,
          steps,
          medianMsPerRound: figures,
          peakMegabytes: peak,
        })
      }
    }
  }),
).pipe(Command.withDescription("One training step: grokscope, PyTorch, JAX"))
