/**
 * An ablation in a few lines:
 *
 *     export default Ablation.of("single", { description: "…", seeds: 3, measure: ["grok-step"] })
 *       .vary({ "model.heads": [1, 2, 4, 8] })
 *
 * Fields and values are checked by the compiler here, and by the Schemas of the configuration when it is planned.
 */
import type { Setting } from "./comparison.ts"
import type { Declaration } from "./Declaration.ts"
import type { ConfigOf, ExperimentName } from "./experiments.ts"

/** Dotted names of a configuration's leaves, those of every alternative of a union among them. */
export type FieldOf<Config> = Config extends unknown
  ? {
      [Key in keyof Config & string]: Config[Key] extends Setting ? Key : `${Key}.${FieldOf<Config[Key]>}`
    }[keyof Config & string]
  : never

/** What a field can hold. */
export type ValueAt<Config, Field extends string> = Config extends unknown
  ? Field extends `${infer Key}.${infer Rest}`
    ? Key extends keyof Config
      ? ValueAt<Config[Key], Rest>
      : never
    : Field extends keyof Config
      ? Config[Field]
      : never
  : never

/** Seeds are no field to vary: they are a policy of their own. */
type Varied<Config> = Exclude<FieldOf<Config>, "seed">
type SettingsOf<Config> = { readonly [Field in Varied<Config>]?: ValueAt<Config, Field> & Setting }
type AxesOf<Config> = {
  readonly [Field in Varied<Config>]?: readonly [
    ValueAt<Config, Field> & Setting,
    ...ReadonlyArray<ValueAt<Config, Field> & Setting>,
  ]
}

type Common = Pick<Declaration, "description" | "seeds" | "measure" | "waive">

/** @typeParam Config of the experiment, whose fields can be varied */
export class Ablation<Config = never> {
  /** Checked, like that of a file, by the Schema of `Declaration.ts`. */
  readonly declaration: Readonly<Record<string, unknown>>

  private constructor(declaration: Readonly<Record<string, unknown>>) {
    this.declaration = declaration
  }

  /** An ablation of an experiment; seeds cannot be omitted. */
  static of<Name extends ExperimentName>(base: Name, common: Common): Ablation<ConfigOf[Name]> {
    return new Ablation({ ...common, base })
  }

  /** Fields that are not the paper's in any run. */
  set(set: SettingsOf<Config>): Ablation<Config> {
    return new Ablation({ ...this.declaration, set })
  }

  /** Every combination of the values. */
  vary(vary: AxesOf<Config>): Ablation<Config> {
    return new Ablation({ ...this.declaration, vary })
  }

  /** The first value of every field, then the second of every field, … */
  zip(zip: AxesOf<Config>): Ablation<Config> {
    return new Ablation({ ...this.declaration, zip })
  }

  /** Combinations one by one. */
  list(...list: readonly [SettingsOf<Config>, ...ReadonlyArray<SettingsOf<Config>>]): Ablation<Config> {
    return new Ablation({ ...this.declaration, list })
  }
}
