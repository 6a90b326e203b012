/** The real command line as a child process. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { Deferred, Effect } from "effect"

export const repository = join(import.meta.dirname, "../..")

/** The test runner asks for colours; a process of its own is not asked. */
const { FORCE_COLOR: _, ...uncoloured } = process.env

export interface Finished {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** What the shell's `ulimit` is to limit for the process, such as `-n 64`. */
  readonly limit?: string
  /** The repository whose command line it is: this one, or a copy. */
  readonly of?: string
  /** A program, with its arguments, that starts the process, such as `ip netns exec NAME`. */
  readonly by?: ReadonlyArray<string>
}

/** Starts `node src/main.ts ...args`; the scope kills it. Node's compile cache halves its start-up. */
export const start = Effect.fn("start")(function* (
  args: ReadonlyArray<string>,
  { cwd = repository, env = {}, limit, of = repository, by = [] }: Options = {},
) {
  const finished = yield* Deferred.make<Finished>()
  const output = { stdout: "", stderr: "" }
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const command = [...by, process.execPath, join(of, "src/main.ts"), ...args]
      const [program, ...rest] =
        limit === undefined ? command : ["sh", "-c", `ulimit ${limit} && exec "$0" "$@"`, ...command]
      const child = spawn(program, rest, {
        cwd,
        env: { ...uncoloured, NODE_COMPILE_CACHE: join(repository, "node_modules/.cache/test-cli"), ...env },
        stdio: ["ignore", "pipe", "pipe"],
      })
      for (const stream of ["stdout", "stderr"] as const) {
        child[stream].setEncoding("utf8").on("data", (text) => {
          output[stream] += text
        })
      }
      child.on("close", (code, signal) => {
        Deferred.doneUnsafe(finished, Effect.succeed({ code, signal, ...output }))
      })
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL")),
  )
  return {
    kill: (signal: NodeJS.Signals) => Effect.sync(() => child.kill(signal)),
    isRunning: Effect.sync(() => child.exitCode === null && child.signalCode === null),
    finished: Deferred.await(finished),
    /** What it has printed so far. */
    printed: Effect.sync(() => ({ ...output })),
  }
})

/** Runs `node src/main.ts ...args` to its end. */
export const cli = (args: ReadonlyArray<string>, options?: Options): Effect.Effect<Finished> =>
  Effect.scoped(Effect.flatMap(start(args, options), ({ finished }) => finished))

export const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")
