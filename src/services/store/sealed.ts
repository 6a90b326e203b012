/**
 * JSON documents that carry a digest of their own text, so that a change of any bit is noticed: what names blobs is kept as
 * safe as the blobs. The digest is the last field, of everything before it.
 *
 * Earlier versions put the digest of the canonical content there; such documents are read too.
 */
import { Option, Predicate, Result } from "effect"
import { parseJson } from "../formats/json.ts"
import { digestOf, sha256 } from "./canonical.ts"

/** JSON writes −0 as 0; it is another number, with another canonical form. */
const MINUS_ZERO = "\u0000-0"

const jsonText = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (Object.is(part, -0) ? MINUS_ZERO : part), 2).replaceAll(
    JSON.stringify(MINUS_ZERO),
    "-0",
  )

const BEFORE = '\n  "seal": "'
const AFTER = '"\n}\n'
const SEAL = 64

/** The document of `content`: its fields and, as the last one, `seal`. */
export const sealed = (content: Readonly<Record<string, unknown>>): string => {
  const body = jsonText(content)
  const fields = body === "{}" ? "{" : `${body.slice(0, -"\n}".length)},`
  return `${fields}${BEFORE}${sha256(fields)}${AFTER}`
}

const isSealed = (text: string): boolean => {
  const end = text.length - BEFORE.length - SEAL - AFTER.length
  const seal = text.slice(end + BEFORE.length, -AFTER.length)
  return (
    end > 0 &&
    text.startsWith(BEFORE, end) &&
    text.endsWith(AFTER) &&
    seal.length === SEAL &&
    sha256(text.slice(0, end)) === seal
  )
}

/** The fields of a document and its seal; none if it is no such thing. */
const parted = (document: unknown) => {
  if (!Predicate.isObject(document) || !("seal" in document)) return Option.none()
  const { seal, ...content } = document
  return Option.some({ seal, content })
}

/** The content of a document; none if `text` is anything but what {@link sealed} wrote, down to the last sign. */
export const unsealed = (text: string): Option.Option<Readonly<Record<string, unknown>>> => {
  const isOurs = isSealed(text)
  // What is sealed is JSON that we wrote; what is not may be anything.
  const document = isOurs ? Option.some<unknown>(JSON.parse(text)) : Result.getSuccess(parseJson(text))
  return document.pipe(
    Option.flatMap(parted),
    Option.filter(({ seal, content }) => isOurs || seal === digestOf(content)),
    Option.map(({ content }) => content),
  )
}
