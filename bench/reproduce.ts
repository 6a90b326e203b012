/**
 * `pnpm bench reproduce`: `reproduce-all` from an empty store in a process of its own: how long it takes, and what share of all
 * cores it keeps busy. At `--scale paper` that is an hour or so, and gigabytes of a temporary directory.
 */
import { cpus } from "node:os"
import { join, resolve } from "node:path"
import { Console, Effect, FileSystem, Option, Schedule } from "effect"
import { Command, Flag } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { append, count, here, recording, spread, timed } from "./measured.ts"

const NAME = "reproduce"
/** Clock ticks in a second of /proc, on every Linux that Node runs on. */
const TICKS = 100

/** Seconds of processor time that a process and its threads took so far. */
const cpuSeconds = (pid: number) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const [, fields = ""] = (yield* fs.readFileString(`/proc/${pid}/stat`)).split(") ")
    const numbers = fields.split(" ").map(Number)
    return (numbers[11] + numbers[12]) / TICKS
  })

/** A folder for one run: below the one to be kept, or one that goes with the scope. */
const folderFor = Effect.fn("folderFor")(function* (keep: Option.Option<string>) {
  const fs = yield* FileSystem.FileSystem
  if (Option.isNone(keep)) return yield* fs.makeTempDirectoryScoped({ prefix: "grokscope-bench-" })
  const folder = resolve(keep.value)
  yield* fs.makeDirectory(folder, { recursive: true })
  return yield* fs.makeTempDirectory({ directory: folder, prefix: "reproduce-" })
})

const reproduction = Effect.fn("reproduction")(function* (scale: string, keep: Option.Option<string>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const folder = yield* folderFor(keep)
  const flags = ["--scale", scale, "--store", join(folder, "store")]
  const child = yield* spawner.spawn(
    ChildProcess.make(process.execPath, [here("../src/main.ts"), "reproduce-all", ...flags], {
      cwd: folder,
      stdout: "ignore",
      stderr: "ignore",
    }),
  )
  let cpu = 0
  const look = Effect.gen(function* () {
    const seconds = yield* Effect.option(cpuSeconds(child.pid))
    // Its last look may find the process gone.
    if (Option.isSome(seconds)) cpu = seconds.value
  })
  const watching = Effect.repeat(look, Schedule.spaced("100 millis"))
  const { milliseconds, result } = yield* timed(Effect.raceFirst(child.exitCode, watching))
  return { seconds: milliseconds / 1000, cpu, exitCode: Number(result) }
})

export const reproduce = Command.make(
  NAME,
  {
    rounds: count("rounds", 3, "Runs"),
    scale: Flag.Literals("scale", ["smoke", "paper"]).pipe(
      Flag.withDefault("smoke"),
      Flag.withDescription("Sizes of the experiments"),
    ),
    keep: Flag.String("keep").pipe(
      Flag.optional,
      Flag.withDescription("Folder that keeps each run's store and artifacts; else they go with the run"),
    ),
    record: recording(NAME),
  },
  Effect.fn(function* ({ rounds, scale, keep, record }) {
    const runs = yield* Effect.forEach(Array.from({ length: rounds }), () =>
      Effect.scoped(reproduction(scale, keep)),
    )
    const failed = runs.find(({ exitCode }) => exitCode !== 0)
    if (failed !== undefined) return yield* Effect.fail(`reproduce-all ended with ${failed.exitCode}`)
    const cores = cpus().length
    const shares = runs.map(({ seconds, cpu }) => (100 * cpu) / (cores * seconds))
    const seconds = runs.map((run) => run.seconds)
    yield* Console.log(`\nreproduce-all --scale ${scale}, ${rounds} runs; median (lowest–highest)`)
    yield* Console.log(`  time       ${spread(seconds, " s")}`)
    yield* Console.log(`  processor  ${spread(shares, " %")} of ${cores} cores`)
    if (record) yield* append(NAME, { scale, rounds, seconds, processorShares: shares })
  }),
).pipe(Command.withDescription("The whole reproduction from an empty store"))
