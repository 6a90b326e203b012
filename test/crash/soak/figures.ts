/** What the reliability suite found: `artifacts/reliability.json`, an entry for each part that ran to its end. */
import { readFileSync } from "node:fs"
import { cpus, platform, totalmem } from "node:os"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { Clock, Console, DateTime, Effect, Schema } from "effect"
import packageJson from "../../../package.json" with { type: "json" }
import { commitFile } from "../../../src/services/store/files.ts"
import { repository } from "../../commands/process.ts"
import { seed, share } from "./settings.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

const Part = Schema.Struct({
  /** When it ended. */
  date: Schema.String,
  seconds: Schema.Finite,
  seed: Schema.Int,
  /** Less than 1: only that share of it was run. */
  share: Schema.Finite,
  /** What was done and found, in a line. */
  summary: Schema.String,
  figures: Schema.Record(Schema.String, Schema.Union([Count, Schema.Record(Schema.String, Count)])),
  /** What could not be run, and why. */
  skipped: Schema.Array(Schema.Struct({ what: Schema.String, because: Schema.String })),
  machine: Schema.Struct({
    cpu: Schema.String,
    cores: Schema.Int,
    memoryGiB: Schema.Int,
    system: Schema.String,
  }),
  versions: Schema.Record(Schema.String, Schema.String),
})

const part = Schema.optionalKey(Part)

export const Reliability = Schema.Struct({
  operations: part,
  kill: part,
  corruption: part,
  processes: part,
  resources: part,
  graphs: part,
  keys: part,
  /** Garbage collection during runs. */
  gc: part,
  /** How soon what is stored is found. */
  lookups: part,
  /** Runs whose stages other machines compute. */
  cluster: part,
  /** The same while something happens to them. */
  clusterFaults: part,
  /** Runs whose stages are tasks of Slurm, half of which are cancelled. */
  slurm: part,
  /** How soon a full run is done that has nothing left to do. */
  warm: part,
})
export type Reliability = typeof Reliability.Type

export interface Findings {
  readonly summary: string
  readonly figures: (typeof Part.Type)["figures"]
  readonly skipped?: (typeof Part.Type)["skipped"]
}

export const file = join(repository, "artifacts", "reliability.json")

export const read = (): Reliability =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Reliability))(readFileSync(file, "utf8"))

const write = (reliability: Reliability) =>
  commitFile(file, new TextEncoder().encode(`${JSON.stringify(reliability, null, 2)}\n`)).pipe(
    Effect.provide(NodeServices.layer),
  )

/** Runs a part and keeps what it finds. A part that fails has no figures, not those of an earlier run. */
export const runPart = <E, R>(name: keyof Reliability, part: Effect.Effect<Findings, E, R>) =>
  Effect.gen(function* () {
    const { [name]: _, ...others } = read()
    yield* write(others)
    yield* Console.log(`${name}: seed ${seed}, share ${share}`)
    const started = yield* Clock.currentTimeMillis
    const { skipped = [], ...findings } = yield* part
    const { dependencies, version } = packageJson
    const entry: typeof Part.Type = {
      date: DateTime.formatIso(yield* DateTime.now),
      seconds: Math.round((yield* Clock.currentTimeMillis) - started) / 1000,
      seed,
      share,
      ...findings,
      skipped,
      machine: {
        cpu: cpus()[0]?.model ?? "unknown",
        cores: cpus().length,
        memoryGiB: Math.round(totalmem() / 2 ** 30),
        system: platform(),
      },
      versions: {
        grokscope: version,
        node: process.version,
        effect: dependencies.effect,
        "onnxruntime-node": dependencies["onnxruntime-node"],
      },
    }
    yield* write({ ...read(), [name]: entry })
  })

/** How often each value is there. */
export const tally = (values: ReadonlyArray<string>): Readonly<Record<string, number>> =>
  Object.fromEntries(
    [...Map.groupBy(values, (value) => value)].sort().map(([value, all]) => [value, all.length]),
  )
