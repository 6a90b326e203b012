/** What a person may set: `SHARE=0.05 SEED=7 pnpm test:crash kill` does a twentieth of the kills, at moments drawn from 7. */
import { randomInt } from "node:crypto"
import { Schema } from "effect"

const given = <A>(name: string, schema: Schema.ConstraintDecoder<A>, otherwise: A): A => {
  const value = process.env[name]
  return value === undefined ? otherwise : Schema.decodeUnknownSync(schema, { errors: "first" })(value)
}

/** How much of each part is run; less than 1 to see that it works. */
export const share = given(
  "SHARE",
  Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0.001, maximum: 1 })),
  1,
)

/** What everything random is drawn from. */
export const seed = given(
  "SEED",
  Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 2 ** 31 - 1 })),
  randomInt(2 ** 31),
)

/** The store of a full run, where there is one. */
export const fullStore = process.env.STORE

/** That share of a number, at least `least`. */
export const shareOf = (count: number, least = 1): number => Math.max(least, Math.round(share * count))
