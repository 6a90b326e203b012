/** Garbage collection: looks, decides, and deletes unless it is asked only to say what would go. */
import { Effect } from "effect"
import { account } from "./account.ts"
import { collect } from "./collect.ts"
import { decide, decideUnder } from "./decide.ts"
import { gather } from "./gather.ts"

export interface GcOptions {
  readonly dryRun: boolean
  /** Bytes that the store may have. */
  readonly keepUnder?: number | undefined
}

/** @returns what went, or would go, and what stays */
export const gc = Effect.fn("gc")(function* ({ dryRun, keepUnder }: GcOptions) {
  const gathered = yield* gather
  const { parts, roots } = gathered
  const decision = keepUnder === undefined ? decide(parts, roots) : decideUnder(parts, roots, keepUnder)
  const garbage = [...parts.values()].filter(({ name }) => !decision.kept.has(name))
  return account(gathered, decision, dryRun ? garbage : yield* collect(gathered, garbage))
})
