/** `--set train.learningRate=3e-4`: changes of single fields of a configuration, checked by its Schema. */
import { Effect, Result, Schema } from "effect"
import { Setting } from "../pipelines/comparison.ts"
import { type Tree, valueAt, withSettings } from "../pipelines/fields.ts"
import { BadInput } from "./BadInput.ts"

/** Numbers, booleans and null as in JSON; anything else is text, and so is everything where there was text before. */
const parse = (text: string, before: unknown): unknown => {
  if (typeof before === "string") return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Field and value of each `field=value`. */
const parsed = Effect.fnUntraced(function* (settings: ReadonlyArray<string>, base: Tree) {
  const fields: Array<readonly [field: string, value: unknown]> = []
  for (const setting of settings) {
    const [field, ...value] = setting.split("=")
    if (value.length === 0) {
      return yield* new BadInput({
        message: `--set ${setting}: expected field=value, such as --set seed=137`,
      })
    }
    fields.push([field, parse(value.join("="), valueAt(base, field))])
  }
  return fields
})

/** The configuration `base` with `settings` (each `field=value`) applied, or the first thing wrong with them. */
export const override = Effect.fn("override")(function* <T extends Tree>(
  schema: Schema.ConstraintCodec<T, unknown>,
  base: T,
  settings: ReadonlyArray<string>,
) {
  return yield* withSettings(schema, base, yield* parsed(settings, base)).pipe(
    Result.mapError(({ field, message }) => {
      const given = settings.findLast((setting) => setting.startsWith(`${field}=`))
      const isUnknown = message.startsWith("unknown field")
      return new BadInput({ message: `--set ${isUnknown ? (given ?? field) : field}: ${message}` })
    }),
    Effect.fromResult,
  )
})

const isSetting = Schema.is(Setting)

/** Values by field for an ablation, whose experiment checks them: numbers, booleans and null as in JSON, all else is text. */
export const settingsOf = Effect.fn("settingsOf")(function* (settings: ReadonlyArray<string>) {
  const values: Record<string, Setting> = {}
  for (const [field, value] of yield* parsed(settings, {})) {
    if (!isSetting(value)) {
      return yield* new BadInput({
        message: `--set ${field}: expected a number, a text, true, false or null, got ${JSON.stringify(value)}`,
      })
    }
    values[field] = value
  }
  return values
})
