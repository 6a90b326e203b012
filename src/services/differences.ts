/** In which fields two plain values differ. Pure; knows neither stages nor configurations. */
import { Predicate } from "effect"

export interface Difference {
  /** Dotted, such as `train.learningRate` or `operations.0`; empty where the whole values differ. */
  readonly path: string
  /** Undefined where there is no such field. */
  readonly before: unknown
  readonly after: unknown
}

type Fields = Readonly<Record<string, unknown>>

/** The path of a field below `path`. */
export const below = (path: string, field: string): string => (path === "" ? field : `${path}.${field}`)

/** Whether `path` is `whole`, or a part of it. */
export const isWithin = (path: string, whole: string): boolean =>
  whole === "" || path === whole || path.startsWith(`${whole}.`)

/** An array's elements are fields by index. */
const fieldsOf = (value: unknown): Fields | undefined =>
  Array.isArray(value) ? Object.fromEntries(value.entries()) : Predicate.isObject(value) ? value : undefined

const compare = (path: string, before: unknown, after: unknown, found: Array<Difference>): void => {
  const [old, young] = [fieldsOf(before), fieldsOf(after)]
  if (old !== undefined && young !== undefined && Array.isArray(before) === Array.isArray(after)) {
    for (const field of new Set([...Object.keys(old), ...Object.keys(young)]))
      compare(below(path, field), old[field], young[field], found)
  } else if (!Object.is(before, after)) found.push({ path, before, after })
}

/**
 * The fields that differ, in the order of `before`, then those that only `after` has. Arrays are compared by index. A field
 * whose value is `undefined` is one that is not there. What is no array on both sides, and no object on both, differs as a
 * whole.
 */
export const differences = (before: unknown, after: unknown): ReadonlyArray<Difference> => {
  const found: Array<Difference> = []
  compare("", before, after, found)
  return found
}
