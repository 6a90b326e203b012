/** What a reproduction was made with: versions, machine, sizes, times, and the key of every stage. */
import { totalmem } from "node:os"
import { Effect, FileSystem, Option, Path, Schema } from "effect"
import packageJson from "../../package.json" with { type: "json" }
import { ArtifactStore } from "../services/ArtifactStore.ts"
import { Grade } from "../services/Grade.ts"
import { processor } from "../services/machine.ts"
import { type Ran, StageRunner } from "../services/StageRunner.ts"
import { sha256 } from "../services/store/canonical.ts"
import { TensorEngine } from "../services/TensorEngine.ts"

const Finite = Schema.Finite

export const Manifest = Schema.Struct({
  evidence: Schema.String,
  versions: Schema.Record(Schema.String, Schema.String),
  engine: Schema.Struct({ id: Schema.String, version: Schema.String }),
  machine: Schema.Struct({ cpu: Schema.String, cores: Schema.Int, memoryGiB: Finite, node: Schema.String }),
  /** Sums over all stages, whenever they were computed; `first` and `last` are when the first and last was committed. */
  total: Schema.Struct({
    stages: Schema.Int,
    stageHours: Finite,
    first: Schema.String,
    last: Schema.String,
  }),
  /** Of the process that last computed a stage. Nothing cached and no interruption: the whole reproduction's. */
  process: Schema.Struct({
    computed: Schema.Int,
    cached: Schema.Int,
    wallMinutes: Finite,
    cpuMinutes: Finite,
    peakMemoryMiB: Schema.Int,
  }),
  /** Size of the store, with whatever else it holds. */
  storeMiB: Schema.Int,
  /** Seconds by kind of stage. */
  seconds: Schema.Record(Schema.String, Finite),
  stages: Schema.Array(
    Schema.Struct({
      label: Schema.String,
      key: Schema.String,
      seconds: Finite,
      committedAt: Schema.String,
      machine: Schema.String,
      /** Why an output of other code was accepted. */
      accepted: Schema.optionalKey(Schema.String),
      /** Fingerprint of the code that computed it. */
      code: Schema.optionalKey(Schema.String),
      /** Digests of the artifacts that its output names. */
      artifacts: Schema.optionalKey(Schema.Array(Schema.String)),
      /** How well the output is determined, where it was computed again. */
      determinism: Schema.optionalKey(Grade),
    }),
  ),
  /** The configuration that was run, every field resolved. */
  config: Schema.optionalKey(Schema.Unknown),
  /** Fingerprint of the code of claims and report. */
  code: Schema.optionalKey(Schema.String),
  /** Digest of all that words and figures were rendered from: code, tables, claims. */
  renderedFrom: Schema.optionalKey(Schema.String),
  /** SHA-256 of every file beside this one, by name. */
  files: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
})
export type Manifest = typeof Manifest.Type

export const MANIFEST = "manifest.json"

/** Bytes of all files below a directory. */
const sizeOf = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = yield* fs.readDirectory(directory, { recursive: true })
  const sizes = yield* Effect.forEach(
    names,
    (name) =>
      fs.stat(path.join(directory, name)).pipe(
        Effect.map(({ type, size }) => (type === "File" ? Number(size) : 0)),
        // Another process may use the store, too.
        Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(0)),
      ),
    { concurrency: 16 },
  )
  return sizes.reduce((sum, size) => sum + size, 0)
})

const round = (value: number, digits: number): number => Number(value.toFixed(digits))

/** Whether the very same computations are behind two lists of stages; one may have several labels. */
const isSameRun = (a: Manifest["stages"], b: Manifest["stages"]): boolean => {
  const [before, after] = [a, b].map((stages) =>
    stages.map(({ key, committedAt }) => `${key} ${committedAt}`).sort(),
  )
  return before.length === after.length && before.every((one, i) => one === after[i])
}

