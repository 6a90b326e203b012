/**
 * A figure read from disk, made fit to stand in a page: parsed, refused where it holds anything but shapes and text, and
 * written anew from what was parsed, so that no other parser can find more in it.
 */
import { Result, Schema } from "effect"
import { DOMParser } from "linkedom"
import { escaped } from "./escaped.ts"

export class RefusedSvg extends Schema.TaggedError<RefusedSvg>()("RefusedSvg", {
  because: Schema.String,
}) {
  override get message() {
    return `no figure that may stand in a page: ${this.because}`
  }
}

/** Made by {@link checkSvg} alone. */
class Checked {
  /** Of its `title` element. */
  readonly title: string
  /** Of its `desc` element. */
  readonly description: string
  readonly #markup: string
  constructor(title: string, description: string, markup: string) {
    this.title = title
    this.description = description
    this.#markup = markup
  }
  get markup(): string {
    return this.#markup
  }
}
export type CheckedSvg = Checked

const NAMESPACE = "http://www.w3.org/2000/svg"

const elements = new Set([
  ..."svg g defs title desc text tspan path rect circle ellipse line polyline polygon clipPath".split(" "),
])

const attributes = new Set([
  ..."x y x1 x2 y1 y2 dx dy cx cy r rx ry d points width height viewBox transform opacity id".split(" "),
  ..."fill fill-opacity fill-rule stroke stroke-dasharray stroke-linecap stroke-linejoin".split(" "),
  ..."stroke-miterlimit stroke-opacity stroke-width clip-path clip-rule color visibility".split(" "),
  ..."font-family font-size font-style font-variant font-weight text-anchor dominant-baseline".split(" "),
  ..."paint-order role aria-hidden aria-label class".split(" "),
])

/** How deep elements may be in each other. */
const DEEPEST = 40

/** A reference to another part of the same figure. */
const LOCAL = /^url\(#([\w-]+)\)$/

interface Parsed {
  readonly localName: string
  readonly attributes: Iterable<{ readonly name: string; readonly value: string }>
  readonly childNodes: Iterable<unknown>
}

const isElement = (node: unknown): node is Parsed =>
  typeof node === "object" && node !== null && "nodeType" in node && node.nodeType === 1

const textOf = (node: unknown): string | undefined =>
  typeof node === "object" &&
  node !== null &&
  "nodeType" in node &&
  (node.nodeType === 3 || node.nodeType === 4) &&
  "textContent" in node
    ? String(node.textContent)
    : undefined

const refuse = (because: string) => Result.fail(new RefusedSvg({ because }))

/** What an attribute is in the page; its ids get the prefix. Undefined: it is left out. */
const attributeOf = (
  name: string,
  value: string,
  prefix: string,
): Result.Result<string | undefined, RefusedSvg> => {
  if (name === "xmlns" && value === NAMESPACE) return Result.succeed(undefined)
  if (!attributes.has(name)) return refuse(`attribute ${name}`)
  // The figure is one image to a screen reader, which its title and description tell.
  if (name === "class" || name.startsWith("aria-") || name === "role") return Result.succeed(undefined)
  if (name === "id") return Result.succeed(`${prefix}-${value}`)
  if (!/url\s*\(/i.test(value)) return Result.succeed(value)
  const [, id] = LOCAL.exec(value) ?? []
  return id === undefined ? refuse(`${name} refers to ${value}`) : Result.succeed(`url(#${prefix}-${id})`)
}

const write = (node: Parsed, prefix: string, depth: number): Result.Result<string, RefusedSvg> =>
  Result.gen(function* () {
    const { localName: name } = node
    if (!elements.has(name)) return yield* refuse(`element ${name}`)
    if (depth > DEEPEST) return yield* refuse(`elements more than ${DEEPEST} deep`)
    const isRoot = depth === 0
    if (!isRoot && name === "svg") return yield* refuse("an svg in an svg")
    let opening = `<${name}`
    for (const { name: attribute, value } of node.attributes) {
      const kept = yield* attributeOf(attribute, value, prefix)
      // The root's size is the page's to say, and so is what names it.
      if (kept === undefined || (isRoot && /^(width|height|id)$/.test(attribute))) continue
      opening += ` ${attribute}="${escaped(kept)}"`
    }
    if (isRoot) opening += ` role="img" aria-labelledby="${prefix}-title" aria-describedby="${prefix}-desc"`
    let content = ""
    for (const child of node.childNodes) {
      if (isElement(child)) {
        const { localName } = child
        content +=
          isRoot && (localName === "title" || localName === "desc")
            ? `<${localName} id="${prefix}-${localName}">${escaped(contentOf(child))}</${localName}>`
            : yield* write(child, prefix, depth + 1)
      } else content += escaped(textOf(child) ?? "")
    }
    return `${opening}>${content}</${name}>`
  })

const contentOf = (node: Parsed): string =>
  [...node.childNodes].map((child) => (isElement(child) ? contentOf(child) : (textOf(child) ?? ""))).join("")

/** @param prefix of all ids in it: one that no other figure of the page has */
export const checkSvg = (text: string, prefix: string): Result.Result<CheckedSvg, RefusedSvg> =>
  Result.gen(function* () {
    // What entities stand for is nothing that a figure needs to say.
    if (/<!(DOCTYPE|ENTITY)/i.test(text)) return yield* refuse("a document type")
    const root: unknown = new DOMParser().parseFromString(text, "image/svg+xml").documentElement
    if (!isElement(root) || root.localName !== "svg") return yield* refuse("it is no svg")
    const first = (name: string) =>
      [...root.childNodes].filter(isElement).find(({ localName }) => localName === name)
    const title = first("title")
    if (title === undefined) return yield* refuse("it has no title")
    const description = first("desc")
    const markup = yield* write(root, prefix, 0)
    return new Checked(contentOf(title), description === undefined ? "" : contentOf(description), markup)
  })
