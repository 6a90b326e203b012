/** What a collection frees and what it keeps, in a person's terms: results by name, room, and time to compute them again. */
import { Schema } from "effect"
import {
  type Decision,
  kinds,
  type Part,
  type Reason,
  reach,
  sizeOf,
  undroppable,
  whatIsKeptFor,
} from "./decide.ts"
import type { Gathered } from "./gather.ts"

/** Something that goes, with what goes because of it alone. */
export const Loss = Schema.Struct({
  kind: Schema.Literals(kinds),
  /** What runs call it, or its path in the store. */
  name: Schema.String,
  /** Empty where it belongs to no stage. */
  stage: Schema.String,
  key: Schema.String,
  bytes: Schema.Int,
  /** Time to compute it again. */
  seconds: Schema.Finite,
  /** Whether a run that counts had asked for it, and it goes for want of room. */
  wanted: Schema.Boolean,
})
export type Loss = typeof Loss.Type

const Holding = Schema.Struct({ results: Schema.Int, bytes: Schema.Int })

export const Account = Schema.Struct({
  losses: Schema.Array(Loss),
  bytes: Schema.Int,
  seconds: Schema.Finite,
  kept: Schema.Struct({
    bytes: Schema.Int,
    /** What each command's runs asked for; what several asked for is in each. */
    runs: Schema.Array(Schema.Struct({ command: Schema.String, ...Holding.fields })),
    pins: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        key: Schema.String,
        because: Schema.optionalKey(Schema.String),
        ...Holding.fields,
      }),
    ),
    /** What living processes hold, or may be about to use. */
    processes: Holding,
    /** Bytes of computations that did not end, beside that. */
    unfinished: Schema.Int,
  }),
})
export type Account = typeof Account.Type

/** Stage and key of a record or a cursor. */
const nameOf = ({ files }: Gathered, name: string) => {
  const place = files.get(name)?.[0].place
  return place !== undefined && "of" in place ? place.of : { stage: "", key: "" }
}

/** Each of `gone` is counted with one part: results take what is only theirs, then cursors, then what is left alone. */
export const lossesOf = (
  gathered: Gathered,
  gone: ReadonlyArray<Part>,
  dropped: ReadonlyArray<string>,
): ReadonlyArray<Loss> => {
  const { parts, labels } = gathered
  const left = new Set(gone.map(({ name }) => name))
  const wanted = new Set(dropped)
  const ordered = gone.toSorted(
    (a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind) || (a.name < b.name ? -1 : 1),
  )
  return ordered.flatMap(({ kind, name, seconds }): ReadonlyArray<Loss> => {
    if (!left.has(name)) return []
    const bytes = sizeOf(
      parts,
      [...reach(parts, [name])].filter((each) => left.delete(each)),
    )
    const { stage, key } = nameOf(gathered, name)
    const known = labels.get(key) ?? (stage === "" ? name : stage)
    return [{ kind, name: known, stage, key, bytes, seconds, wanted: wanted.has(name) }]
  })
}

/** What goes and what stays. */
export const account = (
  gathered: Gathered,
  { kept, dropped }: Decision,
  gone: ReadonlyArray<Part>,
): Account => {
  const { parts, roots, labels, pins } = gathered
  const holding = (isMeant: (reason: Reason) => boolean) => {
    const names = [...whatIsKeptFor(parts, roots, isMeant)].filter((name) => kept.has(name))
    const results = names.filter((name) => parts.get(name)?.kind === "record").length
    return { results, bytes: sizeOf(parts, names) }
  }
  const pinnedOrInUse = whatIsKeptFor(parts, roots, ({ _tag }) => _tag !== "Run")
  const losses = lossesOf(gathered, gone, dropped)
  const bytes = losses.reduce((sum, { bytes }) => sum + bytes, 0)
  const commands = new Set(roots.flatMap(({ reason }) => (reason._tag === "Run" ? [reason.command] : [])))
  return {
    losses,
    bytes,
    seconds: losses.reduce((sum, { seconds }) => sum + seconds, 0),
    kept: {
      bytes: sizeOf(parts, parts.keys()) - bytes,
      runs: [...commands].sort().map((command) => ({
        command,
        ...holding((reason) => reason._tag === "Run" && reason.command === command),
      })),
      pins: pins.map(({ key, stage, label, because }) => ({
        name: label ?? labels.get(key) ?? stage,
        key,
        ...(because === undefined ? {} : { because }),
        ...holding((reason) => reason._tag === "Pin" && reason.key === key),
      })),
      processes: holding(({ _tag }) => _tag === "Process"),
      unfinished: sizeOf(parts, undroppable(parts, roots)) - sizeOf(parts, pinnedOrInUse),
    },
  }
}
