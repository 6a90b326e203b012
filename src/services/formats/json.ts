/**
 * JSON text that may come from anywhere: bounded in length, depth and number of values before anything is allocated for
 * it, without names that reach a prototype or stand twice, and without numbers that JavaScript cannot hold.
 */
import { Result, Schema } from "effect"

/** The text is not JSON within the limits; `message` says why. */
export class MalformedJson extends Schema.TaggedError<MalformedJson>()("MalformedJson", {
  message: Schema.String,
}) {}

/** Characters of a text. The largest documents of a full run have a few hundred thousand. */
export const LONGEST = 2 ** 26
/** Arrays and objects within one another. */
export const DEEPEST = 64
/** Values of a document, counted by commas and brackets. */
export const MOST_VALUES = 2 ** 22

const forbidden: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"])
/** What a text with a forbidden name has somewhere; any letter may be escaped. */
const suspicious = /__proto__|constructor|prototype|\\u/

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** The closing quote of a string that opens at `start`. */
const endOfString = (text: string, start: number): number => {
  let end = text.indexOf('"', start + 1)
  while (end > 0) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return end
    end = text.indexOf('"', end + 1)
  }
  return text.length
}

/** How much a text holds, if it is JSON; or what is wrong with that. */
const measure = (text: string): { readonly names: number } | string => {
  if (text.length > LONGEST) return `${text.length} characters are above the limit of ${LONGEST}`
  let depth = 0
  let names = 0
  let values = 1
  for (let i = 0; i < text.length; i++) {
    const sign = text.charCodeAt(i)
    if (sign === QUOTE) i = endOfString(text, i)
    else if (sign === COMMA) values++
    else if (sign === COLON) names++
    else if (sign === OPEN_OBJECT || sign === OPEN_ARRAY) {
      values++
      if (++depth > DEEPEST) return `nested deeper than ${DEEPEST}`
    } else if (sign === CLOSE_OBJECT || sign === CLOSE_ARRAY) depth--
  }
  return values > MOST_VALUES ? `more than ${MOST_VALUES} values` : { names }
}

/** Counts the names in a value, and fails with what no document of this project has. The depth is bounded by now. */
const countNames = (value: unknown, checksNames: boolean): number => {
  if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError("a number is too large")
  if (typeof value !== "object" || value === null) return 0
  if (Array.isArray(value)) {
    let names = 0
    for (const item of value) names += countNames(item, checksNames)
    return names
  }
  const refused = checksNames ? Object.keys(value).find((name) => forbidden.has(name)) : undefined
  if (refused !== undefined) throw new RangeError(`the name ${refused} is refused`)
  const fields: ReadonlyArray<unknown> = Object.values(value)
  let names = fields.length
  for (const field of fields) names += countNames(field, checksNames)
  return names
}

const malformed = (message: string) => Result.fail(new MalformedJson({ message }))

export interface ParseOptions {
  /** Whether names that reach a prototype are refused; for a reader that does so itself, and gives its objects none. */
  readonly refusesNames?: boolean
}

/** The value of a JSON text; its objects have own fields only, each once. */
export const parseJson = (
  text: string,
  { refusesNames = true }: ParseOptions = {},
): Result.Result<unknown, MalformedJson> => {
  const measured = measure(text)
  if (typeof measured === "string") return malformed(measured)
  return Result.try({
    try: (): unknown => {
      const document: unknown = JSON.parse(text)
      const names = countNames(document, refusesNames && suspicious.test(text))
      if (names < measured.names) throw new RangeError("a name stands twice in an object")
      return document
    },
    catch: (cause) => new MalformedJson({ message: cause instanceof Error ? cause.message : String(cause) }),
  })
}

/** The value of JSON in UTF-8. */
export const parseJsonBytes = (
  bytes: Uint8Array,
  options?: ParseOptions,
): Result.Result<unknown, MalformedJson> =>
  bytes.length > LONGEST
    ? malformed(`${bytes.length} bytes are above the limit of ${LONGEST}`)
    : Result.try({
        try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
        catch: () => new MalformedJson({ message: "not UTF-8" }),
      }).pipe(Result.flatMap((text) => parseJson(text, options)))
