/** What a process that asks and one that computes say to each other. Data are named by digest: they are in the store of both. */
import { Schema } from "effect"

export const Job = Schema.Struct({
  /** The process that asks; its sign is in the store. */
  run: Schema.String,
  /** What it asks for; a damaged output may be asked for again. */
  id: Schema.String,
  stage: Schema.String,
  key: Schema.String,
  label: Schema.String,
  /** Whether it computes tensors on a GPU. */
  gpu: Schema.Boolean,
  /** The stage's encoded input. */
  input: Schema.Unknown,
  /** The span that it belongs to. */
  span: Schema.NullOr(Schema.Struct({ traceId: Schema.String, spanId: Schema.String })),
})
export type Job = typeof Job.Type

/** Of the job. */
const id = Schema.String
export const Answer = Schema.Union([
  Schema.TaggedStruct("Began", { id, by: Schema.String }),
  /** Its output is in the store. */
  Schema.TaggedStruct("Done", { id }),
  /** Nobody computes it: its process looked dead to a worker. */
  Schema.TaggedStruct("Dropped", { id }),
  Schema.TaggedStruct("Failed", { id, tag: Schema.String, message: Schema.String }),
])
export type Answer = typeof Answer.Type
