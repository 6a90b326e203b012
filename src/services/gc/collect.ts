/**
 * Deletes garbage: records first, then cursors, then artifacts, so that no record names missing bytes wherever this is
 * killed. It takes no lock. What was written or taken up since it was looked at stays, with all that it leads to; a file
 * that is gone already, such as by another collection, is as good as deleted.
 */
import { Effect } from "effect"
import { Leases } from "../Leases.ts"
import { type Kind, type Part, reach } from "./decide.ts"
import { removeEmptyCursors, removeFile } from "./files.ts"
import type { Gathered } from "./gather.ts"

/** @returns what is gone */
export const collect = Effect.fn("collect")(function* (
  { parts, files }: Gathered,
  garbage: ReadonlyArray<Part>,
) {
  const leases = yield* Leases
  const gone: Array<Part> = []
  const spared: Array<string> = []
  const remove = Effect.fnUntraced(function* (part: Part) {
    // The newest entry of a cursor first: what is left of one is its beginning.
    for (const file of (files.get(part.name) ?? []).toReversed()) {
      if (!(yield* removeFile(file))) {
        spared.push(part.name)
        return
      }
    }
    gone.push(part)
  })
  /** What of these kinds is garbage, and not needed by what was spared so far. */
  const ofKind = (...kinds: ReadonlyArray<Kind>) => {
    const needed = reach(parts, spared)
    return garbage.filter(({ name, kind }) => kinds.includes(kind) && !needed.has(name))
  }

  yield* Effect.forEach(ofKind("record"), remove, { discard: true })

  const cursors = ofKind("cursor")
  const inUse = Effect.map(leases.held, (held) => {
    const keys = new Set(held.map(({ name }) => name))
    const names = cursors.map(({ name }) => name)
    return new Set(names.filter((name) => keys.has(name.slice(name.lastIndexOf("/") + 1))))
  })
  const before = yield* inUse
  spared.push(...before)
  const unused = cursors.filter(({ name }) => !before.has(name))
  yield* Effect.forEach(unused, remove, { discard: true })
  // A process takes the lease before it reads: whoever has read entries while they were deleted is seen now.
  spared.push(...(yield* inUse))

  const rest = ofKind("artifact", "temporary", "quarantined", "process")
  yield* Effect.forEach(rest, remove, { concurrency: 8, discard: true })
  yield* removeEmptyCursors(Effect.map(leases.living, ({ size }) => size === 0))
  return gone
})
