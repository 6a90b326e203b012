/**
 * HTML as a value in which text is always text: the only way in for markup is an element made here, or a figure that
 * {@link checkSvg} has read and written anew.
 */
import type { CheckedSvg } from "./checkedSvg.ts"
import { escaped } from "./escaped.ts"

/** Kept to this file, so that nobody else makes markup out of a string. */
class Markup {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  static text(markup: Markup): string {
    return markup.#text
  }
}
export type Html = Markup

/** What an element may hold; `null` is nothing. */
export type Child = Html | string | number | null | ReadonlyArray<Child>

type Tag =
  | "a"
  | "button"
  | "code"
  | "dd"
  | "details"
  | "div"
  | "dl"
  | "dt"
  | "figcaption"
  | "figure"
  | "footer"
  | "h1"
  | "h2"
  | "h3"
  | "h4"
  | "header"
  | "li"
  | "main"
  | "nav"
  | "ol"
  | "p"
  | "section"
  | "span"
  | "strong"
  | "summary"
  | "table"
  | "caption"
  | "thead"
  | "tbody"
  | "tr"
  | "th"
  | "td"
  | "time"
  | "ul"

/** A place on the page, or data that the page itself holds: nothing is ever loaded. */
export type Href = `#${string}` | `data:text/csv;${string}`

interface Attributes {
  readonly id?: string
  readonly class?: string
  readonly href?: Href
  readonly download?: string
  readonly role?: "region" | "status" | "img" | "group"
  readonly scope?: "col" | "row"
  readonly tabindex?: 0 | -1
  readonly title?: string
  readonly datetime?: string
  readonly "aria-label"?: string
  readonly "aria-labelledby"?: string
  readonly "aria-live"?: "polite"
}

const write = (child: Child): string => {
  if (child === null) return ""
  if (typeof child === "string") return escaped(child)
  if (typeof child === "number") return String(child)
  return child instanceof Markup ? Markup.text(child) : child.map(write).join("")
}

/** An element; its attributes' values and its text are escaped. */
export const h = (tag: Tag, attributes: Attributes, ...children: ReadonlyArray<Child>): Html => {
  const written = Object.entries(attributes).map(([name, value]) => ` ${name}="${escaped(String(value))}"`)
  return new Markup(`<${tag}${written.join("")}>${children.map(write).join("")}</${tag}>`)
}

/** A checked figure, inline. */
export const inline = (svg: CheckedSvg): Html => new Markup(svg.markup)

/** Several children as one. */
export const all = (...children: ReadonlyArray<Child>): Html => new Markup(children.map(write).join(""))

export interface Document {
  readonly title: string
  /** The content security policy that the page asks for itself. */
  readonly policy: string
  /** Code of this repository. */
  readonly css: string
  /** Code of this repository, with the nonce that the policy names. */
  readonly script?: { readonly nonce: string; readonly code: string }
  readonly body: Html
}

/** The text of a part of a page, for a page that puts it in place itself. */
export const fragment = (html: Html): string => write(html)

/** A whole page. */
export const htmlDocument = ({ title, policy, css, script, body }: Document): string =>
  [
    "<!doctype html>",
    '<html lang="en">',
    "<head>",
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    // Without one, a browser asks the server for an icon.
    '<link rel="icon" href="data:,">',
    `<title>${escaped(title)}</title>`,
    `<style>${css}</style>`,
    "</head>",
    `<body>${write(body)}`,
    ...(script === undefined ? [] : [`<script nonce="${escaped(script.nonce)}">${script.code}</script>`]),
    "</body>",
    "</html>",
    "",
  ].join("\n")
