/**
 * `pnpm bench start`: how long commands take that compute nothing, beside a process that does nothing at all. In alternation, on
 * an empty store, with no engine but the one that is installed.
 */
import { Console, Effect, FileSystem } from "effect"
import { Command } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { append, count, here, recording, spread, timed } from "./measured.ts"

const NAME = "start"
const main = here("../src/main.ts")

/** Arguments to node, by what they are called. */
const commands: Readonly<Record<string, ReadonlyArray<string>>> = {
  nothing: ["--eval", "0"],
  "--help": [main, "--help"],
  "plan reproduce-all": [main, "plan", "reproduce-all"],
  list: [main, "list"],
  doctor: [main, "doctor"],
}

/** Milliseconds of each command, by name. */
const round = Effect.fn("round")(function* (cwd: string) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  // Until the command ends, not until everything that it started has.
  const took = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
    const env = { XDG_CACHE_HOME: cwd }
    const command = ChildProcess.make(process.execPath, args, {
      cwd,
      env,
      extendEnv: true,
      stdout: "ignore",
      stderr: "ignore",
    })
    const { milliseconds } = yield* timed(Effect.flatMap(spawner.spawn(command), ({ exitCode }) => exitCode))
    return milliseconds
  }, Effect.scoped)
  return yield* Effect.forEach(Object.entries(commands), ([name, args]) =>
    Effect.map(took(args), (ms): readonly [string, number] => [name, ms]),
  )
})

export const start = Command.make(
  NAME,
  { rounds: count("rounds", 9, "Alternations"), record: recording(NAME) },
  Effect.fn(function* ({ rounds, record }) {
    const fs = yield* FileSystem.FileSystem
    const measured = yield* Effect.scoped(
      Effect.gen(function* () {
        const folder = yield* fs.makeTempDirectoryScoped({ prefix: "grokscope-bench-" })
        // The first round compiles what later ones find compiled.
        yield* round(folder)
        return yield* Effect.forEach(Array.from({ length: rounds }), () => round(folder))
      }),
    )
    const of = (name: string) =>
      measured.flatMap((one) => one.flatMap(([of, ms]) => (of === name ? [ms] : [])))
    yield* Console.log(`\n${rounds} rounds; ms: median (lowest–highest)`)
    for (const name of Object.keys(commands))
      yield* Console.log(`  ${name.padEnd(20)} ${spread(of(name), " ms")}`)
    if (record) {
      const msPerRound = Object.fromEntries(
        Object.keys(commands).map((name) => [name, of(name).map((ms) => Number(ms.toFixed(1)))]),
      )
      yield* append(NAME, { rounds, msPerRound })
    }
  }),
).pipe(Command.withDescription("Commands that compute nothing, beside a process that does nothing"))
