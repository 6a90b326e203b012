/** Which stored computations are most like one that is asked for: those whose pre-images differ in the fewest fields. Pure. */
import { Predicate } from "effect"
import { below, isWithin } from "./differences.ts"
import { canonical } from "./store/canonical.ts"

/** A pre-image, as far as it is known. */
export interface Sought {
  readonly preimage: unknown
  /** Dotted paths of what comes from upstream; each counts as one field. */
  readonly parts: ReadonlyArray<{
    readonly path: string
    /** Whether it is still to be computed; then it is compared with nothing. */
    readonly awaited: boolean
  }>
}

export interface Neighbour<Stored> {
  readonly of: Stored
  /** In how many fields it differs. */
  readonly changed: number
  /** Whether it goes before others with as many. */
  readonly preferred: boolean
}

type Leaves = ReadonlyMap<string, unknown>

/** Values by path; a value at one of `wholes` is one, as text. */
const leavesOf = (value: unknown, wholes: ReadonlySet<string>): Leaves => {
  const leaves = new Map<string, unknown>()
  const visit = (path: string, part: unknown): void => {
    if (part === undefined) return
    if (wholes.has(path)) leaves.set(path, canonical(part))
    else if (Array.isArray(part) || Predicate.isObject(part))
      for (const [field, inner] of Object.entries(part)) visit(below(path, field), inner)
    else leaves.set(path, part)
  }
  visit("", value)
  return leaves
}

const changedBetween = (a: Leaves, b: Leaves, isCompared: (path: string) => boolean): number => {
  let changed = 0
  for (const [path, value] of a) if (!Object.is(value, b.get(path)) && isCompared(path)) changed += 1
  for (const path of b.keys()) if (!a.has(path) && isCompared(path)) changed += 1
  return changed
}

/** A function that finds the neighbours among `stored`: the fewest changed fields first, then preferred ones; else the order is kept. */
export const makeNearest = <Stored extends { readonly preimage: unknown }>(stored: ReadonlyArray<Stored>) => {
  /** Leaves of what is stored, by what counts as one field. */
  const known = new Map<string, ReadonlyArray<Leaves>>()
  return (
    { preimage, parts }: Sought,
    isPreferred: (stored: Stored) => boolean = () => false,
  ): ReadonlyArray<Neighbour<Stored>> => {
    const wholes = new Set(parts.map(({ path }) => path))
    const name = [...wholes].sort().join(" ")
    const leaves = known.get(name) ?? stored.map((one) => leavesOf(one.preimage, wholes))
    known.set(name, leaves)
    const sought = leavesOf(preimage, wholes)
    const awaited = parts.filter((part) => part.awaited)
    const isCompared = (path: string) => !awaited.some((part) => isWithin(path, part.path))
    return stored
      .map((of, i) => ({
        of,
        changed: changedBetween(leaves[i], sought, isCompared),
        preferred: isPreferred(of),
      }))
      .toSorted((a, b) => a.changed - b.changed || Number(b.preferred) - Number(a.preferred))
  }
}
