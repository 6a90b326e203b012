/**
 * Canonical, type-tagged text of plain data, and its digest: the identity that keys are made of.
 *
 * Equal data has equal text whatever the order of its fields; different data has different text.
 * `null` n · booleans t f · numbers #<shortest decimal> (−0 is `#-0`) · strings "…" (JSON) ·
 * arrays [ … ] · objects { key value … } sorted by key. Fields that are `undefined` do not exist.
 */
import { createHash } from "node:crypto"
import * as Predicate from "effect/Predicate"

/** Text that JSON quotes as it is. */
const PLAIN = /^[ !#-[\]-~]*$/

const quoted = (text: string): string => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text))

// Every key of every look-up comes by here, twice: loops, because they take a third of the time of maps and sorts of pairs.
export const canonical = (value: unknown): string => {
  if (value === null) return "n"
  if (value === true) return "t"
  if (value === false) return "f"
  if (typeof value === "string") return quoted(value)
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`${value} has no canonical form`)
    return Object.is(value, -0) ? "#-0" : `#${value}`
  }
  if (Array.isArray(value)) {
    let items = ""
    for (let i = 0; i < value.length; i++) items += i === 0 ? canonical(value[i]) : ` ${canonical(value[i])}`
    return `[${items}]`
  }
  if (Predicate.isObject(value)) {
    let fields = ""
    for (const key of Object.keys(value).sort()) {
      const field = value[key]
      if (field !== undefined) fields += `${fields === "" ? "" : " "}${quoted(key)} ${canonical(field)}`
    }
    return `{${fields}}`
  }
  throw new TypeError(`a ${typeof value} has no canonical form`)
}

/** SHA-256 of the parts, one after another. */
export const sha256 = (...parts: ReadonlyArray<string | Uint8Array>): string => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return hash.digest("hex")
}

/** SHA-256 of the canonical text. */
export const digestOf = (value: unknown): string => sha256(canonical(value))
