/**
 * What an ablation varies: an experiment with a configuration, and the numbers that are read from it. Each number has one
 * definition under one id, so which definition was used is recorded with the result.
 */
import { Result, type Schema } from "effect"
import { type FieldIssue, fieldsOf, type Tree, withSettings } from "./fields.ts"
import type { Node } from "./Node.ts"
import type { Settings } from "./Sweep.ts"
import type { Scale } from "./scale.ts"

/** A number of one run. */
export interface Measure {
  readonly id: string
  readonly definition: string
  /** `Claim.ts` says which units are averaged on a log scale. */
  readonly unit: string
  readonly value: Node<number | null>
  /** The same of its matched controls, by name. */
  readonly beside: Readonly<Record<string, Node<number | null>>>
}

/** One run of an experiment. */
export interface Run {
  readonly config: Tree
  readonly measures: ReadonlyArray<Measure>
}

export interface Experiment {
  readonly name: string
  readonly description: string
  /** Dotted names of everything that can be varied. */
  readonly fields: ReadonlyArray<string>
  readonly config: (scale: Scale) => Tree
  /** The run under settings; `label` is what progress calls it. */
  readonly at: (scale: Scale, settings: Settings, label: string) => Result.Result<Run, FieldIssue>
}

/** Declares an experiment; its configuration's type stays within. */
export const experiment = <Config extends Tree>({
  name,
  description,
  schema,
  config,
  measures,
}: {
  readonly name: string
  readonly description: string
  readonly schema: Schema.ConstraintCodec<Config, unknown>
  readonly config: (scale: Scale) => Config
  readonly measures: (config: Config, label: string) => ReadonlyArray<Measure>
}): Experiment => ({
  name,
  description,
  fields: fieldsOf(schema.ast),
  config,
  at: (scale, settings, label) =>
    Result.map(withSettings(schema, config(scale), Object.entries(settings)), (config) => ({
      config,
      measures: measures(config, label),
    })),
})
