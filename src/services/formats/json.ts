/**
 * JSON text that may come from anywhere: bounded in length, depth and number of values before anything is allocated for
 * it, without names that reach a prototype and without numbers that JavaScript cannot hold.
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

/** What is wrong with depth and number of values, if the text is JSON. */
const complaintAboutSize = (text: string): string | undefined => {
  if (text.length > LONGEST) return `${text.length} characters are above the limit of ${LONGEST}`
  let depth = 0
  let values = 1
  for (let i = 0; i < text.length; i++) {
    const sign = text.charCodeAt(i)
    if (sign === QUOTE) i = endOfString(text, i)
    else if (sign === COMMA) values++
    else if (sign === OPEN_OBJECT || sign === OPEN_ARRAY) {
      values++
      if (++depth > DEEPEST) return `nested deeper than ${DEEPEST}`
    } else if (sign === CLOSE_OBJECT || sign === CLOSE_ARRAY) depth--
  }
  return values > MOST_VALUES ? `more than ${MOST_VALUES} values` : undefined
}

/** What no document of this project has. Recursion is bounded: the depth was checked. */
const complaintAboutContent = (value: unknown, checksNames: boolean): string | undefined => {
  if (typeof value === "number") return Number.isFinite(value) ? undefined : "a number is too large"
  if (typeof value !== "object" || value === null) return undefined
  const parts: ReadonlyArray<unknown> = Array.isArray(value) ? value : Object.values(value)
  for (const part of parts) {
    const complaint = complaintAboutContent(part, checksNames)
    if (complaint !== undefined) return complaint
  }
  if (!checksNames || Array.isArray(value)) return undefined
  const name = Object.keys(value).find((name) => forbidden.has(name))
  return name === undefined ? undefined : `the name ${name} is refused`
}

const malformed = (message: string) => Result.fail(new MalformedJson({ message }))

/** The value of a JSON text; its objects have own fields only. */
export const parseJson = (text: string): Result.Result<unknown, MalformedJson> => {
  const tooLarge = complaintAboutSize(text)
  if (tooLarge !== undefined) return malformed(tooLarge)
  return Result.try({
    try: (): unknown => JSON.parse(text),
    catch: (cause) => new MalformedJson({ message: cause instanceof Error ? cause.message : String(cause) }),
  }).pipe(
    Result.flatMap((document) => {
      const refused = complaintAboutContent(document, suspicious.test(text))
      return refused === undefined ? Result.succeed(document) : malformed(refused)
    }),
  )
}

/** The value of JSON in UTF-8. */
export const parseJsonBytes = (bytes: Uint8Array): Result.Result<unknown, MalformedJson> =>
  bytes.length > LONGEST
    ? malformed(`${bytes.length} bytes are above the limit of ${LONGEST}`)
    : Result.try({
        try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
        catch: () => new MalformedJson({ message: "not UTF-8" }),
      }).pipe(Result.flatMap(parseJson))
