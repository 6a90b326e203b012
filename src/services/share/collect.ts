/** What of a store belongs to a run, a key or a stage's label: records, and everything that they lead to. */
import { Effect, Option, Schema } from "effect"
import type { ArtifactRef } from "../Artifact.ts"
import { ArtifactStore, type StageRecord, type StoreName } from "../ArtifactStore.ts"
import { nameOf } from "../bucket/address.ts"
import { labelsOf, type PastRun, pastRuns, type RunEvent } from "../Journal.ts"
import { reachableFrom, referencesOf } from "../references.ts"
import { artifactPath } from "../store/layout.ts"

/** Records to export. */
export interface Selection {
  /** The command, or the label, whose results they are. */
  readonly command: string
  readonly records: ReadonlyArray<StoreName>
  /** What runs called them, by key. */
  readonly labels: ReadonlyMap<string, string>
}

/** Nothing, or nothing definite, goes by a name. */
export class NothingSelected extends Schema.TaggedError<NothingSelected>()("NothingSelected", {
  message: Schema.String,
  /** Names that something goes by. */
  valid: Schema.Array(Schema.String),
}) {}

type Keyed = Extract<RunEvent, { readonly _tag: "Found" | "Computed" }>

/** What a run found or computed, in order. */
const keyed = ({ events }: PastRun): ReadonlyArray<Keyed> =>
  events.flatMap((event) => (event._tag === "Found" || event._tag === "Computed" ? [event] : []))

const commandOf = ({ events: [started] }: PastRun): string | undefined =>
  started?._tag === "Started" ? started.command : undefined

const isDone = ({ events }: PastRun): boolean =>
  events.some((event) => event._tag === "Ended" && event.outcome === "done")

/**
 * The records of `what`: a run's command (its latest run that ended well), the start of a key, or a stage's label (the
 * newest record that a run called so).
 */
export const select = Effect.fn("select")(function* (what: string) {
  const store = yield* ArtifactStore
  const runs = yield* pastRuns
  const stored = new Map((yield* store.recordNames).map((name) => [name.key, name]))
  const events = runs.flatMap(keyed)
  const labels = labelsOf(runs)
  const one = (name: StoreName): Selection => {
    const label = labels.get(name.key)
    return {
      command: label ?? name.stage,
      records: [name],
      labels: new Map(label === undefined ? [] : [[name.key, label]]),
    }
  }

  const ofCommand = runs.filter((run) => commandOf(run) === what)
  const run = ofCommand.findLast(isDone)
  if (run !== undefined) {
    const asked = new Map(keyed(run).map(({ stage, key, label }) => [key, { stage, key, label }]))
    const selection: Selection = {
      command: what,
      records: [...asked.values()],
      labels: new Map([...asked.values()].map(({ key, label }) => [key, label])),
    }
    return selection
  }
  const newest = events.findLast(({ label, key }) => label === what && stored.has(key))
  if (newest !== undefined) return one(newest)
  if (/^[0-9a-f]{4,64}$/.test(what)) {
    const [first, second] = [...stored.values()].filter(({ key }) => key.startsWith(what))
    if (second !== undefined) {
      const message = `${what} is the start of several keys; give more digits`
      return yield* new NothingSelected({ message, valid: [] })
    }
    if (first !== undefined) return one(first)
  }
  if (ofCommand.length > 0) {
    const message = `no run of ${what} was done to its end; run it again, what is stored is not computed again`
    return yield* new NothingSelected({ message, valid: [] })
  }
  const commands = runs.filter(isDone).flatMap((run) => commandOf(run) ?? [])
  return yield* new NothingSelected({
    message: `${nameOf(store.root)} has no run, key or stage called ${what}`,
    valid: [...new Set([...commands, ...labels.values()])],
  })
})

/** What is to be written for a selection. */
export interface Collected {
  readonly records: ReadonlyArray<StageRecord>
  readonly artifacts: ReadonlyArray<ArtifactRef>
}

const decodePreimage = Schema.decodeUnknownOption(Schema.Struct({ input: Schema.Unknown }))

/** What an input leads to and is still there: a garbage collection may have dropped it for want of room. */
const remainsOf = Effect.fnUntraced(function* (ref: ArtifactRef) {
  const store = yield* ArtifactStore
  const nothing: ReadonlyArray<ArtifactRef> = []
  const refs = yield* Effect.catchTag(reachableFrom(ref), "DamagedArtifact", () => Effect.succeed(nothing))
  return yield* Effect.filter(refs, store.has)
})

/**
 * Reads a selection's records, and finds every artifact that their outputs lead to; and what their inputs do as far as it
 * is there, so that each stage can be run again.
 */
export const collect = Effect.fn("collect")(function* ({ records: names }: Selection) {
  const store = yield* ArtifactStore
  const records: Array<StageRecord> = []
  for (const { stage, key } of names) {
    const record = yield* store.record(stage, key)
    if (Option.isNone(record)) {
      const message = `the record ${key.slice(0, 12)} of ${stage} is not in the store any more; run the pipeline again`
      return yield* new NothingSelected({ message, valid: [] })
    }
    records.push(record.value)
  }
  const outputs = yield* reachableFrom(records.map(({ output }) => output))
  const artifacts = new Map(outputs.map((ref) => [artifactPath(ref), ref]))
  const inputs = records.flatMap(({ preimage }) =>
    referencesOf(Option.getOrUndefined(decodePreimage(preimage))?.input),
  )
  for (const input of inputs) {
    if (artifacts.has(artifactPath(input))) continue
    for (const ref of yield* remainsOf(input)) artifacts.set(artifactPath(ref), ref)
  }
  const collected: Collected = { records, artifacts: [...artifacts.values()] }
  return collected
})
