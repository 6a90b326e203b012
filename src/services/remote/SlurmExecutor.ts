/**
 * Stages computed as tasks of Slurm's job arrays: what can be computed at the same time is submitted as one array, what needs a GPU as
 * another, and each task has its stage in the shared store. Below the store:
 *
 *     slurm/<run>/<array>/<task>.json          the job
 *     slurm/<run>/<array>/<task>.answer.json   what became of it
 *     slurm/<run>/<array>/<task>.log           what the task printed
 *
 * Which stages exist is known only as their inputs are, so what waits for what is decided here, not by Slurm's dependencies. A task that
 * is gone from Slurm's queue without an answer was cancelled or killed: its stage fails, and the same command asks for it again.
 */
import { fileURLToPath } from "node:url"
import { Effect, FileSystem, Layer, Option, Path, Result, Schedule, Schema, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { ArtifactStore } from "../ArtifactStore.ts"
import { type EngineName, isOnGpu } from "../engine/engines.ts"
import { Executor } from "../executor/Executor.ts"
import { LOG } from "../Journal.ts"
import { Leases } from "../Leases.ts"
import { Progress } from "../Progress.ts"
import { commitFile } from "../store/files.ts"
import { makeAsking } from "./asking.ts"
import { Answer, Job } from "./job.ts"

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url))

/** Stages that become ready within this time are one array. */
const GATHER = "500 millis"
/** Slurm allows a thousand and one, unless it is configured otherwise. */
const MOST_TASKS = 1000
const LOOK = "1 second"
/** After Slurm took no jobs. */
const AGAIN = "10 seconds"
/** Looks at which a task that has ended has not answered, before it is lost: file systems of clusters are slow to show files. */
const PATIENCE = 90
/** States in which a task goes on, or will. */
const ALIVE =
  /^(PENDING|RUNNING|CONFIGURING|COMPLETING|SUSPENDED|STOPPED|REQUEUE|RESIZING|SIGNALING|STAGE_OUT)/
/** States of a task that Slurm has ended: no answer will come. */
const ENDED = /^(CANCELLED|TIMEOUT|OUT_OF_ME|NODE_FAIL|BOOT_FAIL|DEADLINE|PREEMPTED)/
/** How Slurm says that it does not take a job now. */
const LATER = /unable to contact|timed out|temporarily|try again|socket|submit limit|MaxSubmit|MaxJob/i

export const answerFile = (task: string): string => task.replace(/\.json$/, ".answer.json")
const encodeJob = Schema.encodeEffect(Schema.fromJsonString(Job))
const decodeAnswer = Schema.decodeUnknownOption(Schema.fromJsonString(Answer))

/** A task that Slurm was given. */
interface Task {
  /** Of the job. */
  readonly job: string
  readonly file: string
  readonly log: string
  /** Of its array, and its own, as `squeue` names them. */
  readonly array: string
  readonly id: string
  state: string
  /** Looks since it has ended, without an answer. */
  missed: number
}

/** Quoted for a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

const textOf = <E>(bytes: Stream.Stream<Uint8Array, E>) => Stream.mkString(Stream.decodeText(bytes))

/** What Slurm's programs print; their complaint where they fail. */
const slurm = Effect.fnUntraced(function* (command: string, args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const child = yield* spawner.spawn(ChildProcess.make(command, args))
  const [output, complaint, code] = yield* Effect.all(
    [textOf(child.stdout), textOf(child.stderr), child.exitCode],
    { concurrency: "unbounded" },
  )
  return code === 0 ? output.trim() : yield* Effect.fail(complaint.trim() || `it ended with ${code}`)
}, Effect.scoped)