/** What a runner was asked for, as a manifest lists it. */
const stagesOf = (history: ReadonlyArray<Ran>): Manifest["stages"] =>
  history
    .toSorted((a, b) => (a.label < b.label ? -1 : a.label > b.label ? 1 : 0))
    .map(({ label, key, code, artifacts, provenance }) => ({
      label,
      key,
      seconds: round(provenance.seconds, 2),
      committedAt: provenance.committedAt,
      machine: provenance.machine,
      ...(provenance.accepted === undefined ? {} : { accepted: provenance.accepted.because }),
      code,
      artifacts,
      ...(provenance.determinism === undefined ? {} : { determinism: provenance.determinism.grade }),
    }))

/** The manifest that a directory holds. */
export const readManifest = Effect.fn("readManifest")(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const text = yield* fs.readFileString(join(directory, MANIFEST))
  return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Manifest))(text)
})

/** Whether a directory holds what was made from these stored results by this code, every file as it was written. */
export const isUpToDate = Effect.fn("isUpToDate")(function* (
  directory: string,
  made: { readonly evidence: string; readonly code: string; readonly history: ReadonlyArray<Ran> },
) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const manifest = yield* Effect.option(readManifest(directory))
  if (Option.isNone(manifest)) return false
  const { evidence, code, stages, files = {} } = manifest.value
  if (evidence !== made.evidence || code !== made.code || !isSameRun(stages, stagesOf(made.history)))
    return false
  for (const [name, digest] of Object.entries(files)) {
    const bytes = yield* Effect.option(fs.readFile(join(directory, name)))
    if (!Option.exists(bytes, (bytes) => sha256(bytes) === digest)) return false
  }
  return true
})

interface Written {
  readonly evidence: string
  readonly config?: unknown
  readonly code: string
  readonly files: Readonly<Record<string, string>>
  readonly renderedFrom: string
  /** The manifest that stood there before, of a run that may have computed what this one found. */
  readonly before: Option.Option<Manifest>
}

export const manifestOf = Effect.fn("manifestOf")(function* ({
  evidence,
  config,
  code,
  files,
  renderedFrom,
  before,
}: Written) {
  const runner = yield* StageRunner
  const engine = yield* TensorEngine
  const ran = yield* runner.history
  const { root } = yield* ArtifactStore
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  const cached = ran.filter((one) => one.cached).length
  const times = ran.map(({ provenance }) => provenance.committedAt).sort()
  const byKind = new Map<string, number>()
  for (const { stage, provenance } of ran) {
    byKind.set(stage, (byKind.get(stage) ?? 0) + provenance.seconds)
  }
  const stages = stagesOf(ran)
  const same = Option.filter(before, (manifest) => isSameRun(manifest.stages, stages))
  const own = {
    computed: ran.length - cached,
    cached,
    wallMinutes: round(process.uptime() / 60, 1),
    cpuMinutes: round((userCPUTime + systemCPUTime) / 60e6, 1),
    peakMemoryMiB: Math.round(maxRSS / 1024),
  }
  const manifest: Manifest = {
    evidence,
    versions: { grokscope: packageJson.version, ...packageJson.dependencies },
    engine: { id: engine.id, version: yield* engine.version },
    machine: {
      ...processor(),
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.version,
    },
    total: {
      stages: ran.length,
      stageHours: round([...byKind.values()].reduce((sum, seconds) => sum + seconds, 0) / 3600, 2),
      first: times[0] ?? "",
      last: times.at(-1) ?? "",
    },
    process:
      cached < ran.length ? own : Option.match(same, { onNone: () => own, onSome: ({ process }) => process }),
    storeMiB: Math.round((yield* sizeOf(root)) / 2 ** 20),
    seconds: Object.fromEntries([...byKind].sort().map(([stage, seconds]) => [stage, round(seconds, 1)])),
    stages,
    ...(config === undefined ? {} : { config }),
    code,
    renderedFrom,
    files,
  }
  return manifest
})
