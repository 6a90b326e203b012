/**
 * A race: the same work by us and by peers, each in a process of its own, one after another in the same minutes, in rounds.
 *
 * A competitor's script takes `--threads` and `--steps` and prints one line of JSON, {@link Timing}.
 */
import { Console, Effect, Option, Schema } from "effect"
import { Command } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { median } from "../src/numerics/statistics.ts"
import { append, count, here, recording, spread } from "./measured.ts"

export const Timing = Schema.Struct({
  peer: Schema.String,
  version: Schema.String,
  threads: Schema.Int,
  /** Milliseconds of each step, whatever a step is. */
  msPerStep: Schema.Array(Schema.Finite),
  /** Milliseconds of the step's matrix products alone, on the same engine. */
  floorMs: Schema.optionalKey(Schema.Finite),
  peakMegabytes: Schema.optionalKey(Schema.Int),
})
export type Timing = typeof Timing.Type

interface Competitor {
  readonly peer: string
  /** A script of this folder: ours in TypeScript, a peer's in Python. */
  readonly script: string
  readonly options?: ReadonlyArray<string>
}

export interface Race {
  /** The case's name: its command, and the file of its results. */
  readonly name: string
  readonly description: string
  /** What a step is. */
  readonly unit: string
  readonly steps: number
  readonly ours: Competitor
  readonly peers: ReadonlyArray<Competitor>
  readonly threads?: ReadonlyArray<number>
}

/**
 * Peers keep the memory that they free. Where page faults are slow, as on virtual machines, that halves the time of PyTorch's step;
 * ours allocates once.
 */
const peerEnvironment = { MALLOC_TRIM_THRESHOLD_: "1000000000", MALLOC_MMAP_THRESHOLD_: "1000000000" }

const interpreters: Readonly<Record<string, string>> = {
  ts: process.execPath,
  py: process.env.PYTHON ?? "python3",
}

/** One process's timing; fails where the peer is not installed. */
export const time = Effect.fn("time")(function* (
  { script, options = [] }: Competitor,
  threads: number,
  steps: number,
) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const interpreter = interpreters[script.split(".").at(-1) ?? ""] ?? ""
  const flags = ["--threads", String(threads), "--steps", String(steps), ...options]
  const output = yield* spawner.string(
    ChildProcess.make(interpreter, [here(script), ...flags], {
      stderr: "ignore",
      env: script.endsWith(".py") ? peerEnvironment : {},
      extendEnv: true,
    }),
  )
  return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Timing))(output.trim())
})

/** One round: ours, then each peer that runs here, by its name. */
const round = Effect.fn("round")(function* ({ ours, peers }: Race, threads: number, steps: number) {
  const timings: Array<readonly [string, Timing]> = [[ours.peer, yield* time(ours, threads, steps)]]
  for (const peer of peers) {
    const timing = yield* Effect.option(time(peer, threads, steps))
    if (Option.isSome(timing)) timings.push([peer.peer, timing.value])
  }
  return new Map(timings)
})

/** Medians of each round in which a competitor ran, and the ratio of ours to them in the same round. */
const mediansOf = (rounds: ReadonlyArray<ReadonlyMap<string, Timing>>, ours: string, peer: string) =>
  rounds.flatMap((timings) => {
    const [mine, theirs] = [timings.get(ours), timings.get(peer)]
    if (mine === undefined || theirs === undefined) return []
    const milliseconds = median(theirs.msPerStep)
    return [{ milliseconds, ratio: median(mine.msPerStep) / milliseconds }]
  })

const rounded = (values: ReadonlyArray<number>) => values.map((value) => Number(value.toFixed(3)))

const run = Effect.fn("race")(function* (race: Race, threads: number, rounds: number, steps: number) {
  const timings: Array<ReadonlyMap<string, Timing>> = []
  for (let i = 0; i < rounds; i++) timings.push(yield* round(race, threads, steps))
  const { ours, peers } = race
  yield* Console.log(
    `\n${threads} thread${threads > 1 ? "s" : ""}, ${rounds} rounds of ${steps} ${race.unit}s; ms per ${race.unit}: median (lowest–highest)`,
  )
  for (const { peer } of [ours, ...peers]) {
    const medians = mediansOf(timings, ours.peer, peer)
    if (medians.length === 0) {
      yield* Console.log(
        `  ${peer.padEnd(18)} did not run; PYTHON names one with bench/peers/requirements.txt`,
      )
      continue
    }
    const own = spread(
      medians.map(({ milliseconds }) => milliseconds),
      " ms",
    )
    const ratio = spread(
      medians.map((of) => of.ratio),
      "",
    )
    yield* Console.log(`  ${peer.padEnd(18)} ${own}${peer === ours.peer ? "" : `   ours / ${peer} ${ratio}`}`)
  }
  const mine = timings.flatMap((of) => of.get(ours.peer) ?? [])
  const floors = mine.flatMap(({ floorMs, msPerStep }) =>
    floorMs === undefined ? [] : [{ floorMs, ratio: median(msPerStep) / floorMs }],
  )
  if (floors.length > 0) {
    const [floor, ratio] = [floors.map((of) => of.floorMs), floors.map((of) => of.ratio)]
    yield* Console.log(
      `  ${"products alone".padEnd(18)} ${spread(floor, " ms")}   ours / products ${spread(ratio, "")}`,
    )
  }
  const peakMegabytes = Math.max(...mine.map((of) => of.peakMegabytes ?? 0))
  yield* Console.log(`  our peak memory ${peakMegabytes} MB`)
  const all = timings.flatMap((of) => [...of.entries()])
  return {
    versions: Object.fromEntries(all.map(([peer, { version }]) => [peer, version])),
    threads,
    rounds,
    steps,
    medianMsPerRound: Object.fromEntries(
      [ours, ...peers].map(({ peer }) => [
        peer,
        rounded(mediansOf(timings, ours.peer, peer).map(({ milliseconds }) => milliseconds)),
      ]),
    ),
    floorMsPerRound: rounded(floors.map(({ floorMs }) => floorMs)),
    peakMegabytes,
  }
})

/** The command of a race. */
export const raceCommand = (race: Race) =>
  Command.make(
    race.name,
    {
      rounds: count("rounds", 7, "Alternations"),
      steps: count("steps", race.steps, `Timed ${race.unit}s of each process`),
      record: recording(race.name),
    },
    Effect.fn(function* ({ rounds, steps, record }) {
      for (const threads of race.threads ?? [1, 2]) {
        const figures = yield* run(race, threads, rounds, steps)
        if (record) yield* append(race.name, figures)
      }
    }),
  ).pipe(Command.withDescription(race.description))
