/** In what a computation differs from a stored one of the same stage: the fields of their pre-images. Pure. */
import { differences, isWithin } from "../services/differences.ts"
import { sources } from "./derive.ts"
import type { Given } from "./survey.ts"

export interface Change {
  /** Dotted path in the input, such as `train.learningRate`; `code`, `version`, `formats.0` and `engine.version` are the stage's. */
  readonly path: string
  /** Undefined where there is no such field, and where an output of another stage differs. */
  readonly before: unknown
  readonly after: unknown
  /** What the field is the output of. */
  readonly from: string | undefined
}

const INPUT = "input."

/** What a field is called where its stage's input is meant. */
export const inInput = (path: string): string => (path.startsWith(INPUT) ? path.slice(INPUT.length) : path)

/** What a part of an input is the output of. */
export const originOf = ({ node }: Given): string =>
  [...new Set(sources(node).map(({ label }) => label))].join(", ")

/** The changes from `before` to `after`, whose parts are given. What is still awaited is compared with nothing. */
export const changesBetween = (
  before: unknown,
  after: unknown,
  parts: ReadonlyArray<Given>,
): ReadonlyArray<Change> => {
  const changes = new Map<string, Change>()
  for (const difference of differences(before, after)) {
    const part = parts.find(({ path }) => isWithin(difference.path, path))
    if (part?.awaited) continue
    const path = inInput(part?.path ?? difference.path)
    changes.set(
      path,
      part === undefined
        ? { ...difference, path, from: undefined }
        : { path, before: undefined, after: undefined, from: originOf(part) },
    )
  }
  return [...changes.values()]
}
