/** What came out of an ablation, as data: `comparison.json`. Knows no stage and no pipeline. */
import { Schema } from "effect"
import { Estimate } from "./Claim.ts"

/** A value of a varied field. */
export const Setting = Schema.Union([Schema.String, Schema.Finite, Schema.Boolean, Schema.Null])
export type Setting = typeof Setting.Type

/** One combination of settings, run for every seed. */
export const Cell = Schema.Struct({
  /** Such as `heads=2`: the varied fields by their last names, in the order of the axes. */
  id: Schema.String,
  /** By dotted name of the field; every axis is there. */
  settings: Schema.Record(Schema.String, Setting),
  /** Whether it is the ablation's base: nothing in it is changed. */
  isBase: Schema.Boolean,
  /** By id of the metric; one that failed is missing, and said in `failed`. */
  measured: Schema.Record(
    Schema.String,
    Schema.Struct({
      ...Estimate.fields,
      /** The same quantity of its matched controls, by name. */
      beside: Schema.Record(Schema.String, Estimate),
    }),
  ),
  /** Why metrics could not be measured, by id. */
  failed: Schema.Record(Schema.String, Schema.String),
})
export type Cell = typeof Cell.Type

export const Comparison = Schema.Struct({
  name: Schema.String,
  description: Schema.String,
  scale: Schema.Literals(["paper", "smoke"]),
  /** What the numbers are worth, such as `the paper's sizes; seeds 42, 137, 2024`. */
  evidence: Schema.String,
  /** What a reader must know of how it was measured, such as that another definition has come since. */
  note: Schema.optionalKey(Schema.String),
  seeds: Schema.Array(Schema.Int),
  /** The fields that vary, and their values in the order given. */
  axes: Schema.Array(Schema.Struct({ field: Schema.String, values: Schema.Array(Setting) })),
  metrics: Schema.Array(Schema.Struct({ id: Schema.String, definition: Schema.String, unit: Schema.String })),
  cells: Schema.Array(Cell),
  /** Controls that were waived, and why. */
  waived: Schema.Record(Schema.String, Schema.String),
  /** The base configuration, of the first seed. */
  config: Schema.Unknown,
})
export type Comparison = typeof Comparison.Type
