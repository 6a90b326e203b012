/** Which combinations of settings are run. Pure; fields are dotted names, checked by the experiment that is varied. */
import type { Setting } from "./comparison.ts"

/** Values of fields by dotted name. */
export type Settings = Readonly<Record<string, Setting>>

/** The values that each field takes, in order. */
export type Axes = Readonly<Record<string, ReadonlyArray<Setting>>>

/** Every combination; the last field varies fastest. */
export const grid = (axes: Axes): ReadonlyArray<Settings> =>
  Object.entries(axes).reduce<ReadonlyArray<Settings>>(
    (combinations, [field, values]) =>
      combinations.flatMap((before) => values.map((value) => ({ ...before, [field]: value }))),
    [{}],
  )

/** The first value of every field, then the second of every field, …; as many as the shortest axis has. */
export const zip = (axes: Axes): ReadonlyArray<Settings> => {
  const lengths = Object.values(axes).map(({ length }) => length)
  return Array.from({ length: lengths.length === 0 ? 0 : Math.min(...lengths) }, (_, i) =>
    Object.fromEntries(Object.entries(axes).map(([field, values]) => [field, values[i]])),
  )
}

/** The axes that a list of combinations spans: every field, with its values in the order of their first use. */
export const axesOf = (combinations: ReadonlyArray<Settings>): Axes => {
  const axes = new Map<string, Set<Setting>>()
  for (const [field, value] of combinations.flatMap((settings) => Object.entries(settings)))
    axes.set(field, (axes.get(field) ?? new Set()).add(value))
  return Object.fromEntries([...axes].map(([field, values]) => [field, [...values]]))
}
