/** What the main thread and its worker threads say to each other. Everything is plain data. */
import { Schema } from "effect"
import { engineNames } from "../engine/engines.ts"

/** What every worker is started with. */
export const Settings = Schema.Struct({
  /** Directory of the artifact store. */
  store: Schema.String,
  engine: Schema.Literals(engineNames),
  /** Threads of the worker's tensor engine. */
  engineThreads: Schema.Int,
})
export type Settings = typeof Settings.Type

/** What one worker is started with. */
export const WorkerData = Schema.Struct({
  settings: Settings,
  /** Counts the calls inside of native code: `nativeCode.ts`. */
  nativeCode: Schema.declare((value): value is Int32Array<SharedArrayBuffer> => value instanceof Int32Array),
})

/** A stage to compute. */
export const Job = Schema.Struct({
  /** URL of the module that exports the stage. */
  module: Schema.String,
  stage: Schema.String,
  /** Digest of `stageCode`, so that a worker that finds other code on disk refuses. */
  code: Schema.String,
  /** The stage's encoded input. */
  input: Schema.Unknown,
  cursorKey: Schema.String,
})
export type Job = typeof Job.Type

/** How far the stage is; any number of times before the reply. */
const Stepped = Schema.TaggedStruct("Stepped", {
  step: Schema.Struct({
    done: Schema.Finite,
    total: Schema.Finite,
    unit: Schema.String,
    note: Schema.optionalKey(Schema.String),
  }),
})

/** The stage's encoded output. */
const Done = Schema.TaggedStruct("Done", { output: Schema.Unknown, seconds: Schema.Finite })

/** The stage failed with an error that it names. */
const Failed = Schema.TaggedStruct("Failed", { tag: Schema.String, message: Schema.String })

/** The stage ended with a defect: a mistake in its code. */
const Died = Schema.TaggedStruct("Died", { message: Schema.String, stack: Schema.String })

export const Message = Schema.Union([Stepped, Done, Failed, Died])
export type Message = typeof Message.Type
export type Reply = Exclude<Message, typeof Stepped.Type>
