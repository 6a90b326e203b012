/** An ablation as it is declared, in a TypeScript file by `Ablation.ts` or in a YAML or JSON file: which experiment, what varies, for which seeds, what is measured. */
import { Schema } from "effect"
import { Count, Seed } from "../stages/contracts.ts"
import { Setting } from "./comparison.ts"

const Settings = Schema.Record(Schema.String, Setting)
const Axes = Schema.Record(Schema.String, Schema.NonEmptyArray(Setting)).check(
  Schema.makeFilter((axes) => Object.keys(axes).length > 0 || "Expected at least one field with its values"),
)
/** Short enough for a heading. */
const Line = Schema.NonEmptyString.check(Schema.isMaxLength(200))

/** Ways to combine values; an ablation has one of them. */
export const combining = ["vary", "zip", "list"] as const

export const Declaration = Schema.Struct({
  description: Line,
  base: Schema.Literals(["single", "interventions"]),
  /** Fields that are not the paper's in any run, by dotted name. */
  set: Schema.optionalKey(Settings),
  /** Every combination of the fields' values. */
  vary: Schema.optionalKey(Axes),
  /** The first value of every field, then the second of every field, … */
  zip: Schema.optionalKey(
    Axes.check(
      Schema.makeFilter((axes) => {
        const lengths = Object.values(axes).map(({ length }) => length)
        return (
          lengths.every((length) => length === lengths[0]) ||
          `Expected as many values for every field, got ${lengths.join(" and ")}`
        )
      }),
    ),
  ),
  /** Combinations one by one. */
  list: Schema.optionalKey(Schema.NonEmptyArray(Settings)),
  /** How many, the paper's first; or which. There is no default: an effect of one seed is an anecdote. */
  seeds: Schema.Union([Count(100), Schema.NonEmptyArray(Seed)]),
  /** Ids of numbers; each id is one definition. */
  measure: Schema.NonEmptyArray(Schema.String),
  /** Matched controls that are left out, by name, and why. */
  waive: Schema.optionalKey(Schema.Record(Schema.String, Line)),
}).check(
  Schema.makeFilter((declaration) => {
    const given = combining.filter((way) => declaration[way] !== undefined)
    return given.length === 1 || `Expected one of vary, zip and list, got ${given.join(" and ") || "none"}`
  }),
)
export type Declaration = typeof Declaration.Type
