/**
 * Where in the tables of a reproduction a number is found, so that anyone can compute it again from the CSV files alone. A
 * recipe is applied once for each run: to the rows of its seed, and of its operation where the run has one.
 */
import { Schema } from "effect"

export const statistics = [
  "value",
  "peak",
  "mean",
  "meanBefore",
  "meanAfter",
  "shareAboveOne",
  "first",
] as const

/**
 * A statistic of a column over the rows of a table at which every field of `where` has the given value; empty cells do not
 * count. `value`: the one row's. `peak`: the largest. `meanBefore`, `meanAfter`: before and from the first step at which the
 * run's test accuracy reached the stop rule's (column `firstThreshold` of the table of runs). `first`: that of the lowest step.
 */
export const Source = Schema.Struct({
  table: Schema.String,
  where: Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite, Schema.Null])),
  column: Schema.String,
  statistic: Schema.Literals(statistics),
})
export type Source = typeof Source.Type

export type Recipe =
  | Source
  /** The first ÷ the second. */
  | { readonly divide: readonly [Recipe, Recipe] }
  /** Steps of a control ÷ steps of an arm; 0 where the arm never got there, nothing where the control did not. */
  | { readonly speedup: readonly [Recipe, Recipe] }
  /** One number of those of several operations: the largest ÷ the smallest, or the geometric mean. */
  | {
      readonly over: ReadonlyArray<string>
      readonly combine: "largest-over-smallest" | "geometric-mean" | "mean"
      readonly of: Recipe
    }

export const Recipe: Schema.Codec<Recipe> = Schema.Union([
  Source,
  Schema.Struct({ divide: Schema.Tuple([Schema.suspend(() => Recipe), Schema.suspend(() => Recipe)]) }),
  Schema.Struct({ speedup: Schema.Tuple([Schema.suspend(() => Recipe), Schema.suspend(() => Recipe)]) }),
  Schema.Struct({
    over: Schema.Array(Schema.String),
    combine: Schema.Literals(["largest-over-smallest", "geometric-mean", "mean"]),
    of: Schema.suspend(() => Recipe),
  }),
])