export const SlurmExecutor = {
  /**
   * @param options for `sbatch`, such as `--partition=long`
   * @param gpuOptions for `sbatch`, of stages that compute tensors on a GPU: such as `--gres=gpu:1`
   * @param engine of the tasks
   * @param threads of a task's engine; as many as Slurm gives it, if none are said
   */
  layer: ({
    command,
    options,
    gpuOptions,
    engine,
    threads,
  }: {
    readonly command: string
    readonly options: ReadonlyArray<string>
    readonly gpuOptions: ReadonlyArray<string>
    readonly engine: EngineName
    readonly threads: Option.Option<number>
  }) =>
    Layer.effect(
      Executor,
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const progress = yield* Progress
        const { root } = yield* ArtifactStore
        const { introduce } = yield* Leases
        const services = yield* Effect.context<
          FileSystem.FileSystem | Path.Path | ChildProcessSpawner.ChildProcessSpawner
        >()
        const run = yield* introduce
        const name = `grokscope-${run.slice(0, 8)}`
        const directory = path.join(path.resolve(root), "slurm", run)
        /** Asked for, and not yet submitted. */
        const gathered: Array<Job> = []
        const tasks = new Map<string, Task>()
        /** That were submitted, or may have been. */
        let arrays = 0

        const { executor, hear, isWaitedFor } = yield* makeAsking({
          run,
          engine,
          submit: (job) => Effect.sync(() => gathered.push(job)),
        })

        // What has begun ends, into the store.
        yield* Effect.addFinalizer(() =>
          arrays === 0
            ? Effect.void
            : slurm("scancel", ["--state=PENDING", `--name=${name}`]).pipe(
                Effect.ignore,
                Effect.provideContext(services),
              ),
        )

        /** Submits jobs as one array. Those that compute no tensors on a GPU find none there, whatever engine the others have. */
        const submit = Effect.fnUntraced(function* (jobs: ReadonlyArray<Job>, gpu: boolean) {
          const array = path.join(directory, String(arrays++))
          const fileOf = (i: number) => path.join(array, `${i}.json`)
          for (const [i, job] of jobs.entries()) {
            yield* commitFile(fileOf(i), new TextEncoder().encode(yield* encodeJob(job)))
          }
          const theirs = gpu || !isOnGpu(engine) ? engine : "onnx"
          const program = [process.execPath, MAIN, "worker", "--workers", "1", "--engine", theirs]
          const asGiven = Option.match(threads, {
            onNone: () => '"$SLURM_CPUS_PER_TASK"',
            onSome: String,
          })
          const own = `${quoted(`${array}/`)}"$SLURM_ARRAY_TASK_ID"`
          const script = [
            `${LOG}=${own}.log exec`,
            ...[...program, "--store", path.resolve(root)].map(quoted),
            `--threads ${asGiven}`,
            `--task ${own}.json`,
          ].join(" ")
          const id = yield* slurm("sbatch", [
            "--cpus-per-task=1",
            ...options,
            ...(gpu ? gpuOptions : []),
            // After what a user says, for this process finds its tasks by it.
            "--parsable",
            `--job-name=${name}`,
            `--array=0-${jobs.length - 1}`,
            `--output=${path.join(array, "%a.log")}`,
            "--wrap",
            script,
          ]).pipe(Effect.onError(() => Effect.ignore(fs.remove(array, { recursive: true }))))
          const [number] = id.split(";")
          for (const [i, { id: job }] of jobs.entries()) {
            const log = path.join(array, `${i}.log`)
            const id = `${number}_${i}`
            tasks.set(job, { job, file: fileOf(i), log, array: number, id, state: "unseen", missed: 0 })
          }
          yield* progress.say(
            `Slurm job ${number}: ${jobs.length} ${jobs.length === 1 ? "stage" : "stages"}, logs in ${array}`,
          )
        })

        /** What Slurm said last when it took no jobs, until it has taken some. */
        let excuse: string | undefined
        const submitOrAgain = Effect.fnUntraced(function* (jobs: ReadonlyArray<Job>, gpu: boolean) {
          if (jobs.length === 0) return
          const submitted = yield* Effect.result(submit(jobs, gpu))
          if (Result.isSuccess(submitted)) {
            excuse = undefined
            return
          }
          const { failure } = submitted
          const because = failure instanceof Error ? failure.message : failure
          if (LATER.test(because)) {
            gathered.unshift(...jobs)
            if (because !== excuse) yield* progress.say(`Slurm takes no jobs now, trying again: ${because}`)
            excuse = because
            return yield* Effect.sleep(AGAIN)
          }
          for (const { id, label } of jobs) {
            const message = `${label}: sbatch did not take it: ${because}`
            yield* hear({ _tag: "Failed", id, tag: "SlurmRefused", message })
          }
        })
        const submitGathered = Effect.gen(function* () {
          const jobs = gathered.splice(0, MOST_TASKS).filter(({ id }) => isWaitedFor(id))
          // Those for a GPU last: that there is none to be had keeps no others waiting.
          for (const onGpu of [false, true])
            yield* submitOrAgain(
              jobs.filter(({ gpu }) => gpu === onGpu),
              onGpu,
            )
        })

        /** States of this run's tasks that Slurm remembers, by their names; for minutes, of those that have begun. */
        const remembered = Effect.map(
          slurm("squeue", ["-h", "-r", "-t", "all", "-n", name, "-o", "%F_%K %T"]),
          (text) => {
            const lines = text.split("\n").filter((line) => line !== "")
            return new Map(lines.map((line) => line.split(" ") as [string, string]))
          },
        )

        const look = Effect.gen(function* () {
          if (tasks.size === 0) return
          // Whatever has ended before this look has answered before it.
          const states = yield* Effect.option(remembered)
          for (const task of [...tasks.values()]) {
            const text = yield* Effect.option(fs.readFileString(answerFile(task.file)))
            const answer = Option.flatMap(text, decodeAnswer)
            if (Option.isSome(answer)) {
              tasks.delete(task.job)
              for (const file of [task.file, answerFile(task.file)]) yield* Effect.ignore(fs.remove(file))
              yield* hear(answer.value)
              continue
            }
            // Slurm itself may not answer for a while.
            if (Option.isNone(states)) continue
            const state =
              states.value.get(task.id) ??
              // An array that was cancelled before any of its tasks began is one line.
              states.value.get(`${task.array}_N/A`) ??
              // One of several that was cancelled before it began is none.
              (/^(PENDING|CANCELLED)/.test(task.state) ? "CANCELLED" : "forgotten")
            task.state = state
            if (state === "RUNNING") yield* hear({ _tag: "Began", id: task.job, by: task.id })
            task.missed = ALIVE.test(state) ? 0 : task.missed + 1
            if (task.missed < (ENDED.test(state) ? 2 : PATIENCE)) continue
            tasks.delete(task.job)
            yield* hear({
              _tag: "Failed",
              id: task.job,
              tag: "SlurmTaskLost",
              message: `Slurm task ${task.id} ended without an answer, ${state.toLowerCase()} (log: ${task.log}); run the same command again to go on`,
            })
          }
        })

        yield* submitGathered.pipe(
          Effect.repeat(Schedule.spaced(GATHER)),
          Effect.provideContext(services),
          Effect.forkScoped,
        )
        yield* look.pipe(
          Effect.repeat(Schedule.spaced(LOOK)),
          Effect.provideContext(services),
          Effect.forkScoped,
        )
        return executor
      }),
    ).pipe(Layer.provide(Leases.layer(command))),
}
