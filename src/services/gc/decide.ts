/**
 * What of a store is kept, and what goes: a pure decision about parts that lead to one another. Knows no file.
 *
 * A root is kept, and all that it leads to. Everything else is garbage. Where that is not enough room, results that are
 * cheap to compute again for the room that they take go too.
 */

/** A result is a record; a `process` is what a process left of itself. */
export const kinds = ["record", "cursor", "artifact", "temporary", "quarantined", "process"] as const
export type Kind = (typeof kinds)[number]

export interface Part {
  readonly name: string
  readonly kind: Kind
  readonly bytes: number
  /** Names of what it is of no use without. Some may be gone already. */
  readonly leadsTo: ReadonlyArray<string>
  /** Names of what it was computed from. */
  readonly madeFrom: ReadonlyArray<string>
  /** Time that it takes to compute it again. */
  readonly seconds: number
}

export type Parts = ReadonlyMap<string, Part>

/** Why something is kept. */
export type Reason =
  /** A run of this command that still counts asked for it. */
  | { readonly _tag: "Run"; readonly command: string }
  | { readonly _tag: "Pin"; readonly key: string }
  /** A living process holds it, or may be about to use it. */
  | { readonly _tag: "Process" }

export interface Root {
  readonly name: string
  readonly reason: Reason
}

export interface Decision {
  readonly kept: ReadonlySet<string>
  /** Records that were asked for and go for want of room, in the order of going. */
  readonly dropped: ReadonlyArray<string>
}

type Next = (part: Part) => ReadonlyArray<string>

const neighbours: Next = ({ leadsTo, madeFrom }) => [...leadsTo, ...madeFrom]

/** The names among `parts` that one comes to from `names`, these included. */
export const reach = (
  parts: Parts,
  names: Iterable<string>,
  next: Next = ({ leadsTo }) => leadsTo,
): ReadonlySet<string> => {
  const found = new Set<string>()
  const open = [...names]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const part = parts.get(name)
    if (part === undefined || found.has(name)) continue
    found.add(name)
    for (const each of next(part)) open.push(each)
  }
  return found
}

/** Bytes of the parts of these names. */
export const sizeOf = (parts: Parts, names: Iterable<string>): number => {
  let sum = 0
  for (const name of names) sum += parts.get(name)?.bytes ?? 0
  return sum
}

/** What is kept for the roots of some reasons: what they lead to, and what they were made from. */
export const whatIsKeptFor = (
  parts: Parts,
  roots: ReadonlyArray<Root>,
  isMeant: (reason: Reason) => boolean,
): ReadonlySet<string> => {
  const meant = roots.filter(({ reason }) => isMeant(reason))
  return reach(
    parts,
    meant.map(({ name }) => name),
    neighbours,
  )
}

/** What is kept where there is room enough. */
export const decide = (parts: Parts, roots: ReadonlyArray<Root>): Decision => ({
  kept: whatIsKeptFor(parts, roots, () => true),
  dropped: [],
})

/** Only results that runs asked for may be dropped: what is pinned or in use stays, and work that is not done. */
const mayBeDropped =
  (parts: Parts) =>
  ({ name, reason }: Root): boolean =>
    reason._tag === "Run" && parts.get(name)?.kind === "record"

/** What stays however little room there is. */
export const undroppable = (parts: Parts, roots: ReadonlyArray<Root>): ReadonlySet<string> => {
  const isDroppable = mayBeDropped(parts)
  const firm = roots.filter((root) => !isDroppable(root))
  return decide(parts, firm).kept
}

/**
 * What is kept in at most `budget` bytes, if that can be. Without room, results are no longer kept with what they were
 * made from. Then the record goes that takes the least time to compute again for each byte that goes with it, until the
 * rest fits: less room keeps a part of what more room keeps.
 */
export const decideUnder = (parts: Parts, roots: ReadonlyArray<Root>, budget: number): Decision => {
  const whole = decide(parts, roots)
  if (sizeOf(parts, whole.kept) <= budget) return whole

  const fixed = undroppable(parts, roots)
  const isDroppable = mayBeDropped(parts)
  /** What each record that may be dropped holds, and who holds each part. */
  const held = new Map<string, ReadonlyArray<string>>()
  const holders = new Map<string, Set<string>>()
  for (const { name } of roots.filter(isDroppable)) {
    if (fixed.has(name) || held.has(name)) continue
    const names = [...reach(parts, [name])].filter((each) => !fixed.has(each))
    held.set(name, names)
    for (const each of names) holders.set(each, (holders.get(each) ?? new Set()).add(name))
  }
  /** Bytes that go with a record: of what it alone holds. */
  const own = new Map<string, number>()
  const countIfAlone = (part: string) => {
    const who = holders.get(part)
    if (who?.size === 1) for (const only of who) own.set(only, (own.get(only) ?? 0) + sizeOf(parts, [part]))
  }
  for (const part of holders.keys()) countIfAlone(part)
  /** Seconds to compute it again for each byte that goes with it. */
  const price = (record: string): number => {
    const bytes = own.get(record) ?? 0
    return bytes === 0 ? Number.POSITIVE_INFINITY : (parts.get(record)?.seconds ?? 0) / bytes
  }

  const dropped: Array<string> = []
  let bytes = sizeOf(parts, fixed) + sizeOf(parts, holders.keys())
  while (bytes > budget && held.size > 0) {
    const next = [...held.keys()].reduce((best, record) => (price(record) < price(best) ? record : best))
    dropped.push(next)
    bytes -= own.get(next) ?? 0
    for (const part of held.get(next) ?? []) {
      const who = holders.get(part)
      who?.delete(next)
      if (who?.size === 0) holders.delete(part)
      else countIfAlone(part)
    }
    held.delete(next)
  }
  return { kept: new Set([...fixed, ...holders.keys()]), dropped }
}
