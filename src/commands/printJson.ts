/** Results as JSON on standard output, in the form that their Schema says. */
import { Console, Effect, Schema } from "effect"

export const printJson = Effect.fnUntraced(function* <A>(
  schema: Schema.ConstraintCodec<A, unknown>,
  value: A,
) {
  yield* Console.log(JSON.stringify(yield* Schema.encodeEffect(schema)(value), null, 2))
})
