/** How a person names one of several stored results: by its label, or by the first digits of its key. */
import { Effect } from "effect"
import { BadInput, suggest } from "./BadInput.ts"

export interface Candidate {
  readonly key: string
  readonly label?: string
}

const described = ({ key, label = "" }: Candidate): string => `${key.slice(0, 12)} ${label}`.trim()

/** The one of `candidates`, newest first, that `given` names; of one label the newest. `where` is where they are. */
export const named = Effect.fn("named")(function* <C extends Candidate>(
  given: string,
  candidates: ReadonlyArray<C>,
  where: string,
) {
  const newest = candidates.find(({ label }) => label === given)
  if (newest !== undefined) return newest
  const matching = /^[0-9a-f]{4,64}$/.test(given) ? candidates.filter(({ key }) => key.startsWith(given)) : []
  if (matching.length > 1) {
    return yield* new BadInput({
      message: `${given} is the start of several keys; valid are ${matching.map(described).join(", ")}`,
    })
  }
  if (matching.length === 1) return matching[0]
  const labels = [...new Set(candidates.flatMap(({ label }) => label ?? []))]
  return yield* new BadInput({ message: `${where} has no ${given}${suggest(given, labels)}` })
})
