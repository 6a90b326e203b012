/** What a person may have meant by a name that does not exist. */
import { distance } from "fastest-levenshtein"

/** More names than this are not listed. */
const MOST_LISTED = 20

/** `; did you mean X?` with the nearest valid name, or the list of valid names if none is near. */
export const suggest = (given: string, valid: ReadonlyArray<string>): string => {
  const sorted = valid.toSorted((a, b) => distance(given, a) - distance(given, b))
  const [nearest] = sorted
  if (nearest === undefined) return ""
  if (distance(given, nearest) <= Math.max(2, given.length / 2)) return `; did you mean ${nearest}?`
  return valid.length <= MOST_LISTED
    ? `; valid are ${valid.join(", ")}`
    : `; valid are ${sorted.slice(0, MOST_LISTED).join(", ")} and ${valid.length - MOST_LISTED} more`
}
