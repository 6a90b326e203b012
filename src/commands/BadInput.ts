/** What a person asked for cannot be done as written. Ends the command with exit code 2. */
import { Schema } from "effect"
import { distance } from "fastest-levenshtein"

export class BadInput extends Schema.TaggedError<BadInput>()("BadInput", { message: Schema.String }) {}

/** `; did you mean X?` with the nearest valid name, or the list of valid names if none is near. */
export const suggest = (given: string, valid: ReadonlyArray<string>): string => {
  const [nearest] = valid.toSorted((a, b) => distance(given, a) - distance(given, b))
  if (nearest === undefined) return ""
  return distance(given, nearest) <= Math.max(2, given.length / 2)
    ? `; did you mean ${nearest}?`
    : `; valid are ${valid.join(", ")}`
}
