/**
 * JSON documents that carry the digest of their own content, so that a change of any bit is noticed: what names blobs is
 * kept as safe as the blobs.
 */
import { Option, Predicate, Result } from "effect"
import { parseJson } from "../formats/json.ts"
import { digestOf } from "./canonical.ts"

/** JSON writes −0 as 0; it is another number, with another canonical form. */
const MINUS_ZERO = "\u0000-0"

const jsonText = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (Object.is(part, -0) ? MINUS_ZERO : part), 2).replaceAll(
    JSON.stringify(MINUS_ZERO),
    "-0",
  )

/** The document of `content`: its fields and, as the last one, `seal`. */
export const sealed = (content: Readonly<Record<string, unknown>>): string =>
  `${jsonText({ ...content, seal: digestOf(content) })}\n`

/** The content of a document; none if `text` is anything but what {@link sealed} wrote, down to the last sign. */
export const unsealed = (text: string): Option.Option<Readonly<Record<string, unknown>>> =>
  Option.flatMap(Result.getSuccess(parseJson(text)), (document) => {
    if (!Predicate.isObject(document) || !("seal" in document)) return Option.none()
    const { seal, ...content } = document
    return seal === digestOf(content) ? Option.some(content) : Option.none()
  })
